"""Connections: the ways in that the business offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.errors import DomainError
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS, find_provider
from regulars.connections.save import ConnectionSpec, save_connection, switch_connection, url_keys

from ..door import may, require, staff_page
from ..forms import SETTING, FormError, done, problem_of

ROLE = "admin"
ADDRESS_WORDS = {
    "issuer": "Issuer",
    "site": "Everything below this address",
    "authorize": "Where she signs in",
    "token": "Where the code becomes a token",
    "user": "Where it tells who she is",
    "people": "Address of the People API",
    "revoke": "Where a grant is given back",
}


@require_safe
@staff_page
def connections(request: HttpRequest) -> HttpResponse:
    rows = [(row, _piece_words(row)) for row in Connection.objects.order_by("id")]
    context = {"rows": rows, "callback": callback_url(), "may_write": may(request, ROLE)}
    return render(request, "console/connections.html", context)


@require_POST
@staff_page
def switch(request: HttpRequest, name: str) -> HttpResponse:
    require(request, ROLE)
    on = request.POST.get("on") == "1"
    row = switch_connection(name, on)
    sentence = f"{row.display_name} is offered at the login." if on else f"{row.display_name} is not offered any more."
    return done(request, "/console/connections", "connection.switched", name, sentence, on=on)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def connection(request: HttpRequest, name: str = "") -> HttpResponse:
    """The form of a connection. A new one is of the strategy in the query: `?strategy=oidc`."""
    saved = Connection.objects.filter(name=name).first() if name else None
    if name and saved is None:
        raise Http404("There is no such connection.")
    asked = request.GET.get("strategy", "google-oauth2")
    strategy = saved.strategy if saved else asked if asked in PROVIDERS else "oidc"
    if request.method != "POST":
        given = _written(saved) if saved else _empty(strategy)
        return _page(request, saved, strategy, given, saved.pieces if saved else [])
    require(request, ROLE)
    given, pieces = request.POST.dict(), request.POST.getlist("pieces")
    try:
        made = save_connection(_way(given, strategy, pieces), saved)
    except DomainError as refused:
        return _page(request, saved, strategy, given, pieces, problem_of(refused))
    sentence = f"{made.display_name} is saved."
    return done(request, f"/console/connections/{made.name}", "connection.saved", made.name, sentence)


def callback_url() -> str:
    """The one address that every provider must have registered."""
    return f"{settings.PUBLIC_URL}/login/callback"


def _way(given: Mapping[str, str], strategy: str, pieces: Sequence[str]) -> ConnectionSpec:
    return ConnectionSpec(
        name=given.get("name", "").strip(),
        strategy=strategy,
        display_name=given.get("display_name", ""),
        client_id=given.get("client_id", ""),
        secret=given.get("secret", "").strip(),
        urls={key: given.get(key, "").strip() for key in _url_keys(strategy) if key in given},
        settings={name.removeprefix(SETTING): words for name, words in given.items() if name.startswith(SETTING)},
        scopes=given.get("scopes", "").split(),
        pieces=pieces,
        note=given.get("note", ""),
        enabled=given.get("enabled") == "on",
        offline=given.get("offline") == "on",
    )


def _page(
    request: HttpRequest,
    saved: Connection | None,
    strategy: str,
    given: Mapping[str, str],
    pieces: Sequence[str],
    problem: FormError | None = None,
) -> HttpResponse:
    known = find_provider(strategy)
    context = {
        "saved": saved,
        "strategy": known,
        "strategies": [(each.key, each.label) for each in PROVIDERS.values()],
        "given": given,
        "pieces": [(piece, piece.key in pieces) for piece in known.pieces] if known else [],
        "addresses": [(key, _address_words(key), given.get(key, "")) for key in _url_keys(strategy)],
        "moved": any(given.get(key) for key in _url_keys(strategy)),
        "settings": {field.key: given.get(SETTING + field.key, field.default) for field in known.settings}
        if known
        else {},
        "can_be_offline": bool(known and known.offline != ((), {})),
        "has_secret": bool(saved and saved.secret),
        "callback": callback_url(),
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/connection.html", context, status=400 if problem else 200)


def _piece_words(row: Connection) -> list[str]:
    known = PROVIDERS[row.strategy].pieces if row.strategy in PROVIDERS else ()
    return [piece.label.removeprefix("Your ").capitalize() for piece in known if piece.key in row.pieces]


def _url_keys(strategy: str) -> list[str]:
    known = find_provider(strategy)
    return url_keys(known) if known else []


def _address_words(key: str) -> str:
    return ADDRESS_WORDS.get(key) or f"Address of “{key}”"


def _empty(strategy: str) -> dict[str, str]:
    """A new connection of a known network has its names already."""
    known = PROVIDERS[strategy]
    names = {} if known.scoped_ids else {"name": known.key, "display_name": known.label}
    return {**names, "scopes": " ".join(known.scopes), "enabled": "on"}


def _written(saved: Connection) -> dict[str, str]:
    """A saved connection as its form was filled in, but for the secret."""
    return {
        **saved.urls,
        **{SETTING + key: value for key, value in saved.settings.items()},
        "name": saved.name,
        "display_name": saved.display_name,
        "client_id": saved.client_id,
        "scopes": " ".join(saved.scopes),
        "note": saved.note,
        "enabled": "on" if saved.enabled else "",
        "offline": "on" if saved.offline else "",
    }
