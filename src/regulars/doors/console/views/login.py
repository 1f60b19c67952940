"""In and out."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from regulars.base.kit.errors import Refused

from .. import audit
from ..door import is_staff, local_address, page
from ..login import check

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def sign_in(request: HttpRequest) -> HttpResponse:
    """The login page; a GET of somebody signed in goes on, a POST checks and starts a fresh session."""
    if request.method == "POST":
        return _sign_in(request)
    if is_staff(request):
        return HttpResponseRedirect(_next(request))
    return render(request, "console/login.html", {"next": _next(request)})


@require_POST
@page
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect("/console/login")


def _sign_in(request: HttpRequest) -> HttpResponse:
    email = request.POST.get("email", "")
    try:
        account = check(request, email, request.POST.get("password", ""))
    except Refused as refused:
        context = {"next": _next(request), "email": email, "problem": refused.sentence}
        return render(
            request, "console/login.html", context, status=429 if refused.name == "too_many_attempts" else 401
        )
    logout(request)  # whoever was signed in on this browser is not this person: nothing of that session carries over
    login(request, account, backend=BACKEND)
    audit.note(request, "login.succeeded", account.email)
    return HttpResponseRedirect(_next(request))


def _next(request: HttpRequest) -> str:
    return local_address(request.POST.get("next") or request.GET.get("next") or "")
