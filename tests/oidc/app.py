"""An app of the shop, as its developers would write it: makes requests, remembers verifiers, reads tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.test import Client as Browser

from regulars.accounts.models import Account
from regulars.base.crypto import hash_secret
from regulars.base.tokens.jwt import verify
from regulars.clients.models import Client

SECRET = "a secret of the shop"
VERIFIER = "v" * 43
CALLBACK = "https://shop.example/callback"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def make_client(client_id: str = "shop", **fields: Any) -> Client:
    standard = {
        "name": "Harbour & Pine",
        "secret_hash": hash_secret(SECRET),
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [CALLBACK],
        "logout_uris": ["https://shop.example/"],
    }
    return Client.objects.create(client_id=client_id, **{**standard, **fields})


def sign_in(browser: Browser, profile: Any, *, method: str = "password", at: float | None = None, **more: Any) -> None:
    """A session as allauth leaves it, with its authentication record."""
    if profile.account is None:
        profile.account = Account.objects.create_user(email="chika@example.com")
        profile.save(update_fields=["account"])
    browser.force_login(profile.account, backend=BACKEND)
    session = browser.session
    record = {"method": method, "at": time.time() if at is None else at, **more}
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [record]
    session["account_authentication_methods_user"] = str(profile.account.pk)
    session.save()


@dataclass
class App:
    """One app in one browser."""

    browser: Browser
    client_id: str = "shop"
    secret: str = SECRET
    standard: dict[str, Any] = field(default_factory=dict)

    def address(self, **more: Any) -> str:
        params = {
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid profile email",
            "state": "s1",
            "nonce": "n1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **self.standard,
            **more,
        }
        return "/authorize?" + urlencode({name: value for name, value in params.items() if value is not None})

    def authorize(self, **more: Any) -> Any:
        return self.browser.get(self.address(**more))

    def code(self, **more: Any) -> str:
        answer = self.answer(**more)
        assert "code" in answer, answer
        return answer["code"]

    def answer(self, **more: Any) -> dict[str, str]:
        """What came back to the app's callback."""
        return came_back(self.authorize(**more))

    def token(self, as_json: bool = False, **params: Any) -> Any:
        body = {"client_id": self.client_id, **({"client_secret": self.secret} if self.secret else {}), **params}
        body = {name: value for name, value in body.items() if value is not None}
        if as_json:
            return self.browser.post("/oauth/token", json.dumps(body), content_type="application/json")
        form = "application/x-www-form-urlencoded"
        return self.browser.post("/oauth/token", urlencode(body), content_type=form)

    def exchange(self, code: str, **more: Any) -> Any:
        standard = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self.token(**{**standard, "code_verifier": VERIFIER, **more})

    def refresh(self, token: str, **more: Any) -> Any:
        return self.token(grant_type="refresh_token", refresh_token=token, **more)

    def tokens(self, **more: Any) -> dict[str, Any]:
        response = self.exchange(self.code(**more))
        assert response.status_code == 200, response.content
        return response.json()


def came_back(response: Any) -> dict[str, str]:
    assert response.status_code == 302, response.content
    assert response["Location"].startswith(CALLBACK), response["Location"]
    return query_of(response["Location"]) or fragment_of(response["Location"])


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def fragment_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).fragment))


def form_of(response: Any) -> dict[str, str]:
    """The fields that a form_post page sends to the app."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', response.content.decode())
    return {name: unescape(value) for name, value in found}


def message_of(response: Any) -> tuple[dict[str, Any], str]:
    """The message and the origin that a web_message page posts."""
    found = re.search(r"postMessage\((.*), (\".*\")\);", response.content.decode())
    assert found
    return json.loads(found[1]), json.loads(found[2])


def id_claims(tokens: dict[str, Any]) -> dict[str, Any]:
    return verify(tokens["id_token"], typ="jwt")
