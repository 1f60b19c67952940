"""An OpenID Connect provider on this machine that signs its ID tokens, and says in them what a test wants."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.receivers import Answer, Receiver, receiving

CALLBACK = "/login/callback"
HONEST = object()


@lru_cache
def signing_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


@dataclass
class OpenIdProvider:
    """One provider. `claims` and `userinfo` are merged into honest ones; None leaves a claim out.

    `token` and `info` replace the whole answer of their endpoint; `token` may be a function of the nonce. `discovery` is
    added to what discovery answers.
    """

    there: Receiver
    client_id: str = "shop"
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    token: Any = None
    info: Any = HONEST
    discovery: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})

    @property
    def url(self) -> str:
        return self.there.url

    def id_token(self, nonce: str, subject: str) -> str:
        honest = {
            "iss": self.url,
            "aud": self.client_id,
            "sub": subject,
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
            "nonce": nonce,
        }
        claims = {name: value for name, value in {**honest, **self.claims}.items() if value is not None}
        return jwt.encode(self.header, claims, signing_key(self.header.get("kid", "one")))

    def sign_in(self, browser: Any, connection: str, *, subject: str = "7", **query: str) -> Any:
        """Sign in at the provider in this browser. Returns our answer to the callback."""
        away = browser.post(f"/login/{connection}?" + "&".join(f"{name}={value}" for name, value in query.items()))
        assert away.status_code == 302, away.content.decode()
        asked = {name: values[0] for name, values in parse_qs(urlsplit(away["Location"]).query).items()}
        honest = {"access_token": "t", "id_token": self.id_token(asked["nonce"], subject)}
        token = self.token(asked["nonce"]) if callable(self.token) else self.token
        self.answer("/token", honest if token is None else token)
        self.answer("/userinfo", {"sub": subject, **self.userinfo} if self.info is HONEST else self.info)
        return browser.get(CALLBACK, {"state": asked["state"], "code": "c"})

    def publish(self, *kids: str) -> None:
        self.answer("/keys", KeySet([signing_key(kid) for kid in kids]).as_dict(private=False))

    def answer(self, path: str, value: object) -> None:
        body = json.dumps(value).encode()
        self.there.routes[path] = Answer(body=body, headers={"content-type": "application/json"})


@contextmanager
def openid_provider(**fields: Any) -> Iterator[OpenIdProvider]:
    with receiving(Answer(status=404)) as there:
        provider = OpenIdProvider(there, **fields)
        endpoints = {f"{name}_endpoint": f"{there.url}/{path}" for name, path in ENDPOINTS.items()}
        provider.answer(
            "/.well-known/openid-configuration",
            {"issuer": there.url, "jwks_uri": f"{there.url}/keys", **endpoints, **provider.discovery},
        )
        provider.publish("one")
        yield provider


ENDPOINTS = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
