"""Tokens for a code that came by mail: apps without a browser, which asked for the code at /passwordless/start."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace

from regulars.accounts.factors.codes import is_enrolled
from regulars.accounts.models import Account
from regulars.accounts.proofs import codes
from regulars.base.errors import DomainError
from regulars.clients.cache import may_refresh
from regulars.clients.models import Client
from regulars.consent.view import served
from regulars.profiles.find import find_by_account
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block
from regulars.usecases.link_accounts import account_of
from regulars.usecases.login import Decision, Denied, InteractionRequired, Login, LoginContext, log_in
from regulars.usecases.passwordless import enter_by_mailbox

from . import refresh, sessions
from .asking import DEFAULT_LIFETIME, find_audience, scopes_of
from .errors import OAuthError
from .grants import Grant
from .tokens import claims_of

PROTOCOL = "oauth2-password"  # Auth0's context.protocol of grants that carry what she typed
WRONG = "Wrong email or verification code."


def redeem(client: Client, params: Mapping[str, str], jkt: str, caller: LoginContext) -> tuple[Grant, str]:
    """The grant and, with offline access, the first refresh token. `username`, `otp`, `realm`, `scope`, `audience`.

    `caller` is what the request says of whoever sent it.

    Raises `OAuthError`: `invalid_grant` for a wrong code, `mfa_required` for who has a second factor, and what rules say.
    """
    api = find_audience(params.get("audience", ""))
    scopes = scopes_of(params.get("scope", ""), api, client)
    account = _proved(client, params)
    profile = find_by_account(account.pk)
    if profile is None or sign_in_block(profile):
        raise OAuthError("unauthorized", "user is blocked")
    if is_enrolled(account):
        raise OAuthError("mfa_required", "Multifactor authentication required. Sign her in with a browser.", 403)
    audience, lifetime = (api.identifier, api.token_lifetime) if api else ("", DEFAULT_LIFETIME)
    grant = Grant(client.pk, profile.user_id, scopes, audience, lifetime, sid=secrets.token_hex(16), jkt=jkt)
    return _through_the_login(profile, client, grant, caller)


def _proved(client: Client, params: Mapping[str, str]) -> Account:
    email, digits = params.get("username", ""), params.get("otp", "")
    if not email or not digits:
        raise OAuthError("invalid_request", f"Missing required parameter: {'otp' if email else 'username'}")
    if params.get("realm", codes.CONNECTION) != codes.CONNECTION or not codes.is_open():
        raise OAuthError("invalid_request", "The realm is email, when codes by mail are switched on.")
    expected = codes.find_for_app(email, client)
    if expected is None or not codes.is_right(expected, digits) or not codes.use(expected):
        raise OAuthError("invalid_grant", WRONG)
    try:
        return account_of(enter_by_mailbox(expected.email, codes.CONNECTION))
    except DomainError:
        raise OAuthError("unauthorized", "user is blocked") from None


def _through_the_login(profile: Profile, client: Client, grant: Grant, caller: LoginContext) -> tuple[Grant, str]:
    now = time.time()
    visit = replace(
        caller,
        protocol=PROTOCOL,
        session_id=grant.sid,
        methods=[{"name": "email", "timestamp": int(now * 1000)}],
        connection=codes.CONNECTION,
        strategy=codes.STRATEGY,
        silent=True,
        proved=True,
    )

    def issue(decision: Decision) -> tuple[Grant, str]:
        decided = Grant(
            **{
                **grant.kept(),
                "scopes": decision.scopes,
                "auth_time": int(now),
                "amr": ["otp"],
                "id_token": {**claims_of(served(profile), decision.scopes), **decision.id_token},
                "access_token": decision.access_token,
            }
        )
        sessions.note(profile, grant.sid, client.pk, decision.id_token)
        offline = decided.is_offline and may_refresh(client)
        return decided, refresh.start(uuid.uuid4(), profile.pk, decided) if offline else ""

    match log_in(Login(profile, client, visit, grant.scopes), issue):
        case Denied() as denied:
            raise OAuthError(denied.error, denied.description)
        case InteractionRequired():
            raise OAuthError(
                "interaction_required", "A rule of this site wants her to see a page. Sign her in with a browser."
            )
        case (Grant() as decided, str(token)):
            return decided, token
    raise AssertionError("a login ends in one of three ways")
