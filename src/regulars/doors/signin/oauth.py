"""The seam into allauth: any OpenID Connect provider at any address, one callback, and what was really granted.

allauth knows the protocol; this decides where it goes, what is asked, and what is kept of the answer.
"""

from __future__ import annotations

import logging
import secrets
from functools import cached_property
from typing import Any

import requests
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from regulars.base.kit import http
from regulars.base.kit.crypto import fingerprint
from regulars.profiles.models import Connection

from .providers import STRATEGIES
from .providers.strategy import More

log = logging.getLogger("regulars.signin")

LONGEST_ID = 200  # with the strategy's word before it, a user id stays below 255 characters
DISCOVERY_LIFETIME = 600  # seconds
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")


class GuardedTransport(requests.adapters.BaseAdapter):
    """What allauth sends goes out by the house's one way out: checked addresses, a deadline, no endless answers."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        headers = {name: str(value) for name, value in request.headers.items() if name.lower() not in http.OURS}
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            answer = http.request(str(request.method), str(request.url), headers=headers, content=body)  # type: ignore[arg-type]  # forms and JSON only: never a stream
        except (http.HttpRefused, http.HttpFailed) as no:
            raise requests.ConnectionError(no.sentence, request=request) from None
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
    strategy = STRATEGIES[connection.strategy]
    return SocialApp(
        provider="openid_connect",
        provider_id=connection.name,
        name=connection.display_name,
        client_id=connection.client_id,
        secret=str(connection.secret or ""),
        settings={
            "strategy": connection.strategy,
            "urls": connection.urls,
            "server_url": str(connection.urls.get("issuer") or strategy.issuer).rstrip("/"),
            "scope": list(connection.scopes or strategy.scopes),
            "oauth_pkce_enabled": True,
        },
    )


class ConnectionAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One connection's side of the protocol."""

    def __init__(self, request: HttpRequest, provider: ConnectionProvider) -> None:
        super().__init__(request, provider.app.provider_id)
        self.provider = provider
        self.granted: list[str] | None = None

    def get_provider(self) -> ConnectionProvider:
        return self.provider

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """One address for every provider, as it is registered there: the state says which connection it was."""
        return f"{settings.PUBLIC_URL}/login/callback"

    @cached_property
    def openid_config(self) -> dict[str, Any]:
        """Discovery, which must speak of the issuer that we asked for. Kept for ten minutes: a login needs it twice."""
        address = self.provider.server_url
        found = cache.get(fingerprint(address))
        if found is None:
            found = self._discover(address)
            cache.set(fingerprint(address), found, DISCOVERY_LIFETIME)
        return dict(found)

    def _discover(self, address: str) -> dict[str, Any]:
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
        """What was granted; an answer without a scope grants all that was asked (RFC 6749, 5.1). The token is not kept."""
        if not isinstance(data, dict) or not isinstance(data.get("access_token"), str):
            raise OAuth2Error("the answer has no token")
        self.granted = str(data["scope"]).split() if isinstance(data.get("scope"), str) else None
        return super().parse_token({"access_token": data["access_token"]})

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> SocialLogin:
        """Userinfo and ID token as allauth reads them, then whatever else this strategy asks for."""
        if not isinstance(kwargs["response"].get("id_token"), str):
            raise OAuth2Error("the answer has no ID token")
        login = super().complete_login(request, app, token, **kwargs)
        raw = login.account.extra_data
        if raw["userinfo"].get("sub") != raw["id_token"].get("sub"):
            raise OAuth2Error("userinfo speaks of another person than the ID token")
        login.granted = self.granted
        more = STRATEGIES[app.settings["strategy"]].more
        if more and (self.granted is None or set(more.scopes) & set(self.granted)):
            raw[more.key] = self._ask_more(more, token.token)
        return login

    def _fetch_user_info(self, access_token: str) -> dict[str, Any]:
        info = super()._fetch_user_info(access_token)
        if not isinstance(info, dict):
            raise OAuth2Error("userinfo is not an object")
        return info

    def _ask_more(self, more: More, token: str) -> dict[str, Any]:
        """A provider that fails here costs her nothing: she is signed in with what is known."""
        try:
            with session() as http_session:
                headers = {"Authorization": f"Bearer {token}"}
                answer = http_session.get(self._address_of(more), params=more.parameters, headers=headers)
                answer.raise_for_status()
                found = answer.json()
        except requests.RequestException as fault:
            log.warning("%s of connection %s did not answer: %s", more.key, self.provider_id, type(fault).__name__)
            return {}
        return found if isinstance(found, dict) else {}

    def _address_of(self, more: More) -> str:
        urls = self.provider.app.settings["urls"]
        return str(urls.get(more.key) or (urls["issuer"].rstrip("/") + more.path if urls.get("issuer") else more.url))


class ConnectionProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """A connection as a provider of allauth's. Nothing in the browser's address changes what is asked upstream."""

    def get_oauth2_adapter(self, request: HttpRequest) -> ConnectionAdapter:
        return ConnectionAdapter(request, self)

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        return list(self.get_scope())

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        return dict(self.get_auth_params())

    def extract_uid(self, data: dict[str, Any]) -> str:
        subject = data.get("userinfo", {}).get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_ID or not subject.isprintable():
            raise OAuth2Error("the answer names nobody")
        return subject

    def start(self, request: HttpRequest, onward: str, data: dict[str, Any], hints: dict[str, str]) -> Any:
        """Send her there. `data` comes back with the state: `{"connection", "asked", "choices"}`.

        Raises `OAuth2Error` or `requests.RequestException` when the provider cannot be reached.
        """
        nonce = secrets.token_urlsafe(24)
        parameters = {**hints, "nonce": nonce}
        return self.redirect(request, "login", onward, data, scope=data["asked"], auth_params=parameters, nonce=nonce)


def _as_requests_says_it(request: requests.PreparedRequest, answer: http.Response) -> requests.Response:
    said = requests.Response()
    said.status_code = answer.status
    said.headers = requests.structures.CaseInsensitiveDict({"content-type": "", **answer.headers})
    said._content = answer.body
    said.url = str(request.url)
    said.request = request
    return said
