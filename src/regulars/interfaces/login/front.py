"""The front door, and the way out."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from .door import customer, onward, page


@require_safe
@page
def front(request: HttpRequest) -> HttpResponse:
    """`/`: who is signed in here, and the way in or out."""
    return render(request, "signin/front.html", {"known_as": _known_as(request)})


@require_http_methods(["GET", "POST"])
@page
def logout(request: HttpRequest) -> HttpResponse:
    """`/logout?next=`: a page with a button; the button ends the session and leads on."""
    if request.method == "POST":
        get_adapter().logout(request)
        return HttpResponseRedirect(onward(request))
    return render(request, "signin/logout.html", {"known_as": _known_as(request)})


def _known_as(request: HttpRequest) -> str:
    profile = customer(request)
    if profile is None:
        return ""
    return str(profile.document.get("name") or profile.document.get("email") or "a customer")
