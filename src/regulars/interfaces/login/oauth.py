"""The seam into allauth: any provider of OAuth 2.0 or OpenID Connect at any address, one callback, what was really granted.

allauth knows the protocol; this decides where it goes, what is asked, and what is kept of the answer.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from functools import cached_property
from typing import Any

import requests
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from regulars.base import http
from regulars.base.crypto import decrypt, fingerprint
from regulars.base.errors import DomainError
from regulars.connections.endpoints import address_of, credentials_of, issuer_of, settings_of
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS, Provider, ProviderCall, Raw, no_parameters

log = logging.getLogger("regulars.signin")

LONGEST_ID = 200  # with the strategy's word before it, a user id stays below 255 characters
DISCOVERY_LIFETIME = 600  # seconds
ENDPOINTS = ("authorization_endpoint", "token_endpoint")
# How providers say that she stopped there.
CANCELLED = ("access_denied", "user_cancelled_login", "user_cancelled_authorize", "user_denied")


class GuardedTransport(requests.adapters.BaseAdapter):
    """What allauth sends goes out by the house's one way out: checked addresses, a deadline, no endless answers."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        headers = {
            name: str(value) for name, value in request.headers.items() if name.lower() not in http.CONNECTION_HEADERS
        }
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            answer = http.request(str(request.method), str(request.url), headers=headers, content=body)  # type: ignore[arg-type]  # forms and JSON only: never a stream
        except (http.RequestRefused, http.RequestFailed) as no:
            raise requests.ConnectionError(no.message, request=request) from None
        return _as_requests_says_it(request, answer)

    def close(self) -> None:
        """Nothing is kept open."""


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", GuardedTransport())
    made.mount("http://", GuardedTransport())
    return made


def social_app(connection: Connection) -> SocialApp:
    """A connection as allauth's own model, never saved: the secret stays encrypted in our table."""
    kind = PROVIDERS[connection.strategy]
    return SocialApp(
        provider="openid_connect",
        provider_id=connection.name,
        name=connection.display_name,
        client_id=connection.client_id,
        secret=str(connection.secret or ""),
        settings={
            "connection": connection,
            "server_url": issuer_of(connection),
            "scope": list(connection.scopes or kind.scopes),
            "oauth_pkce_enabled": kind.pkce,
        },
    )


class ConnectionAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One connection's side of the protocol."""

    headers = {"Accept": "application/json"}
    basic_auth = False

    def __init__(self, request: HttpRequest, provider: ConnectionProvider) -> None:
        super().__init__(request, provider.app.provider_id)
        self.provider, self.kind, self.connection = provider, provider.kind, provider.connection
        self.scope_delimiter, self.basic_auth = self.kind.separator, self.kind.basic
        if request.GET.get("error") in CANCELLED:
            self.login_cancelled_error = request.GET["error"]
        self.granted: list[str] | None = None
        self.issued: dict[str, Any] = {}

    def get_provider(self) -> ConnectionProvider:
        return self.provider

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """One address for every provider, as it is registered there: the state says which connection it was."""
        return f"{settings.PUBLIC_URL}/login/callback"

    def get_client(self, request: HttpRequest, app: SocialApp) -> OAuth2Client:
        """Some secrets are made anew for every request, from the one that is kept."""
        client = super().get_client(request, app)
        client.consumer_secret = credentials_of(self.connection).secret
        return client

    @cached_property
    def openid_config(self) -> dict[str, Any]:
        """Where everything is. Discovery is kept for ten minutes: a login needs it twice."""
        if not self.kind.openid:
            places = {"authorization_endpoint": "authorize", "token_endpoint": "token"}
            return {name: address_of(self.connection, key) for name, key in places.items()}
        address = self.provider.server_url
        found = cache.get(fingerprint(address))
        if found is None:
            found = self._discover(address)
            cache.set(fingerprint(address), found, DISCOVERY_LIFETIME)
        return dict(found)

    def _discover(self, address: str) -> dict[str, Any]:
        """What the issuer says of itself; it must be the issuer that we asked for."""
        with session() as http_session:
            answer = http_session.get(address)
            answer.raise_for_status()
            found = answer.json()
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ENDPOINTS):
            raise OAuth2Error("discovery names no endpoints")
        if str(found.get("issuer", "")).rstrip("/") != self.provider.app.settings["server_url"]:
            raise OAuth2Error("discovery speaks of another issuer")
        return found

    def parse_token(self, data: Any) -> Any:
        """What was granted; an answer without a scope grants all that was asked (RFC 6749, 5.1)."""
        if not isinstance(data, dict) or not isinstance(data.get("access_token"), str):
            raise OAuth2Error("the answer has no token")
        self.issued = data
        # Some write commas between scopes, whatever the standard says.
        self.granted = re.split(r"[\s,]+", data["scope"].strip()) if isinstance(data.get("scope"), str) else None
        return super().parse_token({"access_token": data["access_token"]})

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> SocialLogin:
        """The ID token and userinfo where there are any, then whatever else this kind of provider is asked."""
        raw: Raw = self._openid(app, token.token, kwargs["response"]) if self.kind.openid else {}
        if told := _told_by_form(request):
            raw["user"] = told
        for call in self.kind.calls:
            if not call.scopes or self.granted is None or set(call.scopes) & set(self.kind.called(self.granted)):
                raw[call.key] = self._ask(call, token.token)
                self.granted = self.kind.granted(raw) or self.granted
        login = self.provider.sociallogin_from_response(request, raw)
        login.granted, login.issued = self.granted, self.issued
        return login

    def _openid(self, app: SocialApp, token: str, response: dict[str, Any]) -> Raw:
        if not isinstance(response.get("id_token"), str):
            raise OAuth2Error("the answer has no ID token")
        claims = self._decode_id_token(app, response["id_token"])
        if not isinstance(self.openid_config.get("userinfo_endpoint"), str):
            return {"id_token": claims}
        info = self._fetch_user_info(token)
        if not isinstance(info, dict):
            raise OAuth2Error("userinfo is not an object")
        if info.get("sub") != claims.get("sub"):
            raise OAuth2Error("userinfo speaks of another person than the ID token")
        return {"userinfo": info, "id_token": claims}

    def _ask(self, call: ProviderCall, token: str) -> Any:
        """A provider that fails here costs her nothing: she is signed in with what is known, if that names her."""
        granted = self.kind.called(self.connection.scopes if self.granted is None else self.granted)
        secret = credentials_of(self.connection).secret if self.kind.proof is not no_parameters else ""
        parameters = {**call.parameters(granted), **self.kind.proof(token, secret)}
        try:
            with session() as http_session:
                headers = {"Authorization": f"Bearer {token}", **self.headers}
                answer = http_session.get(address_of(self.connection, call.key), params=parameters, headers=headers)
                answer.raise_for_status()
                found = answer.json()
        except requests.RequestException as fault:
            if call.required:
                raise
            log.warning("%s of connection %s did not answer: %s", call.key, self.provider_id, type(fault).__name__)
            return {}
        return found if isinstance(found, dict | list) else {}


class ConnectionProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """A connection as a provider of allauth's. Nothing in the browser's address changes what is asked upstream."""

    @property
    def connection(self) -> Connection:
        connection: Connection = self.app.settings["connection"]
        return connection

    @property
    def kind(self) -> Provider:
        return PROVIDERS[self.connection.strategy]

    def get_oauth2_adapter(self, request: HttpRequest) -> ConnectionAdapter:
        return ConnectionAdapter(request, self)

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        return list(self.get_scope())

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        return dict(self.get_auth_params())

    def extract_uid(self, data: Raw) -> str:
        found = self.kind.who(data, settings_of(self.connection))
        # Plain OAuth 2.0 has providers that count their people; OpenID Connect says that `sub` is a text.
        counted = isinstance(found, int) and not isinstance(found, bool) and not self.kind.openid
        name = str(found) if counted else found
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID or not name.isprintable():
            raise OAuth2Error("the answer names nobody")
        return name

    def start(self, request: HttpRequest, onward: str, data: dict[str, Any], hints: dict[str, str]) -> Any:
        """Send her there. `data` comes back with the state: `{"connection", "asked", "choices"}`.

        Raises `OAuth2Error` or `requests.RequestException` when the provider cannot be reached.
        """
        nonce = secrets.token_urlsafe(24) if self.kind.openid and self.kind.nonce else ""
        parameters = {**self.kind.parameters, **hints, **({"nonce": nonce} if nonce else {})}
        return self.redirect(request, "login", onward, data, scope=data["asked"], auth_params=parameters, nonce=nonce)


def _told_by_form(request: HttpRequest) -> Raw:
    """What came with the answer itself, by way of `social.callback`; nothing when it is not of our making."""
    try:
        told = json.loads(decrypt(request.GET["told"]))
    except (KeyError, ValueError, DomainError):
        return {}
    return told if isinstance(told, dict) else {}


def _as_requests_says_it(request: requests.PreparedRequest, answer: http.Response) -> requests.Response:
    said = requests.Response()
    said.status_code = answer.status
    said.headers = requests.structures.CaseInsensitiveDict({"content-type": "", **answer.headers})
    said._content = answer.body
    said.url = str(request.url)
    said.request = request
    return said
