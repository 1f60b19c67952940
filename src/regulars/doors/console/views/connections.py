"""Connections: the ways in that the business offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.kit.errors import Refused
from regulars.profiles.connect import Way, save_connection, switch_connection
from regulars.profiles.models import Connection
from regulars.profiles.pieces import STRATEGIES

from ..door import may, require, staff_page
from ..forms import Problem, done, problem_of

ROLE = "admin"


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
    strategy = saved.strategy if saved else asked if asked in STRATEGIES else "oidc"
    if request.method != "POST":
        given = _written(saved) if saved else _empty(strategy)
        return _page(request, saved, strategy, given, saved.pieces if saved else [])
    require(request, ROLE)
    given, pieces = request.POST.dict(), request.POST.getlist("pieces")
    try:
        made = save_connection(_way(given, strategy, pieces), saved)
    except Refused as refused:
        return _page(request, saved, strategy, given, pieces, problem_of(refused))
    sentence = f"{made.display_name} is saved."
    return done(request, f"/console/connections/{made.name}", "connection.saved", made.name, sentence)


def callback_url() -> str:
    """The one address that every provider must have registered."""
    return f"{settings.PUBLIC_URL}/login/callback"


def _way(given: Mapping[str, str], strategy: str, pieces: Sequence[str]) -> Way:
    return Way(
        name=given.get("name", "").strip(),
        strategy=strategy,
        display_name=given.get("display_name", ""),
        client_id=given.get("client_id", ""),
        secret=given.get("secret", "").strip(),
        issuer=given.get("issuer", "").strip(),
        people_url=given.get("people", "").strip(),
        scopes=given.get("scopes", "").split(),
        pieces=pieces,
        note=given.get("note", ""),
        enabled=given.get("enabled") == "on",
    )


def _page(
    request: HttpRequest,
    saved: Connection | None,
    strategy: str,
    given: Mapping[str, str],
    pieces: Sequence[str],
    problem: Problem | None = None,
) -> HttpResponse:
    known = STRATEGIES.get(strategy)
    context = {
        "saved": saved,
        "strategy": known,
        "strategies": [(each.key, each.label) for each in STRATEGIES.values()],
        "given": given,
        "pieces": [(piece, piece.key in pieces) for piece in known.pieces] if known else [],
        "has_secret": bool(saved and saved.secret),
        "callback": callback_url(),
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/connection.html", context, status=400 if problem else 200)


def _piece_words(row: Connection) -> list[str]:
    known = STRATEGIES[row.strategy].pieces if row.strategy in STRATEGIES else ()
    return [piece.label.removeprefix("Your ").capitalize() for piece in known if piece.key in row.pieces]


def _empty(strategy: str) -> dict[str, str]:
    google = strategy == "google-oauth2"
    names = {"name": "google-oauth2", "display_name": "Google"} if google else {}
    return {**names, "scopes": " ".join(STRATEGIES[strategy].scopes), "enabled": "on"}


def _written(saved: Connection) -> dict[str, str]:
    """A saved connection as its form was filled in, but for the secret."""
    return {
        "name": saved.name,
        "display_name": saved.display_name,
        "client_id": saved.client_id,
        "issuer": saved.urls.get("issuer", ""),
        "people": saved.urls.get("people", ""),
        "scopes": " ".join(saved.scopes),
        "note": saved.note,
        "enabled": "on" if saved.enabled else "",
    }
