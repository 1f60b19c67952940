"""Authorize an app: from its request and the customer's session to a code and tokens, or to a page in between.

`CHECKS` are passed in order by /authorize. Each one may require an interaction of the customer with a page, or raise.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from regulars.base.errors import DomainError, NotFound
from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind
from regulars.oauth import consents
from regulars.oauth.authorization_codes import family_of, issue_code
from regulars.oauth.authorization_request import MULTI_FACTOR, AuthorizationRequest, SecondFactor
from regulars.oauth.browser_session import BrowserSession
from regulars.oauth.device_codes import allow_device, request_of
from regulars.oauth.grant import TokenDecision, build_grant
from regulars.oauth.interactions import Wait, delete_interaction, resume_url, save_interaction, with_query
from regulars.oauth.models import DeviceRequest, PendingLogin
from regulars.oauth.protocol_errors import OAuthError
from regulars.oauth.sessions import add_client, other_clients_in
from regulars.oauth.tokens import front_channel_tokens
from regulars.profiles.find import find_by_user_id

from .login import (
    NO_SECOND_FACTOR,
    SECOND_FACTOR_PAGE,
    Denied,
    InteractionRequired,
    Login,
    LoginContext,
    log_in,
)
from .login_context import BACK_FROM_RULE, authenticated
from .login_progress import LoginProgress

DEMANDED = "demanded"  # tells the sign-in page that the second factor of `acr_values` cannot be declined
SILENT_SECOND_FACTOR = "Multifactor authentication required"
TICKET = "login_ticket"  # proof of a login on a page of the app; the sign-in page makes a session of it
PASSED_ON = ("login_hint", "screen_hint", "connection", "ui_locales", "acr_values", TICKET)  # to the sign-in page
# Auth0's values of context.protocol
CODE_FLOW, IMPLICIT_FLOW, HYBRID_FLOW = "oidc-basic-profile", "oidc-implicit-profile", "oidc-hybrid-profile"
DEVICE_FLOW = "oauth2-device-code"
CONSENT_REQUIRED = "consent_required", "Consent required"


@dataclass
class AuthorizationContext:
    """One request at /authorize. `pending` is saved only when the browser is sent to a page.

    `browser` describes the HTTP request. `is_authenticated` is true for sessions of staff too, who are no customers.
    """

    request: AuthorizationRequest
    pending: PendingLogin
    progress: LoginProgress
    session: BrowserSession | None
    browser: LoginContext
    is_authenticated: bool = False

    @property
    def came_from(self) -> str:
        """The page that the browser comes back from; empty on the first request."""
        return self.pending.waits_for

    @property
    def customer(self) -> BrowserSession:
        assert self.session is not None
        return self.session

    def interaction(self, wait: str) -> str:
        """Save the login until the browser comes back from a page. Returns its new state."""
        self.pending.progress = self.progress.to_json()
        return save_interaction(self.pending, wait)

    def start_anew(self) -> None:
        """Forget all decisions: they are made again after the customer authenticated."""
        self.progress, self.pending.posted = LoginProgress(), {}


def authorize(context: AuthorizationContext) -> dict[str, Any] | InteractionRequired:
    """Return code and tokens, or the page that the browser must visit first. Raises `OAuthError`."""
    for check in CHECKS:
        interaction = check(context)
        if interaction:
            return interaction
    request, customer = context.request, context.customer
    login = Login(customer.profile, request.client, _login_context(context), request.scopes, context.progress)
    login.single_claims = [*request.id_token_claims, *request.userinfo_claims]
    try:
        outcome = log_in(login, lambda decision: _issue(context, decision))
    except NotFound as missing:
        if missing.code != "customer_erased":
            raise
        return _to_sign_in_after_erasure(context)
    context.progress = login.progress
    match outcome:
        case Denied() as denied:
            raise OAuthError(denied.error, denied.description)
        case InteractionRequired() as interaction:
            # The page of a rule, a question or the second factor, with the address that resumes this login.
            if request.is_silent and interaction.reason == Wait.LOGIN:
                raise OAuthError("interaction_required", SILENT_SECOND_FACTOR)
            if request.is_silent:
                raise OAuthError("interaction_required", "A page must be shown first. Sign in without prompt=none.")
            state = context.interaction(interaction.reason)
            is_rule = interaction.reason == Wait.RULE
            onward = {"state": state} if is_rule else {"next": resume_url(context.pending, state)}
            return InteractionRequired(interaction.reason, with_query(interaction.url, onward))
        case dict(answer):
            return answer
    raise AssertionError("a login ends in one of three ways")


def check_session(context: AuthorizationContext) -> InteractionRequired | None:
    """There is a session of a customer, as fresh and as strong as the app requires."""
    session, request = context.session, context.request
    if session and _is_fresh(session, context):
        return None if "mfa" in session.amr else _second_factor(context)
    if request.params.get(TICKET) and context.came_from != Wait.LOGIN:
        return _to_sign_in(context, again=True)
    # A browser that comes from the sign-in page without a session would be sent there again for ever.
    if request.is_silent or context.came_from == Wait.LOGIN:
        raise OAuthError("login_required", "Login required")
    return _to_sign_in(context, again=context.is_authenticated or "login" in request.prompts)


def _to_sign_in_after_erasure(context: AuthorizationContext) -> InteractionRequired:
    """Go on without the account and the session, which an erasure deleted while this login was under way."""
    context.session, context.pending.account, context.is_authenticated = None, None, False
    if context.request.is_silent:
        raise OAuthError("login_required", "Login required")
    return _to_sign_in(context, again=False)


def _second_factor(context: AuthorizationContext) -> InteractionRequired | None:
    """Ask for the second factor. A wish is made once, at the beginning of a login, and without it the login goes on."""
    wanted, is_silent = context.request.second_factor, context.request.is_silent
    if wanted == SecondFactor.NOT_ASKED or (wanted == SecondFactor.WISHED and (is_silent or context.came_from)):
        return None
    if is_silent:
        raise OAuthError("interaction_required", SILENT_SECOND_FACTOR)
    if context.came_from == Wait.LOGIN:
        raise OAuthError("unmet_authentication_requirements", NO_SECOND_FACTOR)
    return _to_sign_in(context, again=False)


def _is_fresh(session: BrowserSession, context: AuthorizationContext) -> bool:
    at = session.auth_time or 0.0
    if at > context.pending.started_at.timestamp():
        return True
    if context.request.prompts & {"login", "select_account"} or context.request.params.get(TICKET):
        return False
    return context.request.max_age is None or time.time() - at <= context.request.max_age


def check_hinted_customer(context: AuthorizationContext) -> InteractionRequired | None:
    """The signed-in customer is the one of `id_token_hint` (OpenID Connect Core 3.1.2.1) and of a requested `sub` (5.5.1)."""
    wanted = [
        sub for sub in (_hinted_sub(context.request.params.text("id_token_hint")), context.request.claims.sub) if sub
    ]
    found = {None if profile is None else profile.pk for profile in map(find_by_user_id, wanted)}
    if found <= {context.customer.profile.pk}:
        return None
    if context.request.is_silent and not consents.has_consent(context.customer.profile, context.request):
        raise OAuthError(*CONSENT_REQUIRED)  # as for the right customer: an app learns of no one who allowed it nothing
    if context.request.is_silent or context.came_from == Wait.LOGIN:
        raise OAuthError("login_required", "The customer whom the app named is not signed in.")
    return _to_sign_in(context, again=True)


def _hinted_sub(hint: str) -> str:
    """Return the customer of an ID token, which may have expired. A hint that cannot be read names no one."""
    try:
        return str(verify(hint, kinds=[TokenKind.ID], allow_expired=True).get("sub", "")) if hint else ""
    except DomainError:
        return ""


def check_may_sign_in(context: AuthorizationContext) -> None:
    if not context.customer.may_sign_in:
        raise OAuthError("unauthorized", "user is blocked")


def check_same_account(context: AuthorizationContext) -> None:
    """Decisions for another account in this browser do not count for this one."""
    account = context.customer.account
    if context.pending.account_id != account.pk:
        context.pending.account = account
        context.start_anew()
        context.browser = replace(context.browser, protocol="")


def check_consent(context: AuthorizationContext) -> InteractionRequired | None:
    request = context.request
    must_ask = "consent" in request.prompts and not request.client.first_party
    if context.progress.consented or (not must_ask and consents.has_consent(context.customer.profile, request)):
        return None
    if request.is_silent:
        raise OAuthError(*CONSENT_REQUIRED)
    state = context.interaction(Wait.CONSENT)
    return InteractionRequired(Wait.CONSENT, "/authorize/consent?" + urlencode({"state": state}))


CHECKS: list[Callable[[AuthorizationContext], InteractionRequired | None]] = [
    check_session,
    check_hinted_customer,
    check_may_sign_in,
    check_same_account,
    check_consent,
]


def _to_sign_in(context: AuthorizationContext, again: bool) -> InteractionRequired:
    """Return the sign-in page. `again`: the customer must authenticate anew, and their return must prove that."""
    context.start_anew()
    request = context.request
    hints = {name: request.params[name] for name in PASSED_ON if request.params.get(name)}
    if request.second_factor:
        hints["acr_values"] = MULTI_FACTOR
    if request.second_factor == SecondFactor.DEMANDED:
        hints[DEMANDED] = "1"
    needs_state = again or context.pending.pushed or bool(request.second_factor)
    if not needs_state and request.max_age is None and not request.prompts:
        next_ = "/authorize?" + urlencode(context.pending.params)
    else:
        next_ = resume_url(context.pending, context.interaction(Wait.LOGIN))
    prompt = {"prompt": "login"} if again else {}
    return InteractionRequired(Wait.LOGIN, "/login?" + urlencode({"next": next_, **hints, **prompt}))


def _issue(context: AuthorizationContext, decision: TokenDecision) -> dict[str, Any]:
    request, profile = context.request, context.customer.profile
    delete_interaction(context.pending)
    grant = build_grant(context.customer.authentication(), request, decision)
    code = issue_code(profile, grant) if "code" in request.response_types else ""
    add_client(profile, grant.sid, grant.client_id, decision.id_token)
    grant_id = family_of(code).hex if code else ""
    in_browser = replace(grant, lifetime=request.front_channel_lifetime, jkt="", grant_id=grant_id)
    return {**({"code": code} if code else {}), **front_channel_tokens(in_browser, request.response_types, code)}


def _login_context(context: AuthorizationContext) -> LoginContext:
    request, session, browser = context.request, context.customer, context.browser
    is_back = browser.protocol == BACK_FROM_RULE
    if request.response_types == {"code"}:
        flow = CODE_FLOW
    else:
        flow = HYBRID_FLOW if "code" in request.response_types else IMPLICIT_FLOW
    # A ticket leads here only through the session that it just made.
    proved = bool(request.params.get(TICKET))
    return replace(
        authenticated(browser, session.authentication()),
        protocol=BACK_FROM_RULE if is_back else flow,
        query=browser.query if is_back else dict(request.params),
        body=context.pending.posted,
        other_clients=lambda: other_clients_in(session.sid, request.client_id),
        locale=_language(request.params.text("ui_locales").split(), browser),
        silent=request.is_silent,
        proved=proved,
        busy=bool(request.second_factor) or request.params.get("ask") == "0",
    )


def _language(asked: list[str], browser: LoginContext) -> str:
    """Return the language of a question: the journey's, as precisely as the app named it; else what the app asked for.

    An app may ask for a language that only the business has texts in.
    """
    if not browser.named_locale:
        return (asked or [browser.locale])[0]
    language = browser.named_locale.partition("-")[0]
    return next((tag for tag in asked if tag.lower().partition("-")[0] == language), browser.named_locale)


class AlreadyAnsweredError(Exception):
    """The device has an answer already. It undoes the transaction, so that no login is counted for the second answer."""


def authorize_device(
    row: DeviceRequest,
    session: BrowserSession,
    browser: LoginContext,
    progress: LoginProgress,
    *,
    notice: str,
    locale: str,
) -> tuple[InteractionRequired | Denied | None, LoginProgress]:
    """Let the customer log in on a device. Returns what stopped the login, if anything, and its progress.

    `notice` is the hash of the page on which they allowed it, in the language `locale`: what an app of another company may
    have is recorded with it. Raises `AlreadyAnsweredError`, and `NoticeChangedError` as `consents.record_consent`.
    """
    if row.client.requires_second_factor and "mfa" not in session.amr:
        return InteractionRequired(Wait.LOGIN, SECOND_FACTOR_PAGE), progress
    request = request_of(row)
    context = replace(authenticated(browser, session.authentication()), protocol=DEVICE_FLOW)
    login = Login(session.profile, row.client, context, request.scopes, progress)

    def allow(decision: TokenDecision) -> None:
        """The device gets a session of its own: signing out at the browser does not end it."""
        grant = build_grant(session.authentication(sid=secrets.token_hex(16)), request, decision)
        if not allow_device(row, session.profile, grant):
            raise AlreadyAnsweredError
        if consents.needs_consent(request):
            consents.record_consent(session.profile, request, notice, locale)
        add_client(session.profile, grant.sid, grant.client_id, decision.id_token)

    return log_in(login, allow), login.progress
