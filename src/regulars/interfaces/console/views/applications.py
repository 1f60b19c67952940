"""Applications: the company's own apps and machine clients, and the branding of their sign-in pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.errors import DomainError, Invalid
from regulars.base.text import distinct_lines
from regulars.base.tokens.jwt import ALGORITHM
from regulars.clients.branding import COLOURS, Branding, branding_of, checked, save_branding, stylesheet
from regulars.clients.models import Client
from regulars.clients.register import GRANT_TYPES, WITH_SECRET, ClientSpec, change, register, rotate_secret
from regulars.usecases.grant_purposes import ACCOUNT, management_grant, purposes_for_grants, set_purpose

from ..edits import FormContent, creating, editing
from ..forms import FormError, form_error, form_page, form_state
from ..pages import NO_ROLE, done, may, record_action, show, staff_page

ROLE = "admin"
BRANDING_ROLE = "marketer"
PREVIEW = "preview"
SCOPES = (".look-light", ".look-dark")  # of console.css: the two cards of the preview
GRANTS = dict(
    zip(
        GRANT_TYPES,
        (
            "Sign customers in",
            "Stay signed in (refresh tokens)",
            "Act as a machine, without a customer",
            "Get tokens straight from the browser (implicit: for Lock and older apps)",
            "Sign in on a device without a keyboard (device code)",
            "Sign in with a code by mail that the app itself asks for (passwordless)",
        ),
        strict=True,
    )
)
SWITCHES = ("embeds_login", "requires_second_factor", "signs_out_by_hint", "token_in_query")
METHODS = (
    (Client.AuthMethod.POST.value, "Secret in the request's body"),
    (Client.AuthMethod.BASIC.value, "Secret in the request's header"),
    (Client.AuthMethod.PRIVATE_KEY.value, "A signature with its own key"),
    (Client.AuthMethod.NONE.value, "None: a public app, in a browser or on a phone"),
)
DIALECTS = (
    (Client.Answers.AUTO.value, "By who asks: Auth0's for Auth0's SDKs, OpenID Connect's for everything else"),
    (Client.Answers.OPENID.value, "OpenID Connect's, always"),
    (Client.Answers.AUTH0.value, "Auth0's, always"),
)


@require_safe
@staff_page(read="marketer")
def applications(request: HttpRequest) -> HttpResponse:
    rows = [
        (row, [GRANTS.get(grant, grant) for grant in row.grant_types]) for row in Client.objects.order_by("name", "pk")
    ]
    return render(request, "console/applications.html", {"rows": rows, "may_write": may(request, ROLE)})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def application(request: HttpRequest, client_id: str = "") -> HttpResponse:
    """Show or save the form of an app. A new secret is only on the page that answers the POST that made it."""
    saved = _find(client_id) if client_id else None
    if request.method != "POST":
        given = (
            _typed(saved)
            if saved
            else {"auth_method": Client.AuthMethod.POST.value, "answers": Client.Answers.AUTO.value}
        )
        return _page(request, saved, given, saved.grant_types if saved else list(ClientSpec.grant_types))
    given, grants = request.POST.dict(), request.POST.getlist("grant_types")
    try:
        if saved is None:
            with creating(request) as sent:
                made, secret = register(_app(given, grants))
                sent.address, sent.secret = f"/console/applications/{made.pk}", bool(secret)
                return _saved(request, made, secret)
        with editing(request, saved, _shown) as row:
            made, secret = change(row, _app(given, grants))
            grant = management_grant(row)
            if grant and "reads_for" in given:
                set_purpose(grant, given["reads_for"])
                grant.save(update_fields=["purpose"])
            return _saved(request, made, secret)
    except DomainError as error:
        return _page(request, saved, given, grants, form_error(error))


def _saved(request: HttpRequest, made: Client, secret: str) -> HttpResponse:
    if secret:
        return _show_secret(request, made, secret, "application.saved")
    address = f"/console/applications/{made.pk}"
    return done(request, address, "application.saved", made.pk, f"{made.name} is saved.")


def _typed(saved: Client) -> dict[str, str]:
    """Return the form fields of a saved app, except the grant types."""
    grant = management_grant(saved)
    return {
        "name": saved.name,
        "auth_method": saved.auth_method,
        "redirect_uris": "\n".join(saved.redirect_uris),
        "logout_uris": "\n".join(saved.logout_uris),
        "web_origins": "\n".join(saved.web_origins),
        "answers": saved.answers,
        "jwks_uri": saved.jwks_uri,
        **{name: "on" if getattr(saved, name) else "" for name in SWITCHES},
        "initiate_login_uri": saved.initiate_login_uri,
        "userinfo_algorithm": saved.userinfo_algorithm,
        "default_max_age": "" if saved.default_max_age is None else str(saved.default_max_age),
        "reads_for": (grant.purpose if grant else "") or ACCOUNT,
    }


def _shown(saved: Client) -> FormContent:
    ticks = (*SWITCHES, "userinfo_algorithm")
    values = {name: bool(text) if name in ticks else text for name, text in _typed(saved).items()}
    return FormContent(
        saved.pk,
        ("application.saved",),
        {**values, "grant_types": list(saved.grant_types)},
        labels={
            "auth_method": "Authentication method",
            "redirect_uris": "Callbacks",
            "logout_uris": "Logout addresses",
            "jwks_uri": "Address of its public keys",
            "answers": "Form of answers",
            "reads_for": "Purpose of its calls to the Management API",
            "default_max_age": "Longest age of a sign-in",
            "initiate_login_uri": "Address that starts a login",
        },
    )


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def rotate(request: HttpRequest, client_id: str) -> HttpResponse:
    client = _find(client_id)
    return _show_secret(request, client, rotate_secret(client), "application.secret_rotated")


def _show_secret(request: HttpRequest, client: Client, secret: str, what: str) -> HttpResponse:
    """Answer directly, without a redirect: the secret is never kept anywhere to be shown later."""
    record_action(request, what, client.pk)
    return render(request, "console/secret.html", {"client": client, "secret": secret, "issuer": settings.ISSUER})


def _find(client_id: str) -> Client:
    client = Client.objects.filter(pk=client_id).first()
    if client is None:
        raise Http404("There is no such application.")
    return client


def _app(given: Mapping[str, str], grants: Sequence[str]) -> ClientSpec:
    return ClientSpec(
        name=given.get("name", ""),
        auth_method=given.get("auth_method", ""),
        grant_types=grants,
        redirect_uris=distinct_lines(given.get("redirect_uris", "")),
        logout_uris=distinct_lines(given.get("logout_uris", "")),
        web_origins=distinct_lines(given.get("web_origins", "")),
        answers=given.get("answers"),
        embeds_login=given.get("embeds_login") == "on",
        jwks_uri=given.get("jwks_uri", "").strip(),
        requires_second_factor=given.get("requires_second_factor") == "on",
        signs_out_by_hint=given.get("signs_out_by_hint") == "on",
        token_in_query=given.get("token_in_query") == "on",
        initiate_login_uri=given.get("initiate_login_uri", "").strip(),
        default_max_age=_seconds(given.get("default_max_age", "").strip()),
        userinfo_algorithm=ALGORITHM if given.get("userinfo_algorithm") else "",
    )


def _seconds(text: str) -> int:
    """Return the number, -1 for none. Raises `Invalid("bad_max_age")`."""
    if text and not (text.isascii() and text.isdigit() and len(text) < 11):
        raise Invalid("bad_max_age", "Write a number of seconds, or nothing.", "default_max_age")
    return int(text) if text else -1


def _page(
    request: HttpRequest,
    saved: Client | None,
    given: Mapping[str, str],
    grants: Sequence[str],
    problem: FormError | None = None,
) -> HttpResponse:
    context = {
        "saved": saved,
        "given": given,
        "grants": [(key, label, key in grants) for key, label in GRANTS.items()],
        "methods": METHODS,
        "dialects": DIALECTS,
        "issuer": settings.ISSUER,
        "public": bool(saved and saved.auth_method not in WITH_SECRET),
        "reads_for": [(each.key, each.label) for each in purposes_for_grants()]
        if saved and management_grant(saved)
        else [],
    }
    edits = _shown(saved) if saved else None
    return form_page(request, "console/application.html", context, role=ROLE, problem=problem, edits=edits)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="marketer")
def branding(request: HttpRequest, client_id: str) -> HttpResponse:
    """Show or save the branding. `do=preview` answers with the preview alone."""
    client = _find(client_id)
    if request.method != "POST":
        return _branding_page(request, client, asdict(branding_of(client)))
    given = request.POST.dict()
    try:
        if request.POST.get("do") == PREVIEW:
            checked(given)
            return _branding_page(request, client, given)
        with editing(request, client, _branding_shown) as row:
            save_branding(row, given)
            address = f"/console/applications/{row.pk}/branding"
            return done(request, address, "application.branded", row.pk, f"The pages of {row.name} are saved.")
    except DomainError as error:
        return _branding_page(request, client, given, form_error(error))


def _branding_shown(client: Client) -> FormContent:
    return FormContent(client.pk, ("application.branded",), asdict(branding_of(client)))


@require_safe
@staff_page(read="marketer")
def preview_stylesheet(request: HttpRequest) -> HttpResponse:
    """Return the variables of a branding that is not saved yet: the policy permits stylesheets, but no inline style."""
    return HttpResponse(stylesheet(_readable(request.GET.dict()), SCOPES), content_type="text/css; charset=utf-8")


def _branding_page(
    request: HttpRequest, client: Client, given: dict[str, str], problem: FormError | None = None
) -> HttpResponse:
    look = _readable(given)
    context = {
        "client": client,
        "given": given,
        "look": look,
        "title": look.title or client.name,
        "scopes": [(scope.removeprefix("."), name) for scope, name in zip(SCOPES, ("Light", "Dark"), strict=True)],
        "stylesheet": "/console/branding.css?" + urlencode({name: getattr(look, name) for name in COLOURS}),
        "problem": problem,
        "may_write": may(request, BRANDING_ROLE),
        "form_state": form_state(request, _branding_shown(client), problem),
    }
    is_preview = request.POST.get("do") == PREVIEW
    status = problem.status if problem and not is_preview else 200
    return show(request, "console/branding.html", context, PREVIEW if is_preview else "", status)


def _readable(given: dict[str, str]) -> Branding:
    """Return the branding as written, or the default while anything in it is refused."""
    try:
        return checked(given)
    except DomainError:
        return Branding()
