"""The OAuth 2.0 and OpenID Connect client of one connection: sign in at a provider, renew its tokens, revoke them.

Authlib knows the protocol and httpx2 sends the requests, over the guarded transport of `base/http`. What differs between
providers is declared by their kinds (`connections.provider.Provider`).
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict
from urllib.parse import parse_qsl, urlencode

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from django.core.cache import cache
from joserfc.errors import JoseError

from regulars.base import http
from regulars.base.crypto import fingerprint
from regulars.base.errors import DomainError, Unavailable

from .data_request import DataRequest, only, request_for
from .endpoints import address_of, basic_header, credentials_of, home_of, issuer_of, settings_of
from .id_token import ExpectedToken, IdTokenError, UnknownKeyError, WrongNonceError, token_id, verified_claims
from .models import Connection
from .provider import (
    PROVIDERS,
    Credentials,
    ProviderCall,
    ProviderClaim,
    ProviderRequest,
    Raw,
    RequestedClaim,
    UpstreamGrant,
    has_usable_value,
    no_parameters,
)

log = logging.getLogger("regulars.connections")

LONGEST_ID = 200  # with the strategy's word before it, a user id stays below 255 characters
DISCOVERY_LIFETIME = 600  # seconds
KEYS_AGAIN = 60  # seconds after which a token with an unknown key may have the keys fetched again
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")  # what discovery must name
REDIRECTS = 5
TIMEOUT = 8.0  # seconds for a renewal or a revocation
ACCEPT_JSON = {"Accept": "application/json"}


class ProviderError(Unavailable):
    """The provider cannot be used now, or what it answered cannot be accepted.

    Codes: `provider_unreachable`, `bad_provider_response`, `nonce_mismatch`, `grant_ended` (the refresh token is not
    accepted any more). The message names no secret.
    """


class ProviderMetadata(TypedDict):
    """Where a provider's endpoints are: from discovery (OpenID Connect) or from its kind's own addresses."""

    authorization_endpoint: str
    token_endpoint: str
    issuer: NotRequired[str]
    jwks_uri: NotRequired[str]
    userinfo_endpoint: NotRequired[str]
    claims_parameter_supported: NotRequired[bool]


class IssuedToken(TypedDict, total=False):
    """What a token endpoint issued. `expires_in` is in seconds; a provider that does not say leaves it out."""

    access_token: str
    refresh_token: str
    expires_in: int
    issued_by: str  # the connection's home then: a refresh token goes nowhere else


@dataclass(frozen=True)
class StartedLogin:
    """One request to sign in, as the browser's session keeps it until the provider answers.

    `state` begins with the connection's name, because one callback serves all connections. `nonce` is empty for a
    provider that does not repeat one, `code_verifier` for one without PKCE.
    """

    url: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True)
class ProviderIdentity:
    """Who signed in at a provider. `granted` is None when the provider granted all that was requested.

    `raw` holds the provider's answers unchanged, by the key of the call that returned them; `claims` are what could be
    read from them.
    """

    user_id: str
    raw: Raw
    claims: list[ProviderClaim]
    granted: list[str] | None
    issued: IssuedToken


class ProviderClient:
    """The client of one connection. `callback_url` is the address registered at the provider.

    Every method that calls the provider raises `ProviderError`.
    """

    def __init__(self, connection: Connection, callback_url: str = "") -> None:
        self.connection = connection
        self.callback_url = callback_url
        self.kind = PROVIDERS[connection.strategy]

    # --- signing in

    def data_request(self, chosen: Sequence[RequestedClaim]) -> DataRequest:
        """Return what to ask for, for the login and what the customer chose to share."""
        return request_for(self.connection, chosen, self.metadata() if self.kind.login_claims else {})

    def begin(self, scopes: Sequence[str], parameters: Mapping[str, str]) -> StartedLogin:
        """Prepare a sign-in. `parameters` are added to the provider's address; the URL is where to send the browser."""
        state = f"{self.connection.name}.{secrets.token_urlsafe(24)}"
        nonce = secrets.token_urlsafe(24) if self.kind.openid and self.kind.nonce else ""
        verifier = secrets.token_urlsafe(48) if self.kind.pkce else ""
        added = {**self.kind.parameters, **parameters, **({"nonce": nonce} if nonce else {})}
        with _reported(), self._session() as session:
            url, _ = session.create_authorization_url(
                self.metadata()["authorization_endpoint"],
                state=state,
                code_verifier=verifier or None,
                scope=self.kind.separator.join(scopes),
                **added,
            )
        return StartedLogin(url, state, nonce, verifier)

    def complete(
        self,
        code: str,
        *,
        nonce: str,
        code_verifier: str,
        form: Raw | None = None,
        claims: Sequence[str] | None = None,
    ) -> ProviderIdentity:
        """Exchange the code, check the ID token, and ask for what was granted.

        `claims` are those that were asked for (`DataRequest`): the others are dropped unread.
        `form` is what came with the code in a form post (Apple's name of the customer).
        """
        with _reported(), self._session() as session:
            token = session.fetch_token(
                self.metadata()["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=code_verifier or None,
            )
            raw: Raw = self._openid_claims(token, nonce) if self.kind.openid else {}
            if claims is not None:
                raw = only(raw, claims)
            if form:
                raw["user"] = form
            # An answer that names no scopes grants all (RFC 6749, 5.1). Some providers write commas between scopes.
            scope = token.get("scope")
            granted = re.split(r"[\s,]+", scope.strip()) if isinstance(scope, str) else None
            for call in self.kind.calls:
                if not call.scopes or granted is None or set(call.scopes) & set(self.kind.canonical_scopes(granted)):
                    raw[call.key] = self._answer_to(call, token["access_token"], granted)
                    granted = self.kind.granted(raw) or granted
            return ProviderIdentity(self._user_id(raw), raw, self._claims(raw), granted, self._issued(token))

    def metadata(self) -> ProviderMetadata:
        """Return the provider's endpoints. Discovery is cached for ten minutes: one login needs it twice."""
        if not self.kind.openid:
            return {
                "authorization_endpoint": address_of(self.connection, "authorize"),
                "token_endpoint": address_of(self.connection, "token"),
            }
        issuer = issuer_of(self.connection)
        address = f"{issuer}/.well-known/openid-configuration"
        found: ProviderMetadata | None = cache.get(fingerprint(address))
        if found is None:
            with _reported():
                found = _checked_metadata(_json_at(address), issuer)
            cache.set(fingerprint(address), found, DISCOVERY_LIFETIME)
        return found

    def _openid_claims(self, token: Mapping[str, Any], nonce: str) -> Raw:
        metadata = self.metadata()
        claims = self._id_token_claims(token.get("id_token"), metadata, nonce)
        if "userinfo_endpoint" not in metadata:
            return {"id_token": claims}
        info = _json_at(metadata["userinfo_endpoint"], token=token["access_token"])
        if not isinstance(info, dict):
            raise ProviderError("bad_provider_response", "Userinfo is not a JSON object.")
        if info.get("sub") != claims.get("sub"):
            raise ProviderError("bad_provider_response", "Userinfo names another person than the ID token.")
        return {"userinfo": info, "id_token": claims}

    def _id_token_claims(self, id_token: object, metadata: ProviderMetadata, nonce: str) -> Raw:
        """Return the claims of the ID token, which is accepted once."""
        if not isinstance(id_token, str):
            raise ProviderError("bad_provider_response", "The answer has no ID token.")
        expected = ExpectedToken(
            issuer=metadata.get("issuer", ""),
            client_id=self.connection.client_id,
            secret=str(self.connection.secret or ""),
            nonce=nonce,
        )
        try:
            try:
                claims = verified_claims(id_token, self._keys(metadata), expected)
            except UnknownKeyError:
                claims = verified_claims(id_token, self._keys(metadata, anew=True), expected)
        except WrongNonceError as fault:
            raise ProviderError("nonce_mismatch", str(fault)) from None
        except IdTokenError as fault:
            raise ProviderError("bad_provider_response", str(fault)) from None
        if found := token_id(claims):
            name, seconds = found
            if not cache.add(f"id-token:{fingerprint(name)}", True, timeout=seconds):
                raise ProviderError("bad_provider_response", "This ID token was used already.")
        return claims

    def _keys(self, metadata: ProviderMetadata, *, anew: bool = False) -> Mapping[str, Any]:
        """Return the provider's public keys, cached as discovery is. `anew` asks again, at most once a minute."""
        address = metadata.get("jwks_uri", "")
        key = f"keys:{fingerprint(address)}"
        found: Mapping[str, Any] | None = cache.get(key)
        if found is None or (anew and cache.add(f"{key}:anew", True, timeout=KEYS_AGAIN)):
            answer = _json_at(address)
            if not isinstance(answer, dict) or not isinstance(answer.get("keys"), list):
                raise ProviderError("bad_provider_response", "The provider publishes no keys.")
            found = answer
            cache.set(key, found, DISCOVERY_LIFETIME)
        return found

    def _answer_to(self, call: ProviderCall, token: str, granted: list[str] | None) -> object:
        """Return the answer to one call; empty when a call that is not required fails: the sign-in goes on without."""
        scopes = self.kind.canonical_scopes(self.connection.scopes if granted is None else granted)
        secret = credentials_of(self.connection).secret if self.kind.proof is not no_parameters else ""
        parameters = {**call.parameters(scopes), **self.kind.proof(token, secret)}
        try:
            with _reported():
                found = _json_at(address_of(self.connection, call.key), token=token, parameters=parameters)
        except ProviderError as fault:
            if call.required:
                raise
            log.warning("%s of connection %s did not answer: %s", call.key, self.connection.name, fault.code)
            return {}
        return found if isinstance(found, dict | list) else {}

    def _user_id(self, raw: Raw) -> str:
        found = self.kind.user_id_of(raw, settings_of(self.connection))
        # Some plain OAuth 2.0 providers number their users; OpenID Connect requires `sub` to be a string.
        numbered = isinstance(found, int) and not isinstance(found, bool) and not self.kind.openid
        user_id = str(found) if numbered else found
        if not isinstance(user_id, str) or not 0 < len(user_id) <= LONGEST_ID or not user_id.isprintable():
            raise ProviderError("bad_provider_response", "The answer names no user.")
        return user_id

    def _claims(self, raw: Raw) -> list[ProviderClaim]:
        """Return the claims in the answers. One of a wrong shape is left out, by its name, and the sign-in goes on."""
        try:
            found = list(self.kind.read(raw, settings_of(self.connection)))
        except Exception as fault:  # a kind may be a plug-in, and an answer anything
            log.exception("answers of connection %s cannot be read", self.connection.name)
            raise ProviderError(
                "bad_provider_response", f"The answer cannot be read: {type(fault).__name__}."
            ) from None
        for claim in found:
            if not has_usable_value(claim):
                log.warning("connection %s: claim %s is left out", self.connection.name, claim.attribute[:80])
        return [claim for claim in found if has_usable_value(claim)]

    # --- afterwards, without the customer

    def refresh(self, refresh_token: str) -> IssuedToken:
        """Return a new token. `ProviderError("grant_ended")` when the provider does not accept the refresh token."""
        with _reported(), self._session() as session:
            endpoint = address_of(self.connection, "token") or self.metadata()["token_endpoint"]
            return self._issued(session.refresh_token(endpoint, refresh_token=refresh_token))

    def revocation_requests(self, user_id: str, token: str, scopes: tuple[str, ...] = ()) -> list[ProviderRequest]:
        """Return the requests that end a grant, or these scopes of it. Each kind of provider declares its own, because
        only some of them speak RFC 7009. Raises `DomainError` when the secret cannot be used.
        """
        if self.kind.revoke is None:
            return []
        grant = UpstreamGrant(address_of(self.connection, "revoke"), user_id, token, scopes)
        return self.kind.revoke(grant, credentials_of(self.connection))

    def _issued(self, token: Mapping[str, Any]) -> IssuedToken:
        issued = IssuedToken(access_token=token["access_token"], issued_by=home_of(self.connection))
        if isinstance(token.get("refresh_token"), str):
            issued["refresh_token"] = token["refresh_token"]
        if "expires_in" in token:
            issued["expires_in"] = token["expires_in"]
        return issued

    def _session(self) -> OAuth2Client:
        credentials = credentials_of(self.connection)
        method = "client_secret_basic" if self.kind.basic else "client_secret_post"
        session = _Session(
            client_id=credentials.client_id,
            client_secret=credentials.secret,
            token_endpoint_auth_method=method if credentials.secret else "none",
            redirect_uri=self.callback_url,
            code_challenge_method="S256",
            **http.client_options(),
        )
        session.register_client_auth_method(("client_secret_basic", _encode_basic))
        return session


def send(request: ProviderRequest) -> http.Response:
    """Send one request that a kind of provider declared. The form is the body of a POST, else part of the address."""
    url, content, headers = request.url, None, dict(request.headers)
    if request.form and request.method == "POST":
        content = urlencode(request.form).encode()
        headers["content-type"] = "application/x-www-form-urlencoded"
    elif request.form:
        url = f"{url}?{urlencode(request.form)}"
    return http.request(
        request.method, url, headers=headers, content=content, json=dict(request.json) or None, timeout=TIMEOUT
    )


class _Session(OAuth2Client):  # type: ignore[misc]  # Authlib has no types
    """Authlib's client, with a stricter reading of what a token endpoint answers."""

    def parse_response_token(self, resp: httpx2.Response) -> Any:
        """Return the token. Raises `ProviderError`.

        Some providers write a form instead of JSON, whatever they were asked for; some write `expires_in` as no number.
        """
        text = resp.content.decode(errors="replace")
        try:
            token = json.loads(text)
        except (ValueError, RecursionError):
            token = dict(parse_qsl(text))
        token = token if isinstance(token, dict) else {}
        if token.get("error") == "invalid_grant":
            raise ProviderError("grant_ended", "The provider does not accept this grant any more.")
        if resp.status_code not in (200, 201) or not isinstance(token.get("access_token"), str):
            raise ProviderError("bad_provider_response", f"the provider answered {resp.status_code}")
        token.pop("expires_at", None)
        try:
            token["expires_in"] = int(token["expires_in"])
        except (KeyError, TypeError, ValueError, OverflowError):
            token.pop("expires_in", None)
        self.token = token
        return self.token


def _encode_basic(client: Any, method: str, uri: str, headers: Any, body: bytes) -> tuple[str, dict[str, str], bytes]:
    """Authlib's own encoding leaves out the quoting of RFC 6749, 2.3.1."""
    headers.update(basic_header(Credentials(client.client_id, client.client_secret)))
    return uri, headers, body


def _json_at(url: str, *, token: str = "", parameters: Mapping[str, str] | None = None) -> object:
    """Return the JSON document at `url`, read with the customer's token where there is one."""
    headers = {**ACCEPT_JSON, **({"Authorization": f"Bearer {token}"} if token else {})}
    address = str(httpx2.URL(url).copy_merge_params(parameters or {}))
    answer = http.request("GET", address, headers=headers, redirects=REDIRECTS)
    if answer.status >= 400:
        raise ProviderError("bad_provider_response", f"the provider answered {answer.status}")
    return answer.json()


@contextmanager
def _reported() -> Iterator[None]:
    """Turn whatever goes wrong between here and the provider into a `ProviderError` without a secret in it."""
    try:
        yield
    except ProviderError:
        raise
    except http.RequestFailed as fault:
        raise ProviderError("provider_unreachable", fault.message) from None
    except DomainError as refused:
        raise ProviderError("bad_provider_response", refused.message) from None
    except (
        AuthlibBaseError,
        JoseError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        ValueError,
        TypeError,
        RecursionError,
    ) as fault:
        raise ProviderError("bad_provider_response", f"The answer makes no sense: {type(fault).__name__}.") from None


def _checked_metadata(found: object, issuer: str) -> ProviderMetadata:
    """Return what discovery answered. It must name the issuer that was asked (OpenID Connect Discovery 1.0, 4.3)."""
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ENDPOINTS):
        raise ProviderError("bad_provider_response", "Discovery names no endpoints, or no keys.")
    if str(found.get("issuer", "")).rstrip("/") != issuer:
        raise ProviderError("bad_provider_response", "Discovery names another issuer.")
    endpoints = {name: found[name] for name in (*ENDPOINTS, "userinfo_endpoint") if isinstance(found.get(name), str)}
    if issuer.startswith("https:") and not all(url.startswith("https:") for url in endpoints.values()):
        raise ProviderError("bad_provider_response", "Discovery names an endpoint without https.")
    metadata = ProviderMetadata(
        authorization_endpoint=endpoints["authorization_endpoint"],
        token_endpoint=endpoints["token_endpoint"],
        jwks_uri=endpoints["jwks_uri"],
        issuer=str(found["issuer"]),
    )
    if found.get("claims_parameter_supported") is True:
        metadata["claims_parameter_supported"] = True
    if "userinfo_endpoint" in endpoints:
        metadata["userinfo_endpoint"] = endpoints["userinfo_endpoint"]
    return metadata
