"""Setting up an authenticator app, recovery codes and passkeys."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from regulars.accounts.factors import codes, passkeys
from regulars.accounts.models import Account
from regulars.base.errors import DomainError

from ..door import local_path, with_passkeys
from ..limits import count_attempt, give_back
from ..mail import tell
from .own import HERE, fresh_page

SECRET = "signin_new_app"  # noqa: S105 - session key: what her app is being told, until it has shown a code


@require_http_methods(["GET", "POST"])
@fresh_page
def app(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/app?next=`: a picture for the app's camera, then a code of the app. A passkey serves as well."""
    if codes.find(account, codes.Kind.TOTP):
        return HttpResponseRedirect(_next(request) or HERE)
    secret = request.session.setdefault(SECRET, codes.new_secret())
    if request.method == "GET":
        return _app_page(request, account, secret)
    name = f"account {account.pk}"
    try:
        count_attempt(request, "second", name)
        added = codes.add_app(account, secret, request.POST.get("code", ""))
    except DomainError as no:
        return _app_page(request, account, secret, no.message, 429 if no.code == "too_many_attempts" else 422)
    give_back(request, "second", name)
    del request.session[SECRET]
    return _added(request, account, added, "app_added")


@require_POST
@fresh_page
def passkey_options(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/passkeys/options`: what her device is asked to make."""
    return JsonResponse(passkeys.options_to_add(account))


@require_POST
@fresh_page
def add_passkey(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/passkeys?next=`: keeps what her device made, under the name she gave it."""
    try:
        added = passkeys.add(account, request.POST.get("credential", ""), request.POST.get("name", ""))
    except DomainError as no:
        context = {"title": "The passkey was not added", "sentence": no.message, "login": HERE}
        return render(request, "signin/words.html", {**context, "back": "Back to security"}, status=422)
    return _added(request, account, added, "passkey_added")


@require_http_methods(["GET", "POST"])
@fresh_page
def recovery_codes(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/codes?next=`: those left; a POST makes ten new ones."""
    if request.method == "POST":
        try:
            codes.new_recovery_codes(account)
        except DomainError:
            return HttpResponseRedirect(HERE)
        tell(account, "codes_made")
        return HttpResponseRedirect("/me/security/codes")
    context = {
        "codes": codes.recovery_codes(account),
        "onward": _next(request) or HERE,
        "is_new": "next" in request.GET,
    }
    return render(request, "signin/security/codes.html", context)


def _added(request: HttpRequest, account: Account, added: Authenticator, what: str) -> HttpResponse:
    """What she has set up she has also shown, here and now: this session has its second factor."""
    record_authentication(request, account, "mfa", id=added.pk, type=str(added.type))
    tell(account, what)
    return HttpResponseRedirect("/me/security/codes?" + urlencode({"next": _next(request) or HERE}))


def _app_page(
    request: HttpRequest, account: Account, secret: str, problem: str = "", status: int = 200
) -> HttpResponse:
    setup = codes.setup_of(account, secret)
    context = {
        "setup": setup,
        "picture": "data:image/svg+xml," + quote(setup.picture),
        "by_hand": " ".join(setup.secret[i : i + 4] for i in range(0, len(setup.secret), 4)),
        "problem": problem,
        "here": request.get_full_path(),
        "passkeys_here": "/me/security/passkeys?" + urlencode({"next": _next(request)}),
        "wanted_by_app": bool(_next(request)),
    }
    return with_passkeys(render(request, "signin/security/app.html", context, status=status))


def _next(request: HttpRequest) -> str:
    return local_path(request.GET["next"]) if request.GET.get("next") else ""
