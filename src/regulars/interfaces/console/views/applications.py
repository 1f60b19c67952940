"""Applications: the company's own apps and machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.errors import DomainError
from regulars.clients.models import Client
from regulars.clients.register import GRANT_TYPES, WITH_SECRET, App, change, register, rotate_secret

from .. import audit
from ..door import may, require, staff_page
from ..forms import FormError, done, lines, problem_of

ROLE = "admin"
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
METHODS = (
    (Client.AuthMethod.POST.value, "Secret in the request's body"),
    (Client.AuthMethod.BASIC.value, "Secret in the request's header"),
    (Client.AuthMethod.PRIVATE_KEY.value, "A signature with its own key (set by the Management API)"),
    (Client.AuthMethod.NONE.value, "None: a public app, in a browser or on a phone"),
)


@require_safe
@staff_page
def applications(request: HttpRequest) -> HttpResponse:
    rows = [
        (row, [GRANTS.get(grant, grant) for grant in row.grant_types]) for row in Client.objects.order_by("name", "pk")
    ]
    return render(request, "console/applications.html", {"rows": rows, "may_write": may(request, ROLE)})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def application(request: HttpRequest, client_id: str = "") -> HttpResponse:
    """The form of an app. Its secret is on the page that answers the POST which made it, and never again."""
    saved = find(client_id) if client_id else None
    if request.method != "POST":
        given = _written(saved) if saved else {"auth_method": Client.AuthMethod.POST.value}
        return _page(request, saved, given, saved.grant_types if saved else list(App.grant_types))
    require(request, ROLE)
    given, grants = request.POST.dict(), request.POST.getlist("grant_types")
    try:
        made, secret = change(saved, _app(given, grants)) if saved else register(_app(given, grants))
    except DomainError as refused:
        return _page(request, saved, given, grants, problem_of(refused))
    if secret:
        return _show_secret(request, made, secret, "application.saved")
    address = f"/console/applications/{made.pk}"
    return done(request, address, "application.saved", made.pk, f"{made.name} is saved.")


@require_POST
@staff_page
def rotate(request: HttpRequest, client_id: str) -> HttpResponse:
    require(request, ROLE)
    client = find(client_id)
    return _show_secret(request, client, rotate_secret(client), "application.secret_rotated")


def _show_secret(request: HttpRequest, client: Client, secret: str, what: str) -> HttpResponse:
    """Answered at once and not after a redirect: the secret is never kept anywhere to be shown later."""
    audit.note(request, what, client.pk)
    return render(request, "console/secret.html", {"client": client, "secret": secret, "issuer": settings.ISSUER})


def find(client_id: str) -> Client:
    client = Client.objects.filter(pk=client_id).first()
    if client is None:
        raise Http404("There is no such application.")
    return client


def _app(given: Mapping[str, str], grants: Sequence[str]) -> App:
    return App(
        name=given.get("name", ""),
        auth_method=given.get("auth_method", ""),
        grant_types=grants,
        redirect_uris=lines(given.get("redirect_uris", "")),
        logout_uris=lines(given.get("logout_uris", "")),
        web_origins=lines(given.get("web_origins", "")),
        embeds_login=given.get("embeds_login") == "on",
    )


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
        "issuer": settings.ISSUER,
        "public": bool(saved and saved.auth_method not in WITH_SECRET),
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/application.html", context, status=400 if problem else 200)


def _written(saved: Client) -> dict[str, str]:
    return {
        "name": saved.name,
        "auth_method": saved.auth_method,
        "redirect_uris": "\n".join(saved.redirect_uris),
        "logout_uris": "\n".join(saved.logout_uris),
        "web_origins": "\n".join(saved.web_origins),
        "embeds_login": "on" if saved.embeds_login else "",
    }
