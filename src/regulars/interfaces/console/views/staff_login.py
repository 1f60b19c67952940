"""Sign staff in and out: password, second factor, and setting up the second factor.

A second factor is required outside the demonstration; it is set up at the first sign-in. Guessing is slowed down as on
the customers' pages (`rate_limits`), and every failure is in the audit log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from regulars.accounts.devices import Site
from regulars.accounts.factors import authenticator_codes, passkeys
from regulars.accounts.models import Account
from regulars.accounts.passwords import find_staff
from regulars.accounts.rate_limits import attempting
from regulars.accounts.session_contents import STAFF_WAITING
from regulars.base.crypto import fingerprint
from regulars.base.email_address import canonical_email
from regulars.base.errors import DomainError, Invalid
from regulars.interfaces.pages.attempts import attempt_of, remember_browser, second_factor_attempt
from regulars.interfaces.pages.signed_in import client_ip

from ..pages import PROVED, is_staff, local_address, page, record_action

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
SECRET = "console_new_app"  # noqa: S105 - session key: the secret of an authenticator app that has not shown a code yet
PENDING_SECONDS = 600  # time to find the phone


@dataclass(frozen=True)
class PendingStaff:
    """A member of staff on these pages: between password and second factor, or signed in and setting one up."""

    account: Account
    is_signed_in: bool


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the login page, or redirect staff who are signed in; a POST checks and starts a fresh session."""
    after = _next(request)
    if request.method != "POST":
        if is_staff(request):
            return HttpResponseRedirect(after)
        return render(request, "console/login.html", {"next": after})
    email = request.POST.get("email", "")
    try:
        with attempting(attempt_of(request, "console", email, site=Site.CONSOLE)) as place:
            account = find_staff(email, request.POST.get("password", ""))
            if account is None:
                _record_failure(request, email)
                # one sentence for a wrong password and an unknown address: the page must not disclose who works here
                raise Invalid("wrong_credentials", "E-mail or password is not right.")
            place.succeed()
    except DomainError as error:
        context = {"next": after, "email": email, "problem": error.message}
        return render(request, "console/login.html", context, status=_status(error, 401))
    logout(request)  # a session of another account on this browser ends here: nothing of it carries over
    is_enrolled = authenticator_codes.is_enrolled(account)
    if settings.DEMO and not is_enrolled:
        return _finish(request, account, "password", after)
    request.session[STAFF_WAITING] = {"account": account.pk, "at": time.time()}  # in seconds since 1970
    step = "/console/login/second" if is_enrolled else "/console/login/setup"
    return HttpResponseRedirect(f"{step}?{urlencode({'next': after})}")


@require_POST
@page
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect("/console/login")


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@page
def second_factor(request: HttpRequest) -> HttpResponse:
    """`/console/login/second`: a code, a recovery code or a passkey, after the password."""
    pending = _pending(request)
    if pending is None or pending.is_signed_in:
        return HttpResponseRedirect(_next(request))
    problem, status = "", 200
    if request.method == "POST":
        try:
            how = _prove(request, pending.account, request.POST.get("code", ""), request.POST.get("credential", ""))
        except DomainError as error:
            problem, status = error.message, _status(error, 401)
        else:
            return _finish(request, pending.account, how, _next(request))
    context = {
        "problem": problem,
        "here": request.get_full_path(),
        "has_app": authenticator_codes.find(pending.account, authenticator_codes.Kind.TOTP),
        "has_passkey": passkeys.passkeys_of(pending.account),
    }
    return render(request, "console/login_second.html", context, status=status)


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@page
def setup(request: HttpRequest) -> HttpResponse:
    """`/console/login/setup`: an authenticator app or a passkey, at the first sign-in or later."""
    pending = _pending(request)
    if pending is None or authenticator_codes.is_enrolled(pending.account):
        return HttpResponseRedirect(_next(request))
    problem, status = "", 200
    if request.method == "POST":
        try:
            how = _set_up(request, pending, *(request.POST.get(name, "") for name in ("code", "credential", "name")))
        except DomainError as error:
            problem, status = error.message, _status(error, 422)
        else:
            after = "/console/login/codes?" + urlencode({"next": _next(request)})
            if pending.is_signed_in:
                request.session[PROVED] = True
                response: HttpResponse = HttpResponseRedirect(after)
            else:
                response = _finish(request, pending.account, how, after)
            record_action(request, "second_factor.added", pending.account.email, kind=how)
            return response
    setup = authenticator_codes.setup_of(
        pending.account, request.session.setdefault(SECRET, authenticator_codes.new_secret())
    )
    context = {
        "setup": setup,
        "problem": problem,
        "here": request.get_full_path(),
        "required": not settings.DEMO,
    }
    return render(request, "console/login_setup.html", context, status=status)


