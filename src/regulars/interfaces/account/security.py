"""`/me/security`: the customer's password, second factor, passkeys and sessions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlencode

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.accounts.devices import device
from regulars.accounts.factors import authenticator_codes, passkeys
from regulars.accounts.models import Account
from regulars.accounts.passwords import problems_with, rules_of, set_password
from regulars.accounts.rate_limits import attempting
from regulars.base.email_address import readable_email
from regulars.base.errors import DomainError
from regulars.connections.login_methods import PASSWORD_CONNECTION
from regulars.interfaces.pages.attempts import second_factor_attempt
from regulars.interfaces.pages.navigation import local_path
from regulars.interfaces.pages.response_policy import with_passkeys
from regulars.profiles.models import Profile
from regulars.usecases.account_mails import notify
from regulars.usecases.sign_out import end_session, end_sessions, sessions_of

from .require_login import customer_page

HERE = "/me/security"
MAX_ID = 2**63 - 1
SECRET = "account_new_app"  # noqa: S105 - session key: the secret of an app until it has shown a code
View = Callable[[HttpRequest, Account], HttpResponse]


def security_page(*, fresh: bool = False) -> Callable[[View], Callable[[HttpRequest], HttpResponseBase]]:
    """A page about the signed-in account; `fresh` as `customer_page`."""

    def decorate(view: View) -> Callable[[HttpRequest], HttpResponseBase]:
        @customer_page(fresh=fresh, home=HERE)
        @wraps(view)
        def opened(request: HttpRequest, profile: Profile) -> HttpResponse:
            assert profile.account  # it is the account of the session
            return view(request, profile.account)

        return opened

    return decorate


@require_safe
@security_page()
def overview(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security`: password, second factor, passkeys, and sessions."""
    app = authenticator_codes.find(account, authenticator_codes.Kind.TOTP)
    context = {
        "email": readable_email(account.email),
        "has_password": account.has_usable_password(),
        "app": app,
        "passkeys": [(key, key.wrap().name) for key in passkeys.passkeys_of(account)],
        "enrolled": authenticator_codes.is_enrolled(account),
        "spare": len(authenticator_codes.recovery_codes(account)),
        "sessions": [_row(session, request) for session in sessions_of(account)],
    }
    return with_passkeys(render(request, "account/security.html", context))


