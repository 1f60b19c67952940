"""Signed tokens: one key for all processes, and every invalid token is rejected with a code."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from regulars.base.configuration.versioned_cache import one_version
from regulars.base.errors import DomainError
from regulars.base.tokens import keys
from regulars.base.tokens.jwt import public_jwks, sign, verify
from regulars.base.tokens.models import SigningKey


@pytest.fixture
def claims():
    return {"sub": "auth0|1", "aud": ["https://api.example/", "shop"], "exp": int(time.time()) + 60}


def refusal(*arguments, **options) -> str:
    with pytest.raises(DomainError) as refused:
        verify(*arguments, **options)
    return refused.value.code


@pytest.mark.django_db
def test_signed_tokens_verify_here_and_with_the_public_keys(claims, settings):
    token = sign(claims, typ="at+jwt")

    assert verify(token, "shop", typ="at+jwt")["sub"] == "auth0|1"
    read = jwt.decode(token, KeySet.import_key_set(public_jwks()))
    assert read.claims["iss"] == settings.ISSUER
    assert read.header["typ"] == "at+jwt"


@pytest.mark.django_db
def test_the_public_keys_hold_nothing_private():
    current, next_ = public_jwks()["keys"]

    assert set(current) == set(next_) == {"kty", "use", "alg", "kid", "n", "e"}


@pytest.mark.django_db
def test_the_private_key_is_encrypted_at_rest(claims):
    sign(claims)

    with connection.cursor() as cursor:
        cursor.execute("SELECT private_pem FROM tokens_signingkey")
        [stored] = cursor.fetchone()
    assert "PRIVATE KEY" not in stored
    assert all("PRIVATE KEY" in key.private_pem for key in SigningKey.objects.all())


@pytest.mark.django_db
def test_every_wrong_token_is_refused_by_name(claims):
    token = sign(claims)
    foreign = jwt.encode({"alg": "RS256", "kid": "k"}, claims, RSAKey.generate_key(2048, {"kid": "k"}))

    assert refusal(token, "another audience") == "wrong_audience"
    assert refusal(token, typ="at+jwt") == "wrong_type"
    assert refusal(sign({**claims, "exp": int(time.time()) - 60})) == "expired_token"
    assert refusal(sign({"aud": "shop"})) == "expired_token"
    assert refusal(sign({**claims, "iss": "https://elsewhere/"})) == "invalid_token"
    assert refusal(foreign) == "invalid_token"
    assert refusal(_unsigned(claims)) == "invalid_token"
    assert refusal(token[:-4] + "AAAA") == "invalid_token"
    for nonsense in ("", "a.b.c", "é.é.é", "...", "e30.e30.", "null.null.null"):
        assert refusal(nonsense) == "invalid_token"


@pytest.mark.django_db
def test_cached_token_is_still_checked_for_expiry_and_audience(claims, monkeypatch):
    token = sign({**claims, "aud": "https://orders.example/"})
    first = verify(token, "https://orders.example/")
    first["sub"] = "changed by the caller"
    again = verify(token, "https://orders.example/")
    with pytest.raises(DomainError) as elsewhere:
        verify(token, "https://other.example/")
    later = time.time() + 10 * 86400
    monkeypatch.setattr("regulars.base.tokens.jwt.time.time", lambda: later)
    with pytest.raises(DomainError) as expired:
        verify(token, "https://orders.example/")

    assert again["sub"] == claims["sub"]
    assert (elsewhere.value.code, expired.value.code) == ("wrong_audience", "expired_token")


@pytest.mark.django_db
def test_an_expired_token_is_still_a_hint_where_that_is_allowed(claims):
    token = sign({**claims, "exp": 1})

    assert verify(token, "shop", allow_expired=True)["sub"] == "auth0|1"


@pytest.mark.django_db(transaction=True)
def test_a_key_is_parsed_once_per_process(claims, django_assert_num_queries):
    sign(claims)  # makes the keys
    sign(claims)

    with django_assert_num_queries(0), one_version():
        verify(sign(claims))


@pytest.mark.django_db(transaction=True)
def test_key_whose_creation_was_rolled_back_never_signs(claims):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        sign(claims)
        1 / 0  # noqa: B018

    token = sign(claims)

    assert SigningKey.objects.get(state="current").kid == keys.key_set().current.kid
    assert verify(token)


@pytest.mark.django_db(transaction=True)
def test_eight_concurrent_first_uses_create_one_pair_of_keys():
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        pytest.skip("one in-memory database has one connection")

    def make(_: int) -> str:
        keys._make_first()
        kid = SigningKey.objects.get(state="current").kid
        connection.close()
        return kid

    with ThreadPoolExecutor(8) as pool:
        kids = set(pool.map(make, range(8)))

    assert len(kids) == 1


def _unsigned(claims) -> str:
    def part(value) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': keys.key_set().current.kid})}.{part(claims)}."
