"""Tokens bound to a key: a copied token cannot be used without the key."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from itertools import count

import pytest
from django.conf import settings
from joserfc import jws
from joserfc.jwk import ECKey

from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import verify
from tests.oidc.app import SECRET, App, make_client, sign_in

KEY = ECKey.generate_key("P-256")
OTHER = ECKey.generate_key("P-256")
TOKEN = settings.ISSUER + "oauth/token"
USERINFO = settings.ISSUER + "userinfo"
numbers = count()


def proof(key=KEY, url=TOKEN, method="POST", header=None, **more):
    claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": f"p{next(numbers)}-{time.time()}", **more}
    claims = {name: value for name, value in claims.items() if value is not None}
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False), **(header or {})}
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jws.serialize_compact(head, json.dumps(claims), key, registry=registry)


def nonced(**more):
    return proof(nonce=dpop.nonce(), **more)


def ath(token):
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def spa(client, customer) -> App:
    make_client("spa", auth_method="none", secret_hash="")
    sign_in(client, customer)
    return App(client, "spa", secret="")


def sent_with(app, proof_, act, *arguments, **more):
    app.browser.defaults["HTTP_DPOP"] = proof_
    try:
        return act(*arguments, **more)
    finally:
        del app.browser.defaults["HTTP_DPOP"]


def userinfo_with(app, token, proof_, kind="DPoP"):
    headers = {"Authorization": f"{kind} {token}", **({"DPoP": proof_} if proof_ else {})}
    return app.browser.get("/userinfo", headers=headers)


def tokens_of(spa, **more):
    answer = sent_with(spa, nonced(), spa.exchange, spa.code(**more))
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_bound_token_names_its_key_and_userinfo_requires_a_proof_of_it(spa, customer):
    token = tokens_of(spa)["access_token"]
    good = proof(url=USERINFO, method="GET", ath=ath(token))

    assert verify(token)["cnf"] == {"jkt": KEY.thumbprint()}
    assert userinfo_with(spa, token, good).json()["sub"] == customer.user_id
    assert userinfo_with(spa, token, good).status_code == 401  # the same proof again
    assert userinfo_with(spa, token, "", kind="Bearer").status_code == 401
    assert userinfo_with(spa, token, "").status_code == 401
    assert userinfo_with(spa, token, proof(OTHER, USERINFO, "GET", ath=ath(token))).status_code == 401
    assert userinfo_with(spa, token, proof(url=USERINFO, method="GET", ath=ath("another"))).status_code == 401
    assert userinfo_with(spa, token, proof(url=USERINFO, method="GET")).status_code == 401


def test_an_app_without_a_secret_is_given_a_nonce_and_comes_again(spa):
    code = spa.code()
    first = sent_with(spa, proof(), spa.exchange, code)
    again = sent_with(spa, proof(nonce=first["DPoP-Nonce"]), spa.exchange, code)

    assert (first.status_code, first.json()["error"]) == (400, "use_dpop_nonce")
    assert "DPoP-Nonce" in first["Access-Control-Expose-Headers"]
    assert (again.status_code, again.json()["token_type"]) == (200, "DPoP")


def test_an_app_with_a_secret_needs_no_nonce_and_a_made_up_one_is_refused(signed_in):
    code = signed_in.code()
    made_up = sent_with(signed_in, proof(nonce="mine"), signed_in.exchange, code)

    assert made_up.json()["error"] == "use_dpop_nonce"
    assert sent_with(signed_in, proof(), signed_in.exchange, code).json()["token_type"] == "DPoP"


def test_a_refresh_token_of_an_app_without_a_secret_is_bound_to_its_key(spa):
    token = tokens_of(spa, scope="openid offline_access")["refresh_token"]
    without = spa.refresh(token)
    by_another = sent_with(spa, nonced(key=OTHER), spa.refresh, token)
    renewed = sent_with(spa, nonced(), spa.refresh, token)

    assert (without.status_code, by_another.status_code) == (400, 400)
    assert renewed.json()["token_type"] == "DPoP"


@pytest.mark.parametrize(
    "change",
    [
        {"url": USERINFO},
        {"method": "GET"},
        {"iat": 1},
        {"iat": int(time.time()) + 3600},
        {"iat": "now"},
        {"jti": None},
        {"header": {"typ": "JWT"}},
        {"header": {"jwk": OTHER.as_dict(private=False)}},
        {"header": {"jwk": KEY.as_dict(private=True)}},
        {"header": {"jwk": {"kty": "oct", "k": "c2VjcmV0"}}},
    ],
)
def test_any_other_proof_is_refused(spa, change):
    answer = sent_with(spa, nonced(**change), spa.exchange, spa.code())

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize("nonsense", ["x", "a.b.c", "e30.e30.e30", "x" * 9000, "a, b"])
def test_nonsense_is_no_proof(spa, nonsense):
    answer = sent_with(spa, nonsense, spa.exchange, spa.code())

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


def test_a_proof_is_good_once(spa):
    same = nonced()
    first = sent_with(spa, same, spa.exchange, spa.code())
    again = sent_with(spa, same, spa.exchange, spa.code())

    assert (first.status_code, again.status_code) == (200, 400)


def test_a_code_that_names_its_key_is_of_no_use_to_another(spa):
    stolen = sent_with(spa, nonced(key=OTHER), spa.exchange, spa.code(dpop_jkt=KEY.thumbprint()))
    own = sent_with(spa, nonced(), spa.exchange, spa.code(dpop_jkt=KEY.thumbprint()))

    assert (stolen.status_code, own.status_code) == (400, 200)
    assert spa.answer(dpop_jkt="short")["error"] == "invalid_request"


def test_an_app_that_must_prove_gets_nothing_without(client, customer):
    make_client("strict", requires_dpop=True)
    sign_in(client, customer)
    strict = App(client, "strict")
    code = strict.code()

    assert strict.exchange(code).json()["error"] == "invalid_dpop_proof"
    basic = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"strict:{SECRET}".encode()).decode()}
    strict.browser.defaults.update(basic)
    named_otherwise = [strict.exchange(code, client_id=name, client_secret=None).json() for name in (None, "unknown")]
    del strict.browser.defaults["HTTP_AUTHORIZATION"]
    assert [each["error"] for each in named_otherwise] == ["invalid_dpop_proof", "invalid_client"]
    assert sent_with(strict, proof(), strict.exchange, code).status_code == 200
