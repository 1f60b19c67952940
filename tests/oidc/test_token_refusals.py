"""Refusals of /userinfo (RFC 6750) and of client authentication (RFC 6749, 5.2) are those of the standards."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest

from regulars.base.crypto import hash_secret
from regulars.clients.models import ClientGrant
from tests.oidc.app import App, make_client

FORM = "application/x-www-form-urlencoded"


def userinfo(app, token="", kind="Bearer"):
    return app.browser.get("/userinfo", headers={"Authorization": f"{kind} {token}"} if kind else {})


def basic(name, secret):
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


# /userinfo


@pytest.mark.parametrize("header", [None, "Basic c2hvcDp4", "Bearer", "Bearer ", "Digest x"])
def test_userinfo_without_credentials_has_a_challenge_without_an_error(client, db, header):
    answer = client.get("/userinfo", headers={"Authorization": header} if header else {})

    assert (answer.status_code, answer.content) == (401, b"Unauthorized")
    assert answer["WWW-Authenticate"] == 'Bearer realm="userinfo"'


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.", "é"])
def test_userinfo_calls_a_bad_token_invalid_token(client, db, token):
    by_get = client.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    by_post = client.post("/userinfo", {"access_token": token}, content_type="application/x-www-form-urlencoded")

    assert by_get.status_code == by_post.status_code == 401
    assert by_get["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="')


def test_userinfo_refuses_a_token_without_openid_for_its_scope(signed_in, orders):
    without_audience = signed_in.tokens(scope="profile email")["access_token"]
    for_an_api = signed_in.tokens(scope="read:orders", audience=orders.identifier)["access_token"]
    make_client("machine", grant_types=["client_credentials"])
    ClientGrant.objects.create(client_id="machine", resource_server=orders, scopes=["read:orders"])
    machine = App(signed_in.browser, "machine").token(grant_type="client_credentials", audience=orders.identifier)

    for token in (without_audience, for_an_api, machine.json()["access_token"]):
        answer = userinfo(signed_in, token)
        assert (answer.status_code, answer.content) == (403, b"Forbidden")
        assert answer["WWW-Authenticate"].startswith('Bearer error="insufficient_scope", error_description="')
        assert answer["WWW-Authenticate"].endswith('scope="openid"')


def test_userinfo_refuses_a_token_that_is_sent_in_two_ways(signed_in):
    token = signed_in.tokens()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = signed_in.browser.post("/userinfo", f"access_token={token}", content_type=FORM, headers=headers)

    assert answer.status_code == 400
    assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_request"')


# client authentication


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/par"])
@pytest.mark.parametrize(
    "credentials",
    [{"client_secret": "wrong"}, {}, {"client_id": "nobody", "client_secret": "wrong"}, {"client_id": ""}],
)
def test_failed_client_authentication_is_invalid_client(app, path, credentials):
    body = {"client_id": "shop", "grant_type": "refresh_token", "refresh_token": "x", "token": "x", **credentials}
    answer = app.browser.post(path, body)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "WWW-Authenticate" not in answer


@pytest.mark.parametrize("header", [basic("shop", "wrong"), basic("nobody", "x"), "Basic %%%", "basic e30="])
def test_failed_authentication_by_the_header_is_challenged(app, header):
    body = {"grant_type": "refresh_token", "refresh_token": "x"}
    answer = app.browser.post("/oauth/token", body, headers={"Authorization": header})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer["WWW-Authenticate"] == 'Basic realm="token"'


SECRETS = ["a secret of the shop", "plus+and%20percent", "a+b c%41", "ä:ö&=/~", "100%"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("encode", [quote_plus, lambda text: quote(text, safe=""), str])
@pytest.mark.parametrize("client_id", ["shop one", "shop"])
def test_basic_credentials_work_form_encoded_and_as_they_are(client, standard_setup, client_id, secret, encode):
    """RFC 6749, 2.3.1 wants them form-encoded, where a space is `+`; many clients send them unencoded."""
    make_client(client_id, secret_hash=hash_secret(secret))
    headers = {"Authorization": basic(encode(client_id), encode(secret))}
    answer = client.post("/oauth/introspect", {"token": "x", "client_id": client_id}, headers=headers)

    assert (answer.status_code, answer.json()) == (200, {"active": False})


def test_a_header_and_a_body_that_name_two_clients_are_refused(app):
    make_client("other")
    headers = {"Authorization": basic("shop", quote_plus(app.secret))}
    answer = app.browser.post("/oauth/introspect", {"token": "x", "client_id": "other"}, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