@require_POST
@page
def passkey_options(request: HttpRequest) -> HttpResponse:
    """`/console/login/passkey`: the challenge that the device signs; options to create one during the first set-up."""
    pending = _pending(request)
    if pending is None:
        return HttpResponse(status=403)
    make = passkeys.options_to_sign_in if authenticator_codes.is_enrolled(pending.account) else passkeys.options_to_add
    return JsonResponse(make(pending.account))


@require_http_methods(["GET", "POST"])
@page
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """`/console/login/codes`: the codes left, after a second factor in this session; a POST makes ten new ones."""
    pending = _pending(request)
    if pending is None or not pending.is_signed_in or not request.session.get(PROVED):
        return HttpResponseRedirect(_next(request))
    if request.method == "POST":
        authenticator_codes.new_recovery_codes(pending.account)
        record_action(request, "recovery_codes.made", pending.account.email)
    context = {
        "codes": authenticator_codes.recovery_codes(pending.account),
        "next": _next(request),
        "here": request.get_full_path(),
    }
    return render(request, "console/login_codes.html", context)


def _pending(request: HttpRequest) -> PendingStaff | None:
    kept = request.session.get(STAFF_WAITING)
    if kept and time.time() - kept["at"] < PENDING_SECONDS:
        account = Account.objects.filter(pk=kept["account"], is_staff=True, is_active=True).first()
        return PendingStaff(account, is_signed_in=False) if account else None
    user = request.user
    return PendingStaff(user, is_signed_in=True) if is_staff(request) and isinstance(user, Account) else None


def _prove(request: HttpRequest, account: Account, code: str, credential: str) -> str:
    """Return the kind of the second factor that is right. Raises `DomainError`: `too_many_attempts`, `wrong_code`, `bad_passkey`."""
    with attempting(second_factor_attempt(request, account, Site.CONSOLE)) as place:
        try:
            proof = passkeys.check(credential, account) if credential else authenticator_codes.check_code(account, code)
        except DomainError as error:
            _record_failure(request, account.email)
            if error.code == "copied_passkey":
                record_action(request, "second_factor.copied", account.email)
            raise
        if proof is None:
            _record_failure(request, account.email)
            message = "This code is not right, or was used before. Take the one that your app shows now."
            raise Invalid("wrong_code", message)
        place.succeed()
        return str(proof.type)


def _set_up(request: HttpRequest, pending: PendingStaff, code: str, credential: str, name: str) -> str:
    """Enrol an app or a passkey and return its kind. Raises `DomainError`."""
    account = pending.account
    with attempting(second_factor_attempt(request, account, Site.CONSOLE)) as place:
        added: Authenticator
        if credential:
            added = passkeys.add(account, credential, name)
        else:
            added = authenticator_codes.add_app(
                account, request.session.get(SECRET) or authenticator_codes.new_secret(), code
            )
            request.session.pop(SECRET, None)
        place.succeed()
        return str(added.type)


def _finish(request: HttpRequest, account: Account, how: str, after: str) -> HttpResponse:
    """Start the session. From now on attempts from elsewhere do not close this browser."""
    request.session.pop(STAFF_WAITING, None)
    login(request, account, backend=BACKEND)
    request.session[PROVED] = how != "password"
    record_action(request, "login.succeeded", account.email, how=how)
    response = HttpResponseRedirect(after)
    remember_browser(request, response, account.email, site=Site.CONSOLE)
    return response


def _record_failure(request: HttpRequest, email: str) -> None:
    """Record a failed attempt. The address is kept as a fingerprint: it may belong to a third party."""
    subject = fingerprint(canonical_email(email).lower())
    record_action(request, "login.failed", subject, ip=fingerprint(client_ip(request)))


def _status(error: DomainError, otherwise: int) -> int:
    return 429 if error.code == "too_many_attempts" else otherwise


def _next(request: HttpRequest) -> str:
    return local_address(request.POST.get("next") or request.GET.get("next") or "")
