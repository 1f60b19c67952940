"""A provider that answers badly gets an error page: never a server error, and never a session."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.receivers import Answer, receiving

from regulars.connections.models import Connection
from regulars.profiles.models import Profile

KEY = OctKey.generate_key(256)
LIES: dict[str, dict] = {
    "no id token": {"token": {"access_token": "t"}},
    "no access token": {"token": {"id_token": "x"}},
    "an error": {"token": {"error": "invalid_grant"}},
    "a list for a token": {"token": ["access_token"]},
    "a token that no header holds": {"token": {"access_token": "a\nb", "expires_in": "soon", "id_token": "a.b.c"}},
    "an id token that is none": {"token": {"access_token": "t", "id_token": "a.b.c"}},
    "a scope that is no text": {"token": {"access_token": "t", "id_token": 7, "scope": {}}},
    "another audience": {"claims": {"aud": "another shop"}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "an id token that is too old": {"claims": {"exp": 1}},
    "another nonce": {"claims": {"nonce": "0"}},
    "no nonce": {"claims": {"nonce": None}},
    "another person": {"info": {"sub": "dov"}},
    "no subject": {"info": {}, "claims": {"sub": None}},
    "a number for a person": {"info": {"sub": 7}, "claims": {"sub": 7}},
    "a person without end": {"info": {"sub": "x" * 300}, "claims": {"sub": "x" * 300}},
    "a person that no database stores": {"info": {"sub": "a\x00b"}, "claims": {"sub": "a\x00b"}},
    "a list for a person": {"info": ["sub"]},
}


@contextmanager
def provider(client, **lie):
    """Run a provider that sends one wrong value; yield our response to the callback."""
    with receiving(Answer()) as there:
        Connection.objects.create(
            name="club", strategy="oidc", display_name="Club", client_id="shop", urls={"issuer": there.url}
        )
        paths = {f"{name}_endpoint": f"{there.url}/{name}" for name in ("authorization", "token", "userinfo")}
        discovery = lie.get("discovery", {"issuer": there.url, "jwks_uri": f"{there.url}/keys", **paths})
        there.answers = [json_answer(discovery)]
        away = client.get("/login/club?next=/a")
        if away.status_code != 302:
            yield away
            return
        asked = {name: values[0] for name, values in parse_qs(urlsplit(away["Location"]).query).items()}
        claims = {
            "iss": there.url,
            "aud": "shop",
            "sub": "chika",
            "exp": int(time.time()) + 60,
            "nonce": asked["nonce"],
        }
        claims = {name: value for name, value in {**claims, **lie.get("claims", {})}.items() if value is not None}
        token = {"access_token": "t", "id_token": jwt.encode({"alg": "HS256"}, claims, KEY)}
        there.answers = [
            json_answer(lie.get("token", token)),
            json_answer(lie.get("info", {"sub": "chika", "name": "Chika"})),
        ]
        yield client.get("/login/callback", {"state": asked["state"], "code": "c"})


def json_answer(value) -> Answer:
    return Answer(body=json.dumps(value).encode(), headers={"content-type": "application/json"})


@pytest.fixture(autouse=True)
def _loopback(standard_setup, settings):
    settings.DEMO = True


def test_honest_provider_signs_in(client):
    with provider(client) as answer:
        assert answer["Location"] == "/a"
    assert Profile.objects.get().user_id == "oidc|club|chika"


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_lie_signs_in_no_customer(client, lie):
    with provider(client, **lie) as answer:
        assert answer.status_code in (400, 502)
        assert "Go to the sign-in page" in answer.content.decode()
    assert not Profile.objects.exists()
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "discovery",
    [
        [],
        {},
        {
            "issuer": "https://evil.example",
            "authorization_endpoint": "x",
            "token_endpoint": "x",
            "userinfo_endpoint": "x",
        },
    ],
)
def test_invalid_discovery_shows_an_error_page(client, discovery):
    with provider(client, discovery=discovery) as answer:
        assert answer.status_code == 502
        assert "Club does not answer" in answer.content.decode()


@pytest.mark.parametrize("error", ["server_error", "<b>", ""])
def test_error_at_the_provider_shows_an_error_page(client, google, error):
    away = client.post("/login/google-oauth2?next=/a")["Location"]
    state = parse_qs(urlsplit(away).query)["state"][0]
    answer = client.get("/login/callback", {"state": state, "error": error})

    assert answer.status_code == 502
    assert "Google did not confirm who you are" in answer.content.decode()
    assert "/login?next=%2Fa" in answer.content.decode()
