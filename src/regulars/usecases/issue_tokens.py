"""Issue tokens at the token endpoint: one handler for each grant type."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from regulars.accounts.factors.authenticator_codes import is_enrolled
from regulars.accounts.models import Account
from regulars.accounts.proofs import mailed_codes
from regulars.accounts.rate_limits import Attempt, TooManyAttempts, attempting
from regulars.base.errors import DomainError, NotFound
from regulars.clients.cache import find_api_access, is_public
from regulars.clients.models import Client
from regulars.oauth import authorization_codes, device_codes, refresh_tokens
from regulars.oauth.authorization_request import Endpoint, Parameters, read_authorization_request
from regulars.oauth.client_authentication import authenticate_client, proved_key
from regulars.oauth.dialect import dialect_of
from regulars.oauth.grant import DEVICE_CODE, PASSWORDLESS_OTP, Authentication, Grant, TokenDecision, build_grant
from regulars.oauth.models import PendingLogin
from regulars.oauth.protocol_errors import OAuthError, about_grant
from regulars.oauth.sessions import add_client
from regulars.oauth.tokens import client_token_response, token_response
from regulars.profiles.find import find_by_account
from regulars.profiles.row_locks import noticing_erasure
from regulars.profiles.sign_in import sign_in_block

from .login import MFA_REQUIRED, REFRESHING, Denied, InteractionRequired, Login, LoginContext, log_in, renew
from .login_context import authenticated
from .passwordless import passwordless_login
from .users import account_of

CLIENT_CREDENTIALS = "client_credentials"
PASSWORDLESS_PROTOCOL = "oauth2-password"  # Auth0's context.protocol of grants in which the customer typed a credential
WRONG_CODE = "Wrong email or verification code."

TokenResponse = dict[str, Any]


@dataclass(frozen=True)
class TokenRequest:
    """A token request of a client that is authenticated. `jkt` is the thumbprint of its proved key, empty for none."""

    client: Client
    params: Mapping[str, str]
    jkt: str
    caller: LoginContext


def issue_tokens(params: Mapping[str, str], headers: Mapping[str, str], caller: LoginContext) -> TokenResponse:
    """Return the body of the token endpoint. `caller` describes the HTTP request. Raises `OAuthError`."""
    jkt = proved_key(params, headers)
    grant_type = params.get("grant_type", "")
    if grant_type not in GRANT_HANDLERS:
        raise OAuthError("unsupported_grant_type", f"grant_type={grant_type} is not supported")
    client = authenticate_client(params, headers, allow_public=grant_type != CLIENT_CREDENTIALS)
    if client.requires_dpop and not jkt:
        raise OAuthError("invalid_dpop_proof", "This app must prove with each request that it has its key (DPoP).")
    if grant_type not in client.grant_types:
        raise OAuthError("unauthorized_client", "Grant type not allowed for the client.")
    try:
        return GRANT_HANDLERS[grant_type](TokenRequest(client, params, jkt, caller))
    except NotFound as missing:
        if missing.code != "customer_erased":
            raise
        raise refresh_tokens.unknown_token() from None  # an erasure ended every grant of the customer meanwhile


def handle_authorization_code(request: TokenRequest) -> TokenResponse:
    return token_response(*authorization_codes.redeem_code(request.params, request.client, request.jkt))


def handle_refresh_token(request: TokenRequest) -> TokenResponse:
    if request.params.get("refresh_token") is None:
        raise OAuthError("invalid_request", "Missing 'refresh_token' in request.")
    token = refresh_tokens.find(request.params["refresh_token"], request.client)
    with about_grant(token.grant.answers), noticing_erasure(token.profile):
        return _renewed(request, token)


def _renewed(request: TokenRequest, token: refresh_tokens.UsableToken) -> TokenResponse:
    """Let rules decide anew, then rotate the token: a denial of a rule leaves the refresh token as it was."""
    client, grant = request.client, token.grant
    scopes = request.params.get("scope", "").split()
    if request.params.get("scope") and not (grant.scopes and set(scopes) <= set(grant.scopes)):
        raise OAuthError("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
    if is_public(client) and grant.jkt != request.jkt:
        raise refresh_tokens.unknown_token()  # a client without a secret is recognised by its key alone
    if client.requires_second_factor and "mfa" not in grant.amr:  # the grant is from before the operator demanded it
        raise OAuthError("mfa_required", MFA_REQUIRED)
    # How and when the customer signed in stays.
    authentication = grant.authentication(token.profile)
    caller = authenticated(replace(request.caller, protocol=REFRESHING, silent=True), authentication)
    single_claims = [*grant.id_token_claims, *grant.userinfo_claims]
    decision = renew(Login(token.profile, client, caller, scopes or grant.scopes, single_claims=single_claims))
    if isinstance(decision, Denied):
        raise OAuthError(decision.error, decision.description)
    if grant.sid:
        add_client(token.profile, grant.sid, client.pk, decision.id_token)
    renewed = build_grant(authentication, replace(grant, nonce="", jkt=request.jkt), decision)
    renewed = replace(renewed, grant_id=token.family.pk.hex)
    return token_response(renewed, refresh_tokens.rotate(token, client))


def handle_client_credentials(request: TokenRequest) -> TokenResponse:
    client, audience = request.client, request.params.get("audience", "")
    if not audience:
        raise OAuthError("access_denied", "No audience parameter was provided.", standard="invalid_request")
    access = find_api_access((client.pk, audience))
    if access is None:
        raise OAuthError("access_denied", f"Service not found: {audience[:200]}", standard="invalid_target")  # RFC 8707
    requested = request.params.get("scope", "").split()
    beyond = [scope for scope in requested if scope not in access.scopes]
    if beyond:
        words = f"Client has not been granted scopes: {' '.join(beyond)[:200]}"
        raise OAuthError("access_denied", words, standard="invalid_scope")
    return client_token_response(client.pk, access, requested or list(access.scopes), request.jkt)


def handle_device_code(request: TokenRequest) -> TokenResponse:
    if not request.params.get("device_code"):
        raise OAuthError("invalid_request", "Missing required parameter: device_code")
    answers = dialect_of(request.client, request.params)
    return token_response(*device_codes.redeem(request.params["device_code"], request.client, request.jkt, answers))


def handle_passwordless_otp(request: TokenRequest) -> TokenResponse:
    """Issue tokens for a code from a mail, to an app without a browser; it requested the code at /passwordless/start.

    Parameters: `username`, `otp`, `realm`, `scope`, `audience`. Raises `OAuthError`: `invalid_grant` for a wrong code,
    `mfa_required` for a customer with a second factor and for an app that requires one, and the denials of rules.
    """
    client = request.client
    requested = read_authorization_request(Endpoint.OTP, client, Parameters.of(request.params))
    if client.requires_second_factor:
        raise OAuthError("mfa_required", MFA_REQUIRED)
    account = _verified_account(request)
    profile = find_by_account(account.pk)
    if profile is None or sign_in_block(profile):
        raise OAuthError("unauthorized", "user is blocked")
    if is_enrolled(account):
        raise OAuthError("mfa_required", MFA_REQUIRED)
    now = time.time()
    sid = secrets.token_hex(16)
    authentication = Authentication(
        profile,
        profile.user_id,
        sid,
        auth_time=int(now),
        amr=["otp"],
        connection=mailed_codes.CONNECTION,
        strategy=mailed_codes.STRATEGY,
        methods=[("email", int(now * 1000))],
    )
    caller = replace(request.caller, protocol=PASSWORDLESS_PROTOCOL, silent=True, proved=True)
    context = authenticated(caller, authentication)

    def issue(decision: TokenDecision) -> tuple[Grant, str]:
        family = uuid.uuid4()
        grant = replace(build_grant(authentication, requested, decision), jkt=request.jkt, grant_id=family.hex)
        add_client(profile, sid, client.pk, decision.id_token)
        return grant, refresh_tokens.start_if_offline(family, profile.pk, client, grant)

    match log_in(Login(profile, client, context, requested.scopes), issue):
        case Denied() as denied:
            raise OAuthError(denied.error, denied.description)
        case InteractionRequired(reason=PendingLogin.Wait.LOGIN):
            raise OAuthError("mfa_required", MFA_REQUIRED)
        case InteractionRequired():
            raise OAuthError(
                "interaction_required",
                "A rule of this site must show the customer a page. Sign the customer in with a browser.",
            )
        case (Grant() as grant, str(refresh_token)):
            return token_response(grant, refresh_token)
    raise AssertionError("a login ends in one of three ways")


def _verified_account(request: TokenRequest) -> Account:
    """Return the account that the mailed code proves, and use the code up."""
    email, digits = request.params.get("username", ""), request.params.get("otp", "")
    if not email or not digits:
        raise OAuthError("invalid_request", f"Missing required parameter: {'otp' if email else 'username'}")
    realm = request.params.get("realm", mailed_codes.CONNECTION)
    if realm != mailed_codes.CONNECTION or not mailed_codes.is_open():
        raise OAuthError("invalid_request", "The realm is email, when codes by mail are switched on.")
    try:
        with attempting(Attempt("guess", email, request.caller.ip)) as place:
            expected = mailed_codes.find_for_app(place.attempt, request.client, digits)
            if expected is None or not mailed_codes.use(expected):
                raise OAuthError("invalid_grant", WRONG_CODE)
            place.succeed()
    except TooManyAttempts as refused:
        raise OAuthError("too_many_attempts", refused.message, 429) from refused
    try:
        return account_of(passwordless_login(expected.email, mailed_codes.CONNECTION).account)
    except DomainError:
        raise OAuthError("unauthorized", "user is blocked") from None


Handler = Callable[[TokenRequest], TokenResponse]
GRANT_HANDLERS: dict[str, Handler] = {
    "authorization_code": handle_authorization_code,
    "refresh_token": handle_refresh_token,
    CLIENT_CREDENTIALS: handle_client_credentials,
    DEVICE_CODE: handle_device_code,
    PASSWORDLESS_OTP: handle_passwordless_otp,
}
