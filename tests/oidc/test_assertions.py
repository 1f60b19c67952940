"""An app that signs who it is: its signature opens the token endpoint once, and nothing else does."""

from __future__ import annotations

import time

import pytest
from django.conf import settings
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from regulars.oauth.client_assertion import ASSERTION_TYPE
from tests.oidc.app import App, make_client, sign_in

KEY = ECKey.generate_key("P-256", {"kid": "one"})


@pytest.fixture
def signer(client, customer) -> App:
    make_client("signer", auth_method="private_key_jwt", secret_hash="", public_keys=[KEY.as_dict(private=False)])
    sign_in(client, customer)
    return App(client, "signer", secret="")


def claims_of_signer():
    now = int(time.time())
    return {
        "iss": "signer",
        "sub": "signer",
        "aud": settings.ISSUER,
        "iat": now,
        "exp": now + 60,
        "jti": str(time.monotonic_ns()),
    }


def assertion(key=KEY, algorithm="ES256", **more):
    claims = {name: value for name, value in {**claims_of_signer(), **more}.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": "one"}, claims, key)


def with_(token):
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": token}


@pytest.mark.parametrize("audience", [settings.ISSUER, settings.ISSUER + "oauth/token", [settings.ISSUER]])
def test_its_signature_redeems_a_code(signer, audience):
    answer = signer.exchange(signer.code(), **with_(assertion(aud=audience)))

    assert answer.status_code == 200, answer.content


def test_the_assertion_alone_identifies_the_app(signer):
    assert signer.exchange(signer.code(), client_id=None, **with_(assertion())).status_code == 200


def test_an_assertion_is_good_once(signer):
    token = assertion()
    first = signer.exchange(signer.code(), **with_(token))
    again = signer.exchange(signer.code(), **with_(token))

    assert (first.status_code, again.status_code) == (200, 401)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "https://elsewhere.example/"},
        {"aud": None},
        {"iss": "shop"},
        {"sub": "shop"},
        {"exp": 1},
        {"exp": int(time.time()) + 10**6},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 3600},
        {"jti": None},
        {"jti": 7},
        {"key": ECKey.generate_key("P-256")},
        {"key": RSAKey.generate_key(2048), "algorithm": "RS256"},
    ],
)
def test_any_other_assertion_is_refused(signer, change):
    answer = signer.exchange(signer.code(), **with_(assertion(**change)))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("nonsense", ["", "a.b.c", "é", "e30.e30.e30", "x" * 5000])
def test_nonsense_is_no_assertion(signer, nonsense):
    assert signer.exchange(signer.code(), client_id=None, **with_(nonsense)).status_code in (400, 401)


def test_each_app_authenticates_by_its_own_method_only(signer):
    make_client("shop")
    alone = signer.exchange(signer.code())
    by_secret = signer.exchange(signer.code(), client_secret="a secret of the shop")
    shop = App(signer.browser, "shop", secret="")
    by_signature = shop.exchange(shop.code(), **with_(assertion(iss="shop", sub="shop")))

    assert (alone.status_code, by_secret.status_code, by_signature.status_code) == (401, 401, 401)
