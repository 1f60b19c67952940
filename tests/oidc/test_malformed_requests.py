"""Nonsense sent to any address of the OpenID Provider gets a defined answer and causes no fault."""

from __future__ import annotations

import json

import pytest
from django.test import Client as Browser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.oauth.client_assertion import ASSERTION_TYPE
from regulars.oauth.grant import DEVICE_CODE
from tests.oidc.app import CALLBACK, CHALLENGE, SECRET, make_client, sign_in

ENDPOINTS = [
    "/authorize",
    "/authorize/consent",
    "/continue",
    "/activate",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/introspect",
    "/oauth/par",
    "/oauth/device/code",
    "/oidc/register",
    "/oidc/logout",
    "/v2/logout",
    "/userinfo",
]
# Words that lead deep into the endpoints, among nonsense.
KNOWN = {
    "client_id": ["shop", "spa", "robot"],
    "client_secret": [SECRET],
    "redirect_uri": [CALLBACK],
    "response_type": ["code", "token id_token", "code token"],
    "response_mode": ["query", "fragment", "form_post", "web_message"],
    "scope": ["openid profile", "openid offline_access"],
    "grant_type": ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE],
    "prompt": ["none", "login", "consent"],
    "owp": ["true"],
    "code_challenge": [CHALLENGE],
    "code_challenge_method": ["S256"],
    "client_assertion_type": [ASSERTION_TYPE],
}
NAMES = [
    *KNOWN,
    *("state", "nonce", "audience", "max_age", "acr_values", "claims", "ui_locales", "login_hint", "connection"),
    *("code", "code_verifier", "refresh_token", "device_code", "token", "client_assertion", "request", "request_uri"),
    *(
        "dpop_jkt",
        "user_code",
        "do",
        "_resume",
        "id_token_hint",
        "logout_hint",
        "back_from",
        "returnTo",
        "post_logout_redirect_uri",
        "organization",
    ),
    *("redirect_uris", "grant_types", "token_endpoint_auth_method", "jwks"),
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@st.composite
def fields(draw):
    names = draw(st.lists(st.sampled_from(NAMES) | TEXTS, max_size=12))
    return {name: draw(st.sampled_from(KNOWN.get(name, [""])) | TEXTS) for name in names}


@pytest.fixture
def browser(customer) -> Browser:
    everything = ["authorization_code", "implicit", "refresh_token", DEVICE_CODE]
    make_client(grant_types=everything)
    make_client("spa", auth_method="none", secret_hash="", grant_types=everything)
    make_client("robot", grant_types=["client_credentials"])
    made = Browser(raise_request_exception=False)
    sign_in(made, customer)
    return made


@given(
    path=st.sampled_from(ENDPOINTS),
    query=fields(),
    body=fields(),
    how=st.sampled_from(["GET", "POST", "JSON"]),
    proof=TEXTS.filter(lambda text: text.isascii() and text.isprintable()),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_is_a_fault(browser, path, query, body, how, proof):
    headers = {"Authorization": f"Bearer {proof}", "DPoP": proof}
    address = Browser().get("/healthz", query).request["QUERY_STRING"]
    match how:
        case "GET":
            answer = browser.get(f"{path}?{address}", headers=headers)
        case "POST":
            answer = browser.post(f"{path}?{address}", body, headers=headers)
        case _:
            answer = browser.post(
                f"{path}?{address}", json.dumps(body), content_type="application/json", headers=headers
            )

    assert answer.status_code < 500, answer.content
    if path.startswith("/oauth/") and how != "GET" and answer.status_code >= 400:
        assert set(answer.json()) >= {"error", "error_description"}


@pytest.mark.parametrize("path", [path for path in ENDPOINTS if path.startswith(("/oauth/", "/userinfo"))])
def test_every_endpoint_for_scripts_answers_a_preflight(client, path):
    answer = client.options(path, headers={"Access-Control-Request-Headers": "dpop"})

    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (204, "*")
    assert "DPoP" in answer["Access-Control-Allow-Headers"]
