"""The client of a connection: which addresses it may call, how it identifies itself, and what it makes of odd answers."""

from __future__ import annotations

import base64
import gzip
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.receivers import Answer, receiving

from regulars.connections.login_methods import find_social, social_connections
from regulars.connections.models import Connection
from regulars.connections.oauth_client import ProviderClient, ProviderError


@pytest.fixture(autouse=True)
def _demo(settings):
    settings.DEMO = True


def connection(there: str, strategy: str = "oauth2", **more) -> Connection:
    urls = {"authorize": f"{there}/authorize", "token": f"{there}/token", "user": f"{there}/user"}
    given = {"urls": urls if strategy == "oauth2" else {"site": there}, **more}
    return Connection(name="club", strategy=strategy, display_name="Club", client_id="id:1", secret="s&1", **given)


def complete(there: str, **more):
    return ProviderClient(connection(there, **more), "https://shop.example/login/callback").complete(
        "the code", nonce="", code_verifier="v" * 43
    )


def answer(value: object, **headers: str) -> Answer:
    return Answer(body=json.dumps(value).encode(), headers={"content-type": "application/json", **headers})


def test_enabled_connections_only_are_offered(db):
    for name, enabled in (("one", True), ("two", True), ("shut", False)):
        Connection.objects.create(name=name, strategy="oidc", display_name=name, enabled=enabled)

    assert [each.name for each in social_connections()] == ["one", "two"]
    assert find_social("shut") is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://169.254.169.254", "http://10.0.0.1", "file:///etc"])
def test_private_addresses_are_not_called(settings, address):
    settings.DEMO, settings.ALLOW_HOSTS = False, []

    with pytest.raises(ProviderError, match=r"not on the public web|Only http and https"):
        complete(address)
    with pytest.raises(ProviderError, match=r"not on the public web|Only http and https"):
        ProviderClient(connection(address)).refresh("r")


def test_each_sign_in_has_its_own_state_and_challenge():
    client = ProviderClient(connection("https://club.example"), "https://shop.example/login/callback")
    first, second = client.begin(["a", "b"], {"prompt": "login"}), client.begin(["a"], {})
    asked = {name: values[0] for name, values in parse_qs(urlsplit(first.url).query).items()}

    assert first.state.startswith("club.")
    assert not {first.state, first.code_verifier} & {second.state, second.code_verifier}
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "a b"
    assert asked["prompt"] == "login"
    assert first.code_verifier not in first.url


def test_an_authorization_address_keeps_its_own_query():
    client = ProviderClient(connection("https://club.example"))
    client.connection.urls["authorize"] = "https://club.example/authorize?policy=sign_in"

    assert re.match(r"https://club\.example/authorize\?policy=sign_in&response_type=code&", client.begin([], {}).url)


def test_the_secret_is_posted_or_in_the_header_as_the_provider_wants_it():
    token, user = answer({"access_token": "t"}), answer({"id": 7, "data": {"id": "7"}})
    with receiving(token, user, token, user) as there:
        complete(there.url)
        complete(there.url, strategy="twitter")
        posted, _, in_header, _ = there.received
    form = parse_qs(posted.body.decode())

    assert (form["client_id"], form["client_secret"], form["code"]) == (["id:1"], ["s&1"], ["the code"])
    assert "authorization" not in posted.headers
    assert base64.b64decode(in_header.headers["authorization"].removeprefix("Basic ")) == b"id%3A1:s%261"
    assert b"client_secret" not in in_header.body


def test_a_token_answer_may_be_a_form_and_its_lifetime_nonsense():
    with receiving(Answer(body=b"access_token=t&scope=a,b&expires_in=soon"), answer({"id": 7})) as there:
        found = complete(there.url)

    issued = {"access_token": "t", "issued_by": f"{there.url}/token"}
    assert (found.user_id, found.granted, found.issued) == ("7", ["a", "b"], issued)


def test_a_token_request_is_not_redirected_and_a_call_is():
    elsewhere = Answer(status=307, headers={"location": "/other"})
    with receiving(elsewhere) as there, pytest.raises(ProviderError, match="answered 307"):
        complete(there.url)
    with receiving(answer({"access_token": "t"}), elsewhere, answer({"id": 7})) as there:
        assert complete(there.url).user_id == "7"
        assert [call.path for call in there.received] == ["/token", "/user", "/other"]


def test_a_compressed_answer_is_not_unpacked():
    packed = Answer(body=gzip.compress(b'{"access_token": "t"}'), headers={"content-encoding": "gzip"})
    with receiving(packed) as there, pytest.raises(ProviderError, match="answered 200"):
        complete(there.url)


def test_no_cookie_of_a_provider_is_sent_back():
    with receiving(answer({"access_token": "t"}, **{"set-cookie": "a=b; Path=/"}), answer({"id": 7})) as there:
        complete(there.url)
        assert "cookie" not in there.received[1].headers
