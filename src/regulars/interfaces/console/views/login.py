"""In and out, the second factor between."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from regulars.accounts.factors import codes, passkeys
from regulars.accounts.models import Account
from regulars.base.errors import DomainError

from .. import audit
from ..door import PROVED, is_staff, local_address, page
from ..login import check
from ..second import SECRET, begin, prove, set_up, who


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


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@page
def second(request: HttpRequest) -> HttpResponse:
    """`/console/login/second`: a code, a recovery code or a passkey, after the password."""
    somebody = who(request)
    if somebody is None or somebody.is_in:
        return HttpResponseRedirect(_next(request))
    problem, status = "", 200
    if request.method == "POST":
        try:
            prove(request, somebody.account, request.POST.get("code", ""), request.POST.get("credential", ""))
        except DomainError as refused:
            problem, status = refused.message, _status(refused)
        else:
            return HttpResponseRedirect(_next(request))
    context = {
        "problem": problem,
        "here": request.get_full_path(),
        "has_app": codes.find(somebody.account, codes.Kind.TOTP),
        "has_passkey": passkeys.passkeys_of(somebody.account),
    }
    return render(request, "console/login_second.html", context, status=status)


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@page
def setup(request: HttpRequest) -> HttpResponse:
    """`/console/login/setup`: an authenticator app or a passkey, at the first sign-in or later."""
    somebody = who(request)
    if somebody is None or codes.is_enrolled(somebody.account):
        return HttpResponseRedirect(_next(request))
    problem, status = "", 200
    if request.method == "POST":
        given = (request.POST.get(name, "") for name in ("code", "credential", "name"))
        try:
            set_up(request, somebody, *given)
        except DomainError as refused:
            problem, status = refused.message, 429 if refused.code == "too_many_attempts" else 422
        else:
            return HttpResponseRedirect("/console/login/codes?" + urlencode({"next": _next(request)}))
    return _setup_page(request, somebody.account, problem, status)


@require_POST
@page
def passkey_options(request: HttpRequest) -> HttpResponse:
    """`/console/login/passkey`: what her device is asked to sign; to make, for who sets up her first factor."""
    somebody = who(request)
    if somebody is None:
        return HttpResponse(status=403)
    make = passkeys.options_to_sign_in if codes.is_enrolled(somebody.account) else passkeys.options_to_add
    return JsonResponse(make(somebody.account))


@require_http_methods(["GET", "POST"])
@page
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """`/console/login/codes`: those left, for who showed a second factor in this session; a POST makes ten new ones."""
    somebody = who(request)
    if somebody is None or not somebody.is_in or not request.session.get(PROVED):
        return HttpResponseRedirect(_next(request))
    if request.method == "POST":
        codes.new_recovery_codes(somebody.account)
        audit.note(request, "recovery_codes.made", somebody.account.email)
    context = {
        "codes": codes.recovery_codes(somebody.account),
        "next": _next(request),
        "here": request.get_full_path(),
    }
    return render(request, "console/login_codes.html", context)


def _setup_page(request: HttpRequest, account: Account, problem: str, status: int) -> HttpResponse:
    setup = codes.setup_of(account, request.session.setdefault(SECRET, codes.new_secret()))
    context = {
        "setup": setup,
        "picture": "data:image/svg+xml," + quote(setup.picture),
        "by_hand": " ".join(setup.secret[i : i + 4] for i in range(0, len(setup.secret), 4)),
        "problem": problem,
        "here": request.get_full_path(),
        "required": not settings.DEMO,
    }
    return render(request, "console/login_setup.html", context, status=status)


def _sign_in(request: HttpRequest) -> HttpResponse:
    email = request.POST.get("email", "")
    goes_to = _next(request)
    try:
        account = check(request, email, request.POST.get("password", ""))
    except DomainError as refused:
        context = {"next": goes_to, "email": email, "problem": refused.message}
        return render(request, "console/login.html", context, status=_status(refused))
    step = begin(request, account)
    return HttpResponseRedirect(f"{step}?{urlencode({'next': goes_to})}" if step else goes_to)


def _status(refused: DomainError) -> int:
    return 429 if refused.code == "too_many_attempts" else 401


def _next(request: HttpRequest) -> str:
    return local_address(request.POST.get("next") or request.GET.get("next") or "")
