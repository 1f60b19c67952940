"""Connections: the login methods that the business offers, and the password policy of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.accounts.passwords import Rules, rules_of, save_rules
from regulars.base.errors import DomainError
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS, find_provider
from regulars.connections.save import ConnectionSpec, save_connection, switch_connection, url_keys

from ..edits import FormContent, creating, editing
from ..forms import SETTING, FormError, form_error, form_page, whole_number
from ..pages import NO_ROLE, done, may, staff_page

ROLE = "admin"
PASSWORD_CHECKS = ("common", "personal", "breached")
ADDRESS_LABELS = {
    "issuer": "Issuer",
    "site": "Everything below this address",
    "authorize": "Authorization endpoint",
    "token": "Token endpoint",
    "user": "User info endpoint",
    "people": "Address of the People API",
    "revoke": "Revocation endpoint",
}


@require_safe
@staff_page(read="marketer")
def connections(request: HttpRequest) -> HttpResponse:
    rows = []
    for row in Connection.objects.order_by("id"):
        known = PROVIDERS[row.strategy].requested_claims if row.strategy in PROVIDERS else ()
        words = [claim.label.removeprefix("Your ").capitalize() for claim in known if claim.key in row.requested_claims]
        rows.append((row, words))
    context = {"rows": rows, "callback": callback_url(), "may_write": may(request, ROLE)}
    return render(request, "console/connections.html", context)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def switch(request: HttpRequest, name: str) -> HttpResponse:
    on = request.POST.get("on") == "1"
    row = switch_connection(name, on)
    sentence = f"{row.display_name} is offered at the login." if on else f"{row.display_name} is not offered any more."
    return done(request, "/console/connections", "connection.switched", name, sentence, on=on)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def connection(request: HttpRequest, name: str = "") -> HttpResponse:
    """Show or save the form of a connection. A new one is of the strategy in the query: `?strategy=oidc`."""
    saved = Connection.objects.filter(name=name).first() if name else None
    if name and saved is None:
        raise Http404("There is no such connection.")
    asked = request.GET.get("strategy", "google-oauth2")
    strategy = saved.strategy if saved else asked if asked in PROVIDERS else "oidc"
    if request.method != "POST":
        given = _typed(saved) if saved else _empty(strategy)
        return _page(request, saved, strategy, given, saved.requested_claims if saved else [])
    given, requested_claims = request.POST.dict(), request.POST.getlist("requested_claims")
    spec = ConnectionSpec(
        name=given.get("name", "").strip(),
        strategy=strategy,
        display_name=given.get("display_name", ""),
        client_id=given.get("client_id", ""),
        secret=given.get("secret", "").strip(),
        urls={key: given.get(key, "").strip() for key in _url_keys(strategy) if key in given},
        settings={name.removeprefix(SETTING): value for name, value in given.items() if name.startswith(SETTING)},
        scopes=given.get("scopes", "").split(),
        requested_claims=requested_claims,
        note=given.get("note", ""),
        enabled=given.get("enabled") == "on",
        offline=given.get("offline") == "on",
    )
    try:
        if saved:
            with editing(request, saved, _shown) as row:
                return _saved(request, save_connection(replace(spec, enabled=row.enabled), row))
        with creating(request) as sent:
            made = save_connection(spec)
            sent.address = f"/console/connections/{made.name}"
            return _saved(request, made)
    except DomainError as error:
        return _page(request, saved, strategy, given, requested_claims, form_error(error))


def _saved(request: HttpRequest, made: Connection) -> HttpResponse:
    sentence = f"{made.display_name} is saved."
    return done(request, f"/console/connections/{made.name}", "connection.saved", made.name, sentence)


def callback_url() -> str:
    """Return the callback that must be registered at every provider."""
    return f"{settings.PUBLIC_URL}/login/callback"


def _page(
    request: HttpRequest,
    saved: Connection | None,
    strategy: str,
    given: Mapping[str, str],
    requested_claims: Sequence[str],
    problem: FormError | None = None,
) -> HttpResponse:
    known = find_provider(strategy)
    context = {
        "saved": saved,
        "strategy": known,
        "strategies": [(each.key, each.label) for each in PROVIDERS.values()],
        "given": given,
        "requested_claims": [(claim, claim.key in requested_claims) for claim in known.requested_claims]
        if known
        else [],
        "addresses": [
            (key, ADDRESS_LABELS.get(key) or f"Address of “{key}”", given.get(key, "")) for key in _url_keys(strategy)
        ],
        "moved": any(given.get(key) for key in _url_keys(strategy)),
        "settings": {field.key: given.get(SETTING + field.key, field.default) for field in known.settings}
        if known
        else {},
        "can_be_offline": bool(known and known.offline != ((), {})),
        "has_secret": bool(saved and saved.secret),
        "has_passwords": bool(saved and saved.strategy == "auth0"),
        "callback": callback_url(),
    }
    edits = _shown(saved) if saved else None
    return form_page(request, "console/connection.html", context, role=ROLE, problem=problem, edits=edits)


def _url_keys(strategy: str) -> list[str]:
    known = find_provider(strategy)
    return url_keys(known) if known else []


def _empty(strategy: str) -> dict[str, str]:
    """Return the form of a new connection; one of a known provider has its names already."""
    known = PROVIDERS[strategy]
    names = {} if known.scoped_ids else {"name": known.key, "display_name": known.label}
    return {**names, "scopes": " ".join(known.scopes), "enabled": "on"}


def _shown(saved: Connection) -> FormContent:
    typed = _typed(saved)
    ticks = ("offline",) if "offline" in typed else ()
    values = {name: bool(text) if name in ticks else text for name, text in typed.items() if name != "name"}
    empty = dict.fromkeys(_url_keys(saved.strategy), "")
    return FormContent(
        saved.name,
        ("connection.saved",),
        {**empty, **values, "requested_claims": list(saved.requested_claims)},
        saved.secret,
        {"display_name": "Text on the button", "note": "Note under the button", "scopes": "Scopes of the login"},
    )


def _typed(saved: Connection) -> dict[str, str]:
    """Return the form fields of a saved connection, except the secret and the switch."""
    return {
        **saved.urls,
        **{SETTING + key: value for key, value in saved.settings.items()},
        "name": saved.name,
        "display_name": saved.display_name,
        "client_id": saved.client_id,
        "scopes": " ".join(saved.scopes),
        "note": saved.note,
        "offline": "on" if saved.offline else "",
    }


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def passwords(request: HttpRequest, name: str) -> HttpResponse:
    """Show or save the password policy. It holds from the next new password on and signs no customer out."""
    connection = Connection.objects.filter(name=name, strategy="auth0").first()
    if connection is None:
        raise Http404("This connection has no passwords.")
    if request.method != "POST":
        return _password_page(request, connection, rules_of(name))
    checks = {check: request.POST.get(check) == "on" for check in PASSWORD_CHECKS}
    # -1, which no policy accepts, for what is no number
    least, history = (whole_number(request.POST.get(name, ""), 5) for name in ("min_length", "history"))
    rules = Rules(-1 if least is None else least, history=-1 if history is None else history, **checks)
    here = f"/console/connections/{name}/passwords"
    try:
        with editing(request, connection, _passwords_shown) as row:  # the policy's own row may not exist yet
            save_rules(row, rules)
            return done(request, here, "connection.passwords", name, "The next new password must be like this.")
    except DomainError as error:
        return _password_page(request, connection, rules, form_error(error))


def _passwords_shown(connection: Connection) -> FormContent:
    rules = asdict(rules_of(connection.name))
    values = {name: value if isinstance(value, bool) else str(value) for name, value in rules.items()}
    return FormContent(connection.name, ("connection.passwords",), values)


def _password_page(
    request: HttpRequest, connection: Connection, rules: Rules, problem: FormError | None = None
) -> HttpResponse:
    context = {"connection": connection, "rules": rules}
    edits = _passwords_shown(connection)
    return form_page(request, "console/passwords.html", context, role=ROLE, problem=problem, edits=edits)
