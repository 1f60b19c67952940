"""How the sign-in pages look to whoever comes from one application, with a preview that follows what is written."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from regulars.base.errors import DomainError
from regulars.clients.branding import COLOURS, Branding, branding_of, checked, save_branding, stylesheet
from regulars.clients.models import Client

from ..door import may, require, show, staff_page
from ..forms import FormError, done, problem_of
from .applications import find

ROLE = "marketer"
PREVIEW = "preview"
SCOPES = (".look-light", ".look-dark")  # of console.css: the two cards of the preview


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def branding(request: HttpRequest, client_id: str) -> HttpResponse:
    """The form. `do=preview` answers with the preview alone; anything else saves."""
    client = find(client_id)
    if request.method != "POST":
        return _page(request, client, asdict(branding_of(client)))
    require(request, ROLE)
    given = request.POST.dict()
    try:
        if request.POST.get("do") == PREVIEW:
            checked(given)
            return _page(request, client, given)
        save_branding(client, given)
    except DomainError as refused:
        return _page(request, client, given, problem_of(refused))
    address = f"/console/applications/{client.pk}/branding"
    return done(request, address, "application.branded", client.pk, f"The pages of {client.name} are saved.")


@require_safe
@staff_page
def preview_stylesheet(request: HttpRequest) -> HttpResponse:
    """The variables of a look that is not saved yet: a policy without inline style leaves a stylesheet's address."""
    return HttpResponse(stylesheet(_readable(request.GET.dict()), SCOPES), content_type="text/css; charset=utf-8")


def _page(
    request: HttpRequest, client: Client, given: dict[str, str], problem: FormError | None = None
) -> HttpResponse:
    look = _readable(given)
    context = {
        "client": client,
        "given": given,
        "look": look,
        "title": look.title or client.name,
        "scopes": [(scope.removeprefix("."), words) for scope, words in zip(SCOPES, ("Light", "Dark"), strict=True)],
        "stylesheet": "/console/branding.css?" + urlencode({name: getattr(look, name) for name in COLOURS}),
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    is_preview = request.POST.get("do") == PREVIEW
    status = 400 if problem and not is_preview else 200
    return show(request, "console/branding.html", context, PREVIEW if is_preview else "", status)


def _readable(given: dict[str, str]) -> Branding:
    """What the preview shows: the look as written, or the house's own while something in it is refused."""
    try:
        return checked(given)
    except DomainError:
        return Branding()
