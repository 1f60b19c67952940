"""Access to the Management API, and the body of every error."""

from __future__ import annotations

import time

import pytest

from regulars.clients.models import Client

from .conftest import make_token


def error_of(answer) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"statusCode", "error", "message", "errorCode"}
    assert body["statusCode"] == answer.status_code
    return answer.status_code, body["errorCode"]


def test_call_without_a_token_is_refused(client, standard_setup):
    assert error_of(client.get("/api/v2/users")) == (401, "invalid_token")


@pytest.mark.parametrize(
    "claims", [{"aud": "https://elsewhere/"}, {"exp": int(time.time()) - 60}, {"iss": "https://elsewhere/"}]
)
def test_foreign_or_expired_token_is_refused(api_client, claims):
    assert error_of(api_client.call("GET", "/v2/users", token=make_token(**claims))) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/users", "create:users"),
        ("POST", "/v2/users", "read:users"),
        ("PATCH", "/v2/users/auth0%7C1", "read:users"),
        ("DELETE", "/v2/users/auth0%7C1", "update:users"),
        ("GET", "/v2/clients", "read:users"),
        ("GET", "/regulars/v1/segments", "read:users"),
        ("GET", "/regulars/v1/profiles/auth0%7C1/facts", "read:segments"),
    ],
)
def test_every_operation_requires_its_own_scope(api_client, method, path, scope):
    assert error_of(api_client.call(method, path, {}, token=make_token(scope))) == (403, "insufficient_scope")


def test_app_metadata_has_a_scope_of_its_own(api_client, chika):
    token, path = make_token("update:users_app_metadata"), f"/v2/users/{chika.user_id}"

    allowed = api_client.call("PATCH", path, {"app_metadata": {"plan": "gold"}}, token=token)
    refused = api_client.call("PATCH", path, {"user_metadata": {"plan": "gold"}}, token=token)

    assert allowed.json()["app_metadata"] == {"plan": "gold"}
    assert error_of(refused) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "query",
    [
        {"q": "name:(a OR"},
        {"q": "user_metadata.plan:gol*"},
        {"q": "name:\0"},
        {"sort": "email"},
        {"sort": "user_metadata:1"},
        {"per_page": 101},
        {"per_page": 100, "page": 10},
        {"page": -1},
        {"search_engine": "v1"},
        {"colour": "red"},
    ],
)
def test_bad_query_is_refused_by_name(api_client, query):
    assert error_of(api_client.call("GET", "/v2/users", **query)) == (400, "invalid_query_string")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b'{"colour": "red"}',
        b'{"email": "no address"}',
        b'{"user_metadata": {"a": NaN}}',
        b'{"user_metadata": {"a": 1e999}}',
        b'{"user_metadata": {"a.b": 1}}',
        rb'{"user_metadata": {"a": "\u0000"}}',
        rb'{"password": "long enough \ud800"}',
        b'{"user_metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
        b"[" * 100_000,
    ],
)
def test_bad_body_is_refused_by_name(api_client, chika, body):
    assert error_of(api_client.call("PATCH", f"/v2/users/{chika.user_id}", body)) == (400, "invalid_body")


def test_body_over_a_megabyte_is_too_large(api_client, chika):
    for size in (1_000_001, 3_000_000):
        answer = api_client.call("PATCH", f"/v2/users/{chika.user_id}", b"x" * size)

        assert error_of(answer) == (413, "payload_too_large")


def test_unknown_resource_is_refused_by_name(api_client):
    assert error_of(api_client.call("GET", "/v2/users/auth0%7Cunknown")) == (404, "inexistent_user")
    assert error_of(api_client.call("GET", "/v2/clients/none")) == (404, "inexistent_client")
    assert error_of(api_client.call("GET", "/v2/connections/none")) == (404, "inexistent_connection")
    assert error_of(api_client.call("GET", "/regulars/v1/segments/none")) == (404, "inexistent_segment")


@pytest.mark.parametrize(
    "q",
    [
        "[",
        "*",
        "a:b" * 2000,
        "(" * 500,
        "NOT " * 900 + "a:b",
        " OR ".join(f"a:{number}" for number in range(1000)),
        "a:[9999-12-31 TO *]",
        "created_at:[0001 TO 0001]",
        "created_at:[now-99999999999d TO *]",
        "a:[1e999 TO *]",
        "a:%s %d %(x)s",
        "_exists_:%",
        "a.b.c.'x:1",
        "name:?",
        "naïve:é",
    ],
)
def test_odd_search_text_causes_no_server_error(api_client, chika, q):
    assert api_client.call("GET", "/v2/users", q=q, include_totals="true").status_code in (200, 400)


@pytest.mark.parametrize(
    "body",
    [
        {"user_metadata": {"a": 10**400}},
        {"user_metadata": {"a": {"": 1, "b.c": 2}}},
        {"user_metadata": {"a" * 110: {"b" * 50: 1}}},
        {"app_metadata": {"a": [], "b": {}, "c": ""}},
        {"name": None, "email": None, "blocked": None},
    ],
)
def test_odd_bodies_are_accepted(api_client, chika, body):
    assert api_client.call("PATCH", f"/v2/users/{chika.user_id}", body).status_code == 200


@pytest.mark.parametrize("sub", ["google-oauth2|1", "oidc|bot@clients"])
def test_customer_token_has_no_scope_for_other_users(api_client, sub):
    own_token = make_token("read:users update:users read:clients", sub=sub)

    assert error_of(api_client.call("GET", "/v2/users", token=own_token)) == (403, "insufficient_scope")


def test_token_of_a_deleted_app_is_refused(api_client, chika):
    token = make_token()
    assert api_client.call("GET", "/v2/users", token=token).status_code == 200

    Client.objects.filter(pk="bot").delete()
    refused = api_client.call("GET", "/v2/users", token=token)

    assert (refused.status_code, refused.json()["errorCode"]) == (401, "invalid_token")
