"""The page itself."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.accounts.factors import codes, passkeys
from regulars.accounts.models import Account
from regulars.usecases.sign_out import end_session, end_sessions, sessions_of

from ..door import with_passkeys
from ..mail import tell
from .devices import device
from .own import HERE, fresh_page, own_page

MAX_ID = 2**63 - 1


@require_safe
@own_page
def overview(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security`: password, second factor, passkeys, and where she is signed in."""
    app = codes.find(account, codes.Kind.TOTP)
    context = {
        "email": account.email,
        "has_password": account.has_usable_password(),
        "app": app,
        "passkeys": [(key, key.wrap().name) for key in passkeys.passkeys_of(account)],
        "enrolled": codes.is_enrolled(account),
        "spare": len(codes.recovery_codes(account)),
        "sessions": [_row(session, request) for session in sessions_of(account)],
    }
    return with_passkeys(render(request, "signin/security/overview.html", context))


@require_POST
@own_page
def end(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/sessions/end`: the session with the number in `session`, or every other one. Asks for no fresh proof:
    whoever sees a stranger in the list must be quick.
    """
    wanted = request.POST.get("session", "")
    if wanted == "others":
        end_sessions(account, but=request.session.session_key or "")
    elif number := number_of(wanted):
        end_session(account, number)
    return HttpResponseRedirect(HERE)


@require_POST
@fresh_page
def remove(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/remove`: the app or passkey with the number in `factor`."""
    from_account = codes.remove(account, number_of(request.POST.get("factor", "")))
    if from_account is not None:
        tell(account, "passkey_removed" if from_account.type == codes.Kind.WEBAUTHN else "app_removed")
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
