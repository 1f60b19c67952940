"""Auth0's passport-auth0 sends the access token in the address of /userinfo: apps may opt in, and no log shows the token."""

from __future__ import annotations

import logging
from urllib.parse import quote

import pytest

from regulars.clients.models import Client
from regulars.interfaces.oidc import token_endpoints
from regulars.serving.pool import Pool
from regulars.serving.root import Root
from tests.management_api.conftest import ApiClient, make_token
from tests.oidc.test_dpop import nonced, sent_with
from tests.serving.test_pool import run

REFUSED = 'Bearer error="invalid_token"'


@pytest.fixture
def passport(signed_in):
    """The shop, which may send its tokens in the address."""
    Client.objects.update(token_in_query=True)
    return signed_in


def test_an_app_that_opted_in_sends_its_token_in_the_address(passport, customer):
    token = passport.tokens()["access_token"]
    answer = passport.browser.get("/userinfo", {"access_token": token, "lang": "de"})

    assert answer.json()["sub"] == customer.user_id
    assert "no-store" in answer["Cache-Control"]


def test_any_other_app_may_not(signed_in):
    answer = signed_in.browser.get("/userinfo", {"access_token": signed_in.tokens()["access_token"]})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith(REFUSED)
    assert "Authorization header" in answer["WWW-Authenticate"]


def test_a_token_that_is_bound_to_a_key_may_never(passport):
    code = passport.code()
    token = sent_with(passport, nonced(), passport.exchange, code).json()["access_token"]
    answer = sent_with(passport, nonced(), passport.browser.get, "/userinfo", {"access_token": token})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith(REFUSED)


@pytest.mark.parametrize(
    "query", ["access_token=x", "access_token=", "access_token", "access_token=a.b.c&access_token=x"]
)
def test_nonsense_in_the_address_is_no_token(passport, query):
    assert passport.browser.get(f"/userinfo?{query}").status_code == 401


def test_a_token_in_the_address_and_in_the_header_is_refused(passport):
    token = passport.tokens()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    assert passport.browser.get("/userinfo", {"access_token": token}, headers=headers).status_code == 400


@pytest.mark.parametrize("path", ["/userinfo", "/userinfo/"])
@pytest.mark.parametrize("name", ["access_token", "access%5Ftoken"])
def test_an_error_does_not_show_the_token(passport, monkeypatch, caplog, path, name):
    def fail(claims):
        raise RuntimeError("the database is lost")

    monkeypatch.setattr(token_endpoints, "userinfo_claims", fail)
    passport.browser.raise_request_exception = False
    token = passport.tokens()["access_token"]
    with caplog.at_level(logging.DEBUG, logger="django.request"):
        answer = passport.browser.get(f"{path}?a=b&{name}={quote(token)}")

    assert answer.status_code == (500 if path == "/userinfo" else 404)
    requests = [record.request for record in caplog.records if hasattr(record, "request")]
    assert caplog.records
    assert token not in caplog.text
    assert [request.get_full_path() for request in requests] == [f"{path}?a=b"] * len(requests)
    assert token not in str([(request, dict(request.GET)) for request in requests])


def test_the_servers_access_log_and_traces_do_not_see_the_token(passport, customer, monkeypatch):
    """granian logs from the scope that it gave to the application, after the answer; a tracer reads it inside."""
    token = passport.tokens()["access_token"]
    seen = []

    async def answer(self, scope, receive, send):
        seen.append((dict(scope), scope["query_string"]))

    monkeypatch.setattr(Pool, "__call__", answer)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/userinfo",
        "query_string": f"access_token={token}&lang=de".encode(),
        "headers": [],
        "client": ("127.0.0.1", 5000),
        "server": ("localhost", 8000),
    }
    run(Root()(scope, None, None))

    assert scope["query_string"] == b"lang=de"
    assert [query for _, query in seen] == [b"lang=de"]
    assert seen[0][0]["regulars.query_token"] == token


def test_the_opt_in_is_off_and_set_by_the_management_api(signed_in):
    token = make_token("read:clients update:clients")
    call = ApiClient(signed_in.browser).call

    assert call("GET", "/v2/clients/shop", token=token).json()["userinfo_token_in_query"] is False

    changed = call("PATCH", "/v2/clients/shop", {"userinfo_token_in_query": True}, token=token)

    assert changed.json()["userinfo_token_in_query"] is True
    assert Client.objects.get(pk="shop").token_in_query
