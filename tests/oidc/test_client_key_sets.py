"""An app publishes its public keys at an address of its own (`jwks_uri`) and rotates them there."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from regulars.clients.models import Client
from regulars.clients.register import change, spec_of
from regulars.oauth import client_keys
from regulars.oauth.client_assertion import ASSERTION_TYPE
from tests.oidc.app import App, make_client, sign_in
from tests.oidc.test_assertions import claims_of_signer
from tests.receivers import Answer, receiving

ONE = ECKey.generate_key("P-256", {"kid": "one"})
TWO = RSAKey.generate_key(2048, {"kid": "two"})
OFFLINE = "openid offline_access"


@pytest.fixture(autouse=True)
def _nothing_fetched():
    client_keys.forget_fetched_keys()
    yield
    client_keys.forget_fetched_keys()


def published(*keys, more=()):
    document = {"keys": [*KeySet(list(keys)).as_dict(private=False)["keys"], *more]} if keys else {"keys": [*more]}
    return Answer(body=json.dumps(document).encode(), headers={"content-type": "application/jwk-set+json"})


@pytest.fixture
def there():
    with receiving(published(ONE)) as receiver:
        yield receiver


@pytest.fixture
def signer(client, customer, there) -> App:
    make_client("signer", auth_method="private_key_jwt", secret_hash="", jwks_uri=f"{there.url}/keys")
    sign_in(client, customer)
    return App(client, "signer", secret="")


def signed(key, algorithm="", **header):
    algorithm = algorithm or ("ES256" if isinstance(key, ECKey) else "RS256")
    header = {name: value for name, value in {"alg": algorithm, "kid": key.kid, **header}.items() if value is not None}
    return {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jwt.encode(header, claims_of_signer(), key, algorithms=[algorithm]),
    }


def get(there):
    return [each for each in there.received if each.method == "GET"]


def test_a_signature_is_checked_with_the_published_key(signer, there):
    answers = [signer.exchange(signer.code(), **signed(ONE)) for _ in range(3)]

    assert [each.status_code for each in answers] == [200, 200, 200]
    assert [each.path for each in get(there)] == ["/keys"]


def test_a_rotated_key_is_found_at_the_next_signature(signer, there, monkeypatch):
    """As oidcc-refresh-token-rp-key-rotation: the same refresh token, with the new key."""
    token = signer.exchange(signer.code(scope=OFFLINE), **signed(ONE)).json()["refresh_token"]
    there.answers[:] = [published(TWO)]
    too_soon = signer.refresh(token, **signed(TWO))
    monkeypatch.setattr(client_keys, "FETCH_AT_MOST_EVERY", 0.0)
    later = signer.refresh(token, **signed(TWO))
    old = signer.refresh(later.json()["refresh_token"], **signed(ONE))

    assert (too_soon.status_code, later.status_code, old.status_code) == (401, 200, 401)


def test_a_key_replaced_under_the_same_name_is_found_too(signer, there, monkeypatch):
    signer.exchange(signer.code(), **signed(ONE))
    other = ECKey.generate_key("P-256", {"kid": "one"})
    there.answers[:] = [published(other)]
    monkeypatch.setattr(client_keys, "FETCH_AT_MOST_EVERY", 0.0)

    assert signer.exchange(signer.code(), **signed(other)).status_code == 200


def test_unknown_keys_cause_one_request_and_not_many(signer, there):
    unknown = ECKey.generate_key("P-256", {"kid": "three"})
    answers = [signer.exchange("no code", **signed(unknown)) for _ in range(5)]

    assert {each.status_code for each in answers} == {401}
    assert len(get(there)) == 1


def test_a_removed_key_is_refused_after_some_minutes(signer, there, monkeypatch):
    signer.exchange(signer.code(), **signed(ONE))
    there.answers[:] = [published(TWO)]
    monkeypatch.setattr(client_keys, "FETCH_AT_MOST_EVERY", 0.0)
    monkeypatch.setattr(client_keys, "FRESH_FOR", 0.0)

    assert signer.exchange(signer.code(), **signed(ONE)).status_code == 401


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=500),
        Answer(status=302, headers={"location": "http://169.254.169.254/"}),
        Answer(body=b"{"),
        Answer(body=b"[]"),
        Answer(body=b'{"keys": 7}'),
        Answer(body=b'{"keys": []}'),
        Answer(body=b"[" * 5000),
        Answer(body=b"x" * 1_100_000),
        published(more=[{"kty": "EC"}, 7, {"kty": ["EC"]}, {"kty": "oct", "k": "eHh4"}]),
    ],
)
def test_an_address_that_does_not_answer_lets_no_one_in_and_keeps_the_known_keys(signer, there, monkeypatch, answer):
    good = there.answers[0]
    there.answers[:] = [answer]
    without = signer.exchange(signer.code(), **signed(ONE))
    monkeypatch.setattr(client_keys, "FETCH_AT_MOST_EVERY", 0.0)
    there.answers[:] = [good]
    known = signer.exchange(signer.code(), **signed(ONE))
    there.answers[:] = [answer]
    monkeypatch.setattr(client_keys, "FRESH_FOR", 0.0)
    kept = signer.exchange(signer.code(), **signed(ONE))
    monkeypatch.setattr(client_keys, "STALE_FOR", 0.0)
    gone = signer.exchange(signer.code(), **signed(ONE))

    assert without.json()["error"] == "invalid_client"
    assert (known.status_code, kept.status_code, gone.status_code) == (200, 200, 401)


def test_odd_keys_beside_a_good_one_are_ignored(signer, there):
    odd = [
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "EC"},
        "x",
        {**ONE.as_dict(private=False), "use": "enc"},
    ]
    there.answers[:] = [published(TWO, more=odd)]

    assert signer.exchange(signer.code(), **signed(TWO)).status_code == 200


def test_a_published_secret_is_no_key(signer, there):
    secret = OctKey.generate_key(256, {"kid": "secret"})
    there.answers[:] = [published(ONE, more=[secret.as_dict(private=True)])]

    assert signer.exchange(signer.code(), **signed(secret, "HS256")).status_code == 401


def test_the_registered_algorithm_is_the_only_one(signer, there):
    Client.objects.update(assertion_algorithm="PS256")
    there.answers[:] = [published(TWO)]

    assert signer.exchange(signer.code(), **signed(TWO)).status_code == 401
    assert signer.exchange(signer.code(), **signed(TWO, "PS256")).status_code == 200


def test_an_address_inside_the_network_is_never_called(signer, settings, there):
    settings.DEMO = False

    assert signer.exchange(signer.code(), **signed(ONE)).status_code == 401
    assert not there.received


@pytest.mark.django_db(transaction=True)
def test_many_signatures_at_once_cause_one_request(there):
    one = Client(client_id="signer", jwks_uri=f"{there.url}/keys")
    found = []
    threads = [threading.Thread(target=lambda: found.append(client_keys.keys_of(one))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(keys.keys) for keys in found] == [1] * 8
    assert len(there.received) == 1


def test_keys_and_their_address_replace_each_other(signer, there):
    row = Client.objects.get(pk="signer")
    by_keys, _ = change(row, replace(spec_of(row), public_keys=[ONE.as_dict(private=True)]))
    assert (by_keys.jwks_uri, len(by_keys.public_keys), "d" in by_keys.public_keys[0]) == ("", 1, False)
    by_address, _ = change(row, replace(spec_of(row), jwks_uri="https://bikes.example/keys"))
    assert (by_address.jwks_uri, by_address.public_keys) == ("https://bikes.example/keys", [])


def test_slow_address_holds_one_request_while_its_keys_still_count(signer, there, monkeypatch):
    client = Client.objects.get(pk="signer")
    known = client_keys.keys_of(client)
    asked, answered = threading.Event(), threading.Event()

    def slow(*_, **__):
        asked.set()
        answered.wait(20)
        raise client_keys.RequestFailed("no_answer")

    monkeypatch.setattr(client_keys, "request", slow)
    [kept] = client_keys._fetched.values()
    kept.read_at -= client_keys.FRESH_FOR + 1
    kept.tried_at = 0.0
    first = threading.Thread(target=client_keys.keys_of, args=(client,))
    first.start()
    assert asked.wait(20)
    found = []
    others = [threading.Thread(target=lambda: found.append(client_keys.keys_of(client))) for _ in range(3)]
    for each in others:
        each.start()
    for each in others:
        each.join(5)
    before = list(found)
    answered.set()
    for each in (first, *others):
        each.join()

    assert before == [known] * 3
