"""A provider that answers badly gets an error page: never a server error, and never a session."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.openid import openid_provider, signing_key

from regulars.connections.models import Connection
from regulars.connections.oauth_client import ProviderError, _checked_metadata
from regulars.profiles.known_customers import ASSERTED_BY
from regulars.profiles.models import Profile

LATER = int(time.time()) + 86400
TOKENS: dict[str, object] = {
    "no id token": {"access_token": "t"},
    "no access token": {"id_token": "x"},
    "an error": {"error": "invalid_grant"},
    "a list for a token": ["access_token"],
    "a token that no header holds": {"access_token": "a\nb", "expires_in": "soon", "id_token": "a.b.c"},
    "an id token that is none": {"access_token": "t", "id_token": "a.b.c"},
    "an id token without end": {"access_token": "t", "id_token": "a" * 100_000},
    "an id token that is no text": {"access_token": "t", "id_token": "é.é.é"},
    "a scope that is no text": {"access_token": "t", "id_token": 7, "scope": {}},
}
CLAIMS: dict[str, dict[str, object]] = {
    "another audience": {"aud": "another shop"},
    "an audience that is none": {"aud": {"shop": 1}},
    "no audience": {"aud": None},
    "an audience of more than texts": {"aud": ["shop", ["shop"]], "azp": "shop"},
    "several audiences and no party": {"aud": ["shop", "another shop"]},
    "several audiences and another party": {"aud": ["shop", "another shop"], "azp": "another shop"},
    "another party": {"azp": "another shop"},
    "a party that is a list": {"azp": ["shop"]},
    "another issuer": {"iss": "https://evil.example"},
    "an issuer that is a list": {"iss": ["https://evil.example"]},
    "no issuer": {"iss": None},
    "a token that is too old": {"exp": 1},
    "no end": {"exp": None},
    "an end that is a text": {"exp": str(LATER)},
    "an end that is true": {"exp": True},
    "an end that is no number": {"exp": float("nan")},
    "an end that is infinite": {"exp": float("inf")},
    "no beginning": {"iat": None},
    "a beginning tomorrow": {"iat": LATER, "exp": LATER + 60},
    "a beginning that is a list": {"iat": [1]},
    "not before tomorrow": {"nbf": LATER, "exp": LATER + 60},
    "not before a text": {"nbf": "now"},
    "another nonce": {"nonce": "0"},
    "no nonce": {"nonce": None},
    "a nonce that is a list": {"nonce": ["0"]},
    "no subject": {"sub": None},
    "a number for a subject": {"sub": 7},
    "claims nested without end": {"name": "deep"},
}
PEOPLE: dict[str, object] = {
    "another person": {"sub": "dov"},
    "no subject": {},
    "a number for a person": {"sub": 7},
    "a list for a person": ["sub"],
    "nothing": None,
}
SUBJECTS = {"a person without end": "x" * 300, "a person that no database stores": "a\x00b", "no name": ""}


@pytest.fixture
def provider():
    with openid_provider() as running:
        Connection.objects.create(
            name="club",
            strategy="oidc",
            display_name="Club",
            client_id="shop",
            scopes=["openid", "email", "profile"],
            urls={"issuer": running.url},
        )
        yield running


def deep(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


def is_refused(client, answer) -> None:
    assert answer.status_code in (400, 502)
    assert "Go to the sign-in page" in answer.content.decode()
    assert not Profile.objects.exists()
    assert "_auth_user_id" not in client.session


@pytest.fixture(autouse=True)
def _loopback(standard_setup, settings):
    settings.DEMO = True
    cache.clear()


def test_honest_provider_signs_in(client, provider):
    assert provider.sign_in(client, "club", subject="chika", next="/a")["Location"] == "/a"
    assert Profile.objects.get().user_id == "oidc|club|chika"


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_bad_token_answer_signs_in_no_customer(client, provider, token):
    provider.token = token

    is_refused(client, provider.sign_in(client, "club"))


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
def test_bad_id_token_signs_in_no_customer(client, provider, claims):
    provider.claims = {name: deep(200) if value == "deep" else value for name, value in claims.items()}

    is_refused(client, provider.sign_in(client, "club"))


@pytest.mark.parametrize("info", PEOPLE.values(), ids=PEOPLE)
def test_userinfo_of_another_person_signs_in_no_customer(client, provider, info):
    provider.info = info

    is_refused(client, provider.sign_in(client, "club"))


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_unusable_subject_signs_in_no_customer(client, provider, subject):
    is_refused(client, provider.sign_in(client, "club", subject=subject))


@pytest.mark.parametrize(
    "claims",
    [{"aud": ["shop"]}, {"aud": ["shop", "another"], "azp": "shop"}, {"azp": "shop"}, {"nbf": 1}, {"iat": 1.5}],
    ids=["a list of one", "several and our party", "our party", "an old nbf", "a fraction"],
)
def test_valid_variants_of_an_id_token_sign_in(client, provider, claims):
    provider.claims = claims

    assert provider.sign_in(client, "club", next="/a")["Location"] == "/a"


# signatures


def unsigned(provider, nonce: str, algorithm: str = "none") -> str:
    _, payload, signature = provider.id_token(nonce, "7").split(".")
    forged = urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "one"}).encode()).rstrip(b"=").decode()
    return f"{forged}.{payload}.{'' if algorithm == 'none' else signature}"


def by_another_key(provider, nonce: str) -> str:
    payload = {**decoded(provider.id_token(nonce, "7"))}
    return jwt.encode({"alg": "RS256", "kid": "one"}, payload, signing_key("two"))


def by_the_public_key(provider, nonce: str) -> str:
    """The classic confusion: HS256 with the published key as the secret."""
    payload = decoded(provider.id_token(nonce, "7"))
    return jwt.encode(
        {"alg": "HS256", "kid": "one"}, payload, OctKey.import_key(signing_key("one").as_dict(private=False)["n"])
    )


def changed(provider, nonce: str) -> str:
    header, payload, signature = provider.id_token(nonce, "7").split(".")
    other = json.dumps({**decoded(f"{header}.{payload}."), "sub": "dov"}).encode()
    return f"{header}.{urlsafe_b64encode(other).rstrip(b'=').decode()}.{signature}"


def decoded(token: str) -> dict:
    return json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))


FORGERIES = {
    "alg none": unsigned,
    "alg NONE": lambda provider, nonce: unsigned(provider, nonce, "NONE"),
    "an unknown alg": lambda provider, nonce: unsigned(provider, nonce, "RS1"),
    "another key": by_another_key,
    "the public key as a secret": by_the_public_key,
    "changed claims": changed,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("secret", [None, "the secret of the shop"])
def test_forged_id_token_signs_in_no_customer(client, provider, forge, secret):
    Connection.objects.update(secret=secret)
    provider.token = lambda nonce: {"access_token": "t", "id_token": forge(provider, nonce)}

    is_refused(client, provider.sign_in(client, "club"))


def test_id_token_signed_with_the_clients_secret_signs_in(client, provider):
    connection = Connection.objects.get()
    connection.secret = "the secret of the shop, long enough"
    connection.save()
    key = OctKey.import_key(connection.secret)

    def by_secret(nonce: str) -> dict:
        payload = decoded(provider.id_token(nonce, "7"))
        return {"access_token": "t", "id_token": jwt.encode({"alg": "HS256"}, payload, key)}

    provider.token = by_secret
    assert provider.sign_in(client, "club", next="/a")["Location"] == "/a"


def test_key_that_the_provider_has_just_made_is_fetched(client, provider):
    provider.sign_in(client, "club", subject="1")
    client.post("/logout")
    provider.header = {"alg": "RS256", "kid": "two"}
    provider.publish("one", "two")

    assert provider.sign_in(client, "club", subject="2", next="/a")["Location"] == "/a"
    provider.header = {"alg": "RS256", "kid": "three"}
    fetched = [each.path for each in provider.there.received].count("/keys")
    assert provider.sign_in(client, "club", subject="3").status_code == 502
    assert [each.path for each in provider.there.received].count("/keys") == fetched  # not for every unknown key


def test_id_token_without_the_id_of_its_key_is_accepted(client, provider):
    provider.publish("two", "one")
    provider.header = {"alg": "RS256"}

    assert provider.sign_in(client, "club", next="/a")["Location"] == "/a"


@pytest.mark.parametrize(
    "keys", [[], {"keys": {}}, {"keys": []}, {"keys": ["x"]}, {"keys": [{"kty": "oct", "k": "eA"}]}]
)
def test_unusable_keys_sign_in_no_customer(client, provider, keys):
    provider.answer("/keys", keys)

    is_refused(client, provider.sign_in(client, "club"))


# claims


HOSTILE = {
    "name": ["a", "list"],
    "given_name": 7,
    "family_name": "x" * 501,
    "nickname": {"nested": {"deep": [1]}},
    "picture": True,
    "locale": None,
    "email": {"address": "chika@example.com"},
    "email_verified": "perhaps",
    "phone_number": ["+46"],
    "gender": 3.5,
    "birthdate": {"year": 1990},
    "address": "a street",
}


def test_claims_of_a_wrong_shape_are_left_out_by_name(client, provider, caplog):
    provider.userinfo = HOSTILE
    assert provider.sign_in(client, "club", next="/a")["Location"] == "/a"

    profile = Profile.objects.get()
    assert set(profile.document) - {ASSERTED_BY} == {"identities"}
    for name in ("name", "given_name", "family_name", "nickname", "picture", "email"):
        assert name in caplog.text, name
    assert "xxxx" not in caplog.text


@pytest.mark.parametrize(
    "value", ["x" * 300 + "@example.com", "a b@example.com", "a@b\r\nBcc: c@d.example", "\x07", "a"]
)
def test_address_that_is_none_is_left_out(client, provider, value):
    provider.userinfo = {"email": value, "email_verified": True, "name": "Chika"}
    provider.sign_in(client, "club")
    document = Profile.objects.get().document

    assert document["name"] == "Chika"
    assert not {"email", "email_verified"} & document.keys()


def test_control_and_direction_characters_do_not_reach_pages(client, provider):
    provider.userinfo = {"name": "Chi\u202eka\x1b[31m Abe"}
    provider.sign_in(client, "club")

    assert Profile.objects.get().document["name"] == "Chika[31m Abe"


def test_answer_nested_without_end_signs_in_no_customer(client, provider):
    provider.info = {"sub": "7", "name": deep(400)}

    is_refused(client, provider.sign_in(client, "club"))


# discovery


def evil(**changes: object):
    return {
        "issuer": "https://evil.example",
        "authorization_endpoint": "x",
        "token_endpoint": "x",
        "userinfo_endpoint": "x",
        "jwks_uri": "x",
        **changes,
    }


@pytest.mark.parametrize(
    "discovery",
    [[], {}, evil(), evil(issuer=["HERE"]), evil(issuer="HERE/{tenantid}/v2.0"), evil(issuer="HERE", jwks_uri=None)],
    ids=["a list", "nothing", "another issuer", "a list of issuers", "every tenant", "no keys"],
)
def test_invalid_discovery_shows_an_error_page(client, provider, discovery):
    provider.answer(
        "/.well-known/openid-configuration", json.loads(json.dumps(discovery).replace("HERE", provider.url))
    )
    answer = client.get("/login/club?next=/a")

    assert answer.status_code == 502
    assert "Club does not answer" in answer.content.decode()


def test_discovery_over_https_names_no_endpoint_without(monkeypatch):
    found = evil(issuer="https://club.example", authorization_endpoint="https://club.example/a",
                 token_endpoint="http://club.example/t", jwks_uri="https://club.example/k")  # fmt: skip
    with pytest.raises(ProviderError, match="without https"):
        _checked_metadata(found, "https://club.example")


@pytest.mark.parametrize("error", ["server_error", "<b>", ""])
def test_error_at_the_provider_shows_an_error_page(client, google, error):
    away = client.post("/login/google-oauth2?next=/a")["Location"]
    state = parse_qs(urlsplit(away).query)["state"][0]
    answer = client.get("/login/callback", {"state": state, "error": error})

    assert answer.status_code == 502
    assert "Google did not confirm who you are" in answer.content.decode()
    assert "/login?next=%2Fa" in answer.content.decode()
