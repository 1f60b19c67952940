"""The only module that speaks with Authlib: its grants of the token endpoint over our stores.

Authlib checks who the client is, what it may use, PKCE and the shape of the request. Stores and tokens are ours.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError, OAuth2Error, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    BaseGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    TokenEndpointMixin,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge

from regulars.base.errors import DomainError
from regulars.base.tokens import dpop
from regulars.clients.cache import find_client, find_machine, has_a_secret, has_secret, is_public
from regulars.clients.models import Client
from regulars.usecases.login import LoginContext

from . import assertion, codes, devices, otp, refresh, tokens
from .errors import OAuthError
from .grants import DEVICE_CODE, EMAIL_CODE, Grant

AUTHENTICATION = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
ADDRESS = "https://house/oauth/token"  # Authlib refuses plain http; whether TLS ends before us is the operator's to say
# Authlib's sentences where Auth0's are known to SDKs; the rest is passed on.
SENTENCES = {
    "invalid_grant": "Invalid authorization code",
    "unauthorized_client": "Grant type not allowed for the client.",
}

Renew = Callable[[refresh.Found, Client, list[str]], Grant]


@dataclass(frozen=True)
class Answer:
    """Status, JSON body and more headers of the token endpoint."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class TokenRequest(OAuth2Request):  # type: ignore[misc]
    """The parameters of a request, whatever they were written in."""

    def __init__(
        self,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        renew: Renew,
        caller: LoginContext,
        jkt: str = "",
        *,
        wants_tokens: bool = False,
    ) -> None:
        super().__init__("POST", ADDRESS, headers=_readable(headers))
        self.wants_tokens = wants_tokens
        self.payload = BasicOAuth2Payload(params)
        self.renew = renew
        self.caller = caller
        self.jkt = jkt  # of the key whose use this request proves; empty for none

    @property
    def form(self) -> Mapping[str, str]:
        params: Mapping[str, str] = self.payload.data
        return params


def _readable(headers: Mapping[str, str]) -> dict[str, str]:
    """Authlib falls over an Authorization header that is no text in base64; such a one has nothing to say."""
    kind, _, word = headers.get("Authorization", "").strip().partition(" ")
    try:
        says_something = kind.lower() == "basic" and bool(base64.b64decode(word).decode())
    except ValueError:
        says_something = False
    return {name: value for name, value in headers.items() if says_something or name != "Authorization"}


class App:
    """A client as Authlib asks about it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def check_client_secret(self, secret: str) -> bool:
        return has_secret(self.client, secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A client with a secret may send it either way, as Auth0 lets it; one without has none to send."""
        if method in ("none", "private_key_jwt") or not has_a_secret(self.client):
            return self.client.auth_method == method
        return True

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.client.grant_types


class Code:
    """A redeemed code as Authlib asks about it."""

    code_challenge_method = "S256"

    def __init__(self, redeemed: codes.Redeemed) -> None:
        self.redeemed = redeemed
        self.code_challenge = redeemed.grant.challenge

    def get_redirect_uri(self) -> str:
        return self.redeemed.grant.redirect_uri

    def get_scope(self) -> str:
        return self.redeemed.grant.scope


class RefreshCredential:
    """A refresh token as Authlib asks about it. Whose it is was checked when it was found."""

    def __init__(self, found: refresh.Found) -> None:
        self.found = found

    def check_client(self, client: App) -> bool:
        return self.found.family.client_id == client.client.pk

    def get_scope(self) -> str:
        return self.found.grant.scope


class Stateless:
    """What Authlib would save, our stores saved already."""

    def save_token(self, token: Any) -> None:
        pass

    def delete_authorization_code(self, code: Any) -> None:
        pass

    def revoke_old_credential(self, credential: Any) -> None:
        pass