@require_POST
@security_page()
def sign_out_sessions(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/sessions/end`: the session with the number in `session`, or every other one. It asks for no fresh
    authentication: who sees an unknown session must be quick.
    """
    wanted = request.POST.get("session", "")
    if wanted == "others":
        end_sessions(account, but=request.session.session_key or "")
    elif number := number_of(wanted):
        end_session(account, number)
    return HttpResponseRedirect(HERE)


@require_POST
@security_page(fresh=True)
def remove_factor(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/remove`: the app or passkey with the number in `factor`."""
    with transaction.atomic():  # no change without its notice
        removed = authenticator_codes.remove(account, number_of(request.POST.get("factor", "")))
        if removed is not None:
            notify(account, "passkey_removed" if removed.type == authenticator_codes.Kind.WEBAUTHN else "app_removed")
    return HttpResponseRedirect(HERE)


def number_of(text: str) -> int:
    """A row's number; 0, which no row has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_ID else 0


def _row(session: UserSession, request: HttpRequest) -> dict[str, object]:
    return {
        "number": session.pk,
        "device": device(session.user_agent),
        "ip": session.ip,
        "since": session.created_at,
        "is_this": session.session_key == request.session.session_key,
    }


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@security_page(fresh=True)
def change_password(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/password`: the session is fresh, so the old password is not asked. Every other session ends."""
    if not account.has_usable_password():
        return HttpResponseRedirect(HERE)
    if request.method == "GET":
        context = {"email": readable_email(account.email), "rules": rules_of(PASSWORD_CONNECTION)}
        return render(request, "account/password.html", context)
    password = request.POST.get("password", "")
    if problems := problems_with(password, account, PASSWORD_CONNECTION):
        context = {
            "email": readable_email(account.email),
            "problem": " ".join(problems),
            "rules": rules_of(PASSWORD_CONNECTION),
        }
        return render(request, "account/password.html", context, status=422)
    _change_password(request, account, password)
    return HttpResponseRedirect(HERE)


@transaction.atomic
def _change_password(request: HttpRequest, account: Account, password: str) -> None:
    set_password(account, password, PASSWORD_CONNECTION)
    end_sessions(account, but=request.session.session_key or "")
    notify(account, "password_changed")
    # Not Django's `update_session_auth_hash`, which gives the session another key: apps know this one by its sid.
    request.session[HASH_SESSION_KEY] = account.get_session_auth_hash()


@require_http_methods(["GET", "POST"])
@security_page(fresh=True)
def authenticator_app(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/app?next=&demanded=`: a QR code for the app, then a code of the app. A passkey serves as well.

    With `next` an application asks for it: its customer may go on without, unless it is `demanded`.
    """
    if authenticator_codes.find(account, authenticator_codes.Kind.TOTP):
        return HttpResponseRedirect(_next(request) or HERE)
    secret = request.session.setdefault(SECRET, authenticator_codes.new_secret())
    if request.method == "GET":
        return _app_page(request, account, secret)
    try:
        with attempting(second_factor_attempt(request, account)) as place:
            with transaction.atomic():
                added = authenticator_codes.add_app(account, secret, request.POST.get("code", ""))
                notify(account, "app_added")
            place.succeed()
    except DomainError as error:
        return _app_page(request, account, secret, error.message, 429 if error.code == "too_many_attempts" else 422)
    del request.session[SECRET]
    return _added(request, account, added)


@require_POST
@security_page(fresh=True)
def passkey_options(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/passkeys/options`: what the device is asked to create."""
    return JsonResponse(passkeys.options_to_add(account))


@require_POST
@security_page(fresh=True)
def add_passkey(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/passkeys?next=`: save the created passkey under the name that the customer entered."""
    try:
        with transaction.atomic():
            added = passkeys.add(account, request.POST.get("credential", ""), request.POST.get("name", ""))
            notify(account, "passkey_added")
    except DomainError as error:
        context = {"title": gettext_noop("The passkey was not added"), "sentence": error.message, "login": HERE}
        return render(request, "pages/message.html", {**context, "back": gettext_noop("Back to security")}, status=422)
    return _added(request, account, added)


@require_http_methods(["GET", "POST"])
@security_page(fresh=True)
def recovery_codes(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/codes?next=`: the codes left; a POST makes ten new ones."""
    if request.method == "POST":
        try:
            with transaction.atomic():
                authenticator_codes.new_recovery_codes(account)
                notify(account, "codes_made")
        except DomainError:
            return HttpResponseRedirect(HERE)
        return HttpResponseRedirect("/me/security/codes")
    context = {
        "codes": authenticator_codes.recovery_codes(account),
        "onward": _next(request) or HERE,
        "is_new": "next" in request.GET,
    }
    return render(request, "account/recovery_codes.html", context)


def _added(request: HttpRequest, account: Account, added: Authenticator) -> HttpResponse:
    """Record the new factor as shown: it was used here and now, so this session has its second factor."""
    record_authentication(request, account, "mfa", id=added.pk, type=str(added.type))
    return HttpResponseRedirect("/me/security/codes?" + urlencode({"next": _next(request) or HERE}))


def _app_page(
    request: HttpRequest, account: Account, secret: str, problem: str = "", status: int = 200
) -> HttpResponse:
    setup = authenticator_codes.setup_of(account, secret)
    context = {
        "setup": setup,
        "problem": problem,
        "here": request.get_full_path(),
        "passkeys_here": "/me/security/passkeys?" + urlencode({"next": _next(request)}),
        "without": _next(request),
        "is_demanded": request.GET.get("demanded") == "1",
    }
    return with_passkeys(render(request, "account/authenticator_app.html", context, status=status))


def _next(request: HttpRequest) -> str:
    return local_path(request.GET["next"]) if request.GET.get("next") else ""