class CodeGrant(Stateless, AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION

    def query_authorization_code(self, code: str, client: App) -> Code | None:
        redeemed = codes.redeem(code, client.client, self.request.jkt)
        return Code(redeemed) if redeemed else None

    def authenticate_user(self, code: Code) -> Grant:
        return code.redeemed.grant

    def generate_token(self, **_: Any) -> dict[str, Any]:
        redeemed = self.request.authorization_code.redeemed
        return tokens.answer(redeemed.grant, redeemed.refresh_token)


class RefreshGrant(Stateless, RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION

    def authenticate_refresh_token(self, token: str) -> RefreshCredential:
        return RefreshCredential(refresh.find(token, self.request.client.client))

    def authenticate_user(self, credential: RefreshCredential) -> Any:
        return credential.found.profile

    def issue_token(self, profile: Any, credential: RefreshCredential) -> dict[str, Any]:
        """Rules first: a refusal of theirs leaves the token as it was."""
        found, client = credential.found, self.request.client.client
        asked = (self.request.payload.scope or "").split() or found.grant.scopes
        if is_public(client) and found.grant.jkt != self.request.jkt:
            raise refresh.unknown()  # who has no secret is known by its key alone
        grant = replace(self.request.renew(found, client, asked), jkt=self.request.jkt)
        return tokens.answer(grant, refresh.rotate(found, client))


class DeviceGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """Authlib's own asks about each state in turn; ours takes the tokens by the statement that ends the waiting."""

    GRANT_TYPE = DEVICE_CODE
    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION

    def validate_token_request(self) -> None:
        self.request.client = self.authenticate_token_endpoint_client()
        if not self.request.client.check_grant_type(DEVICE_CODE):
            raise UnauthorizedClientError
        if not self.request.payload.data.get("device_code"):
            raise OAuthError("invalid_request", "Missing required parameter: device_code")

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        code, client = self.request.payload.data["device_code"], self.request.client.client
        grant, refresh_token = devices.redeem(code, client, self.request.jkt)
        return 200, tokens.answer(grant, refresh_token), self.TOKEN_RESPONSE_HEADER


class EmailCodeGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """Auth0's own: what she typed from a mail, for tokens."""

    GRANT_TYPE = EMAIL_CODE
    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION

    def validate_token_request(self) -> None:
        self.request.client = self.authenticate_token_endpoint_client()
        if not self.request.client.check_grant_type(EMAIL_CODE):
            raise UnauthorizedClientError

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        grant, refresh_token = otp.redeem(
            self.request.client.client, self.request.payload.data, self.request.jkt, self.request.caller
        )
        return 200, tokens.answer(grant, refresh_token), self.TOKEN_RESPONSE_HEADER


class MachineGrant(Stateless, ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION[:-1]

    def generate_token(self, **_: Any) -> dict[str, Any]:
        client, params, jkt = self.request.client.client, self.request.payload.data, self.request.jkt
        audience = params.get("audience", "")
        if not audience:
            raise OAuthError("access_denied", "No audience parameter was provided.")
        machine = find_machine((client.pk, audience))
        if machine is None:
            raise OAuthError("access_denied", f"Service not found: {audience[:200]}")
        asked = params.get("scope", "").split()
        beyond = [scope for scope in asked if scope not in machine.scopes]
        if beyond:
            raise OAuthError("access_denied", f"Client has not been granted scopes: {' '.join(beyond)[:200]}")
        scopes = asked or list(machine.scopes)
        body = {
            "access_token": tokens.machine_token(client.pk, machine, scopes, jkt),
            "expires_in": machine.lifetime,
            "token_type": tokens.type_of(jkt),
        }
        return {**body, **({"scope": " ".join(scopes)} if scopes else {})}


class S256(CodeChallenge):  # type: ignore[misc]
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]


class Server(AuthorizationServer):  # type: ignore[misc]
    def query_client(self, client_id: str) -> App | None:
        client = find_client(client_id)
        return App(client) if client else None

    def authenticate_client(self, request: TokenRequest, methods: list[str], endpoint: str = "token") -> App:
        """Who it is is known here alone: by its header, its form or its signature."""
        app: App = super().authenticate_client(request, methods, endpoint)
        if request.wants_tokens and app.client.requires_dpop and not request.jkt:
            raise OAuthError("invalid_dpop_proof", "This app proves with each request that it has its key (DPoP).")
        return app

    def send_signal(self, *_: Any, **__: Any) -> None:
        pass

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        return request

    def handle_response(self, status: int, body: dict[str, Any], headers: Any) -> Answer:
        return Answer(status, body, {})

    def handle_error_response(self, request: TokenRequest, error: OAuth2Error) -> Answer:
        if isinstance(error, InvalidClientError):
            return _not_known(request)
        sentence = SENTENCES.get(error.error) or error.get_error_description()
        return no(OAuthError(error.error, sentence))


def _by_signature(query_client: Callable[[str], App | None], request: TokenRequest) -> App | None:
    client = assertion.client_of(request.form)
    return App(client) if client else None


_server = Server()
_server.register_client_auth_method("private_key_jwt", _by_signature)
_server.register_grant(CodeGrant, [S256(required=True)])
_server.register_grant(RefreshGrant)
_server.register_grant(MachineGrant)
_server.register_grant(DeviceGrant)
_server.register_grant(EmailCodeGrant)


def exchange(params: Mapping[str, str], headers: Mapping[str, str], renew: Renew, caller: LoginContext) -> Answer:
    """What the token endpoint answers. `renew` decides anew for a refresh token; `caller` is who sends the request."""
    try:
        request = TokenRequest(params, headers, renew, caller, _proved(params, headers), wants_tokens=True)
        answer: Answer = _server.create_token_response(request)
    except OAuthError as refusal:
        return no(refusal)
    return answer


def _proved(params: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """An app without a secret brings a nonce of ours with each proof, so that none can be made in advance."""
    client = find_client(params.get("client_id", ""))
    needs_nonce = client is not None and is_public(client)
    try:
        return dpop.thumbprint_of(headers, "POST", "oauth/token", needs_nonce=needs_nonce)
    except DomainError as refused:
        raise OAuthError.of(refused) from None


def authenticate(params: Mapping[str, str], headers: Mapping[str, str]) -> Client:
    """The client that calls; `OAuthError` when it does not prove to be one."""
    request = TokenRequest(params, headers, _nothing_to_renew, LoginContext(protocol=""))
    try:
        app: App = _server.authenticate_client(request, AUTHENTICATION)
    except InvalidClientError:
        raise OAuthError("access_denied", "Unauthorized", 401) from None
    return app.client


def no(refusal: OAuthError) -> Answer:
    headers = {"DPoP-Nonce": dpop.nonce()} if refusal.error == "use_dpop_nonce" else {}
    return Answer(refusal.status, refusal.body(), headers)


def _not_known(request: TokenRequest) -> Answer:
    answer = no(OAuthError("access_denied", "Unauthorized", 401))
    if "Authorization" in request.headers:
        answer.headers["WWW-Authenticate"] = 'Basic realm="token"'
    return answer


def _nothing_to_renew(found: refresh.Found, client: Client, scopes: list[str]) -> Grant:
    raise OAuthError("invalid_request", "There is nothing to renew here.")
