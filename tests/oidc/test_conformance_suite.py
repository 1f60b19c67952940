"""What the OpenID Foundation's conformance suite checks of a provider, by the names of its modules.

The suite itself needs Java and a database of its own. Each test here sends what its module sends and looks at what it looks
at: the Basic, Form Post, Implicit, Hybrid and Config profiles, and of the Dynamic one what is supported. Modules with tests of
their own elsewhere: logout (`test_logout`), userinfo-rs256 (`test_signed_userinfo`), registration-jwks-uri and
refresh-token-rp-key-rotation (`test_client_key_sets`), 3rd_party-init-login (`test_registration`), request objects
(`test_refusals`).
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from regulars.clients.models import Client
from regulars.oauth.claims import CLAIMS_BY_SCOPE
from regulars.profiles.learn import NewFact, learn
from tests.oidc.app import CALLBACK, SECRET, App, form_of, fragment_of, make_client, query_of, sign_in
from tests.oidc.test_step_up import follow, links_of

pytestmark = pytest.mark.any_database

RESPONSE_TYPES = ["code", "id_token", "token id_token", "code id_token", "code token", "code token id_token"]
NO_PKCE = {"code_challenge": None, "code_challenge_method": None}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(params=RESPONSE_TYPES)
def flow(request, client, customer) -> App:
    """An app for each response type of the profiles, in the browser of Chika. The suite sends no PKCE."""
    make_client(
        "suite", auth_method="client_secret_basic", grant_types=["authorization_code", "implicit", "refresh_token"]
    )
    sign_in(client, customer)
    return App(client, "suite", standard={"response_type": request.param, "scope": "openid", **NO_PKCE})


@pytest.fixture
def suite(client, customer) -> App:
    make_client("suite", auth_method="client_secret_basic")
    sign_in(client, customer)
    return App(client, "suite", standard={"scope": "openid", **NO_PKCE})


def basic(app: App) -> dict[str, str]:
    word = base64.b64encode(f"{quote(app.client_id)}:{quote(SECRET)}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


def redeem(app: App, code: str, **more: str) -> Any:
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **more}
    return app.browser.post("/oauth/token", urlencode(body), content_type=FORM, headers=basic(app))


def keys_of(app: App) -> KeySet:
    return KeySet.import_key_set(app.browser.get("/.well-known/jwks.json").json())


def checked(app: App, token: str) -> dict[str, Any]:
    """The claims of an ID token after the checks of every module (OpenID Connect Core 3.1.3.7)."""
    header = jws.extract_compact(token.encode()).headers()
    claims = jwt.decode(token, keys_of(app), algorithms=["RS256"]).claims
    now = time.time()

    assert (header["alg"], bool(header["kid"])) == ("RS256", True)
    assert (claims["iss"], claims["aud"]) == (settings.ISSUER, app.client_id)
    assert isinstance(claims["sub"], str)
    assert len(claims["sub"]) <= 255
    assert claims["exp"] > now >= claims["iat"] - 5
    assert all(type(claims[name]) is int for name in ("exp", "iat", "auth_time"))
    return claims


def userinfo(app: App, token: str, how: str = "get") -> dict[str, Any]:
    bearer = {"Authorization": f"Bearer {token}"}
    match how:
        case "get":
            answer = app.browser.get("/userinfo", headers=bearer)
        case "post-header":
            answer = app.browser.post("/userinfo", "", content_type=FORM, headers=bearer)
        case _:
            answer = app.browser.post("/userinfo", urlencode({"access_token": token}), content_type=FORM)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json"), answer.content
    return answer.json()


def answer_of(response: Any, types: str = "code", mode: str = "") -> dict[str, str]:
    """The answer where the profile expects it: by form, in the query for a code alone, else in the fragment."""
    if mode == "form_post":
        assert response.status_code == 200
        return form_of(response)
    assert response.status_code == 302, response.content
    where = response["Location"]
    assert where.startswith(CALLBACK)
    assert (query_of(where) == {}) == (types != "code")
    return query_of(where) if types == "code" else fragment_of(where)


# --- every profile


@pytest.mark.parametrize("mode", ["", "form_post"])
def test_oidcc_server(flow, customer, mode):
    """oidcc-server, idtoken-signature, the ID token checks, at_hash and c_hash, one `sub` everywhere."""
    types = flow.standard["response_type"]
    answer = answer_of(flow.authorize(response_mode=mode or None), types, mode)
    tokens = redeem(flow, answer["code"]) if "code" in types else None
    found = [answer["id_token"]] if "id_token" in answer else []
    if tokens is not None:
        body = tokens.json()
        found.append(body["id_token"])
        assert (tokens.status_code, body["token_type"], tokens["Cache-Control"]) == (200, "Bearer", "no-store")
        assert type(body["expires_in"]) is int
        assert userinfo(flow, body["access_token"])["sub"] == customer.user_id
    if "access_token" in answer:
        assert userinfo(flow, answer["access_token"])["sub"] == customer.user_id

    assert (answer["state"], answer["iss"]) == ("s1", settings.ISSUER)
    assert ("access_token" in answer, "code" in answer) == ("token" in types.split(), "code" in types)
    for token in found:
        claims = checked(flow, token)
        assert (claims["sub"], claims["nonce"]) == (customer.user_id, "n1")
    if "id_token" in answer:
        claims = checked(flow, answer["id_token"])
        assert (("at_hash" in claims), ("c_hash" in claims)) == ("token" in types.split(), "code" in types)


def test_oidcc_response_type_missing(flow):
    page = flow.authorize(response_type=None)

    assert query_of(page["Location"])["error"] in ("unsupported_response_type", "invalid_request")


def test_oidcc_ensure_request_without_nonce(flow):
    """…-succeeds-for-code-flow, …-fails where the browser gets an ID token."""
    types = flow.standard["response_type"]
    answer = answer_of(flow.authorize(nonce=None), types)

    if "id_token" in types:
        assert answer["error"] == "invalid_request"
    else:
        assert "nonce" not in checked(flow, redeem(flow, answer["code"]).json()["id_token"])


@pytest.mark.parametrize(
    "more",
    [
        {"display": "page"},
        {"display": "popup"},
        {"extra": "foobar"},
        {"login_hint": "chika@example.com"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"max_age": "10000"},
        {"scope": "email openid"},
        {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"},
    ],
)
def test_requests_with_optional_parameters_succeed(flow, more):
    """display-page, -popup, unknown-parameter, login-hint, ui-locales, claims-locales, other-scope-order, max-age-10000, PKCE."""
    types = flow.standard["response_type"]
    answer = answer_of(flow.authorize(**more), types)

    assert "error" not in answer
    if "code" in types:
        verifier = {"code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"} if "code_challenge" in more else {}
        assert checked(flow, redeem(flow, answer["code"], **verifier).json()["id_token"])


def test_oidcc_prompt_none_not_logged_in(client, standard_setup):
    make_client("suite", grant_types=["authorization_code", "implicit"])
    for types in RESPONSE_TYPES:
        app = App(client, "suite", standard={"response_type": types, "scope": "openid", **NO_PKCE})
        answer = answer_of(app.authorize(prompt="none"), types)
        assert (answer["error"], answer["state"]) == ("login_required", "s1")
        assert "code" not in answer


def test_oidcc_prompt_none_logged_in_and_id_token_hint(flow):
    types = flow.standard["response_type"]
    first = answer_of(flow.authorize(), types)
    token = first.get("id_token") or redeem(flow, first["code"]).json()["id_token"]
    for more in ({}, {"id_token_hint": token}):
        again = answer_of(flow.authorize(prompt="none", **more), types)
        later = again.get("id_token") or redeem(flow, again["code"]).json()["id_token"]
        was, now = checked(flow, token), checked(flow, later)
        assert (was["sub"], was["auth_time"]) == (now["sub"], now["auth_time"])


@pytest.mark.parametrize("more", [{"prompt": "login"}, {"max_age": "1"}])
def test_oidcc_prompt_login_and_max_age_1(suite, customer, more):
    """The second login asks for a new authentication, and its `auth_time` is later."""
    sign_in(suite.browser, customer, at=time.time() - 100)
    first = checked(suite, redeem(suite, answer_of(suite.authorize())["code"]).json()["id_token"])
    away = suite.authorize(**more)
    assert away["Location"].startswith("/login?")
    sign_in(suite.browser, customer, at=time.time() + 1)
    back = answer_of(suite.browser.get(query_of(away["Location"])["next"]))
    second = checked(suite, redeem(suite, back["code"]).json()["id_token"])

    assert second["auth_time"] > first["auth_time"]
    assert second["sub"] == first["sub"]


def test_oidcc_ensure_request_with_acr_values_succeeds(flow):
    """With the advertised values, for a customer who has no second factor and answers *Not now*."""
    types = flow.standard["response_type"]
    wanted = flow.browser.get("/.well-known/openid-configuration").json()["acr_values_supported"]
    page, _ = follow(flow.browser, flow.address(acr_values=" ".join(wanted)))
    answer = answer_of(flow.browser.get(links_of(page)["Not now"]), types)
    token = answer.get("id_token") or redeem(flow, answer["code"]).json()["id_token"]

    assert "acr" not in checked(flow, token)


def test_oidcc_claims_essential(flow):
    types = flow.standard["response_type"]
    part = "id_token" if types == "id_token" else "userinfo"
    answer = answer_of(flow.authorize(claims=json.dumps({part: {"name": {"essential": True}}})), types)
    if part == "id_token":
        assert checked(flow, answer["id_token"])["name"] == "Chika Okafor"
        return
    access = answer.get("access_token") or redeem(flow, answer["code"]).json()["access_token"]
    assert userinfo(flow, access)["name"] == "Chika Okafor"
    assert "id_token" not in answer or "name" not in checked(flow, answer["id_token"])


@pytest.mark.parametrize("kind", ["code", "code id_token"])
def test_oidcc_ensure_registered_redirect_uri(client, customer, kind):
    """A page, and no redirect: ensure-registered-redirect-uri, redirect-uri-query-mismatch, -query-added."""
    registered = "https://shop.example/cb?foo=bar"
    make_client("suite", redirect_uris=[registered], grant_types=["authorization_code", "implicit"])
    sign_in(client, customer)
    app = App(client, "suite", standard={"response_type": kind, "redirect_uri": registered, **NO_PKCE})
    for other in (
        CALLBACK,
        registered + "&x=y",
        "https://shop.example/cb",
        "https://shop.example/cb?foo=baz",
        registered + "#f",
    ):
        assert app.authorize(redirect_uri=other).status_code == 400
    fine = app.authorize()["Location"]

    assert fine.startswith(registered)
    assert {"code", "state"} <= set(query_of(fine) if kind == "code" else fragment_of(fine))


def test_oidcc_ensure_redirect_uri_in_authorization_request(client, customer):
    make_client("suite", redirect_uris=[CALLBACK, "https://shop.example/two"])
    sign_in(client, customer)

    assert App(client, "suite").authorize(redirect_uri=None).status_code == 400


def test_oidcc_ensure_post_request_succeeds(flow):
    types = flow.standard["response_type"]
    sent = query_of(flow.address())
    response = flow.browser.post("/authorize", urlencode(sent), content_type=FORM)

    assert "error" not in answer_of(response, types)


# --- code


@pytest.mark.parametrize("how", ["get", "post-header", "post-body"])
def test_oidcc_userinfo(suite, customer, how):
    tokens = redeem(suite, answer_of(suite.authorize())["code"]).json()

    assert userinfo(suite, tokens["access_token"], how) == {"sub": customer.user_id}


KNOWN = {
    "given_name": "Chika",
    "family_name": "Okafor",
    "birthdate": "1990-05-17",
    "website": "https://chika.example/",
    "phone_number": "+4915112345678",
}


@pytest.mark.parametrize("scope", ["profile", "email", "address", "phone", "profile email address phone"])
def test_oidcc_scope(flow, customer, scope):
    """The claims of a scope are of the types of OpenID Connect Core 5.1: `updated_at` is a number."""
    learn(customer, [NewFact(name, value, "verified", "google-oauth2") for name, value in KNOWN.items()])
    types = flow.standard["response_type"]
    answer = answer_of(flow.authorize(scope=f"openid {scope}"), types)
    found = [checked(flow, answer["id_token"])] if "id_token" in answer else []
    access = answer.get("access_token")
    if "code" in answer:
        body = redeem(flow, answer["code"]).json()
        found.append(checked(flow, body["id_token"]))
        access = access or body["access_token"]
    if access:
        found.append(userinfo(flow, access))
    asked = {claim for each in scope.split() for claim in CLAIMS_BY_SCOPE[each]}
    for claims in found:
        standard = {name: claims[name] for names in CLAIMS_BY_SCOPE.values() for name in names if name in claims}
        assert set(standard) <= asked
        for name, value in standard.items():
            kind = {"updated_at": int, "email_verified": bool, "phone_number_verified": bool, "address": dict}.get(
                name, str
            )
            assert type(value) is kind, name
        if "profile" in scope:
            assert claims["name"] == "Chika Okafor"
            assert "updated_at" in claims
        if "email" in scope:
            assert (claims["email"], claims["email_verified"]) == ("chika@example.com", True)


@pytest.mark.parametrize("types", ["code", "code id_token", "code token"])
def test_oidcc_codereuse(client, customer, types):
    """…-30seconds: 400 `invalid_grant`, and the access token of the first use is refused afterwards."""
    make_client("suite", auth_method="client_secret_basic", grant_types=["authorization_code", "implicit"])
    sign_in(client, customer)
    app = App(client, "suite", standard={"response_type": types, "scope": "openid", **NO_PKCE})
    code = answer_of(app.authorize(), types)["code"]
    first = redeem(app, code).json()
    assert userinfo(app, first["access_token"])
    again = redeem(app, code)
    after = client.get("/userinfo", headers={"Authorization": f"Bearer {first['access_token']}"})

    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (after.status_code, 'error="invalid_token"' in after["WWW-Authenticate"]) == (401, True)


def test_oidcc_server_client_secret_post(suite):
    Client.objects.update(auth_method="client_secret_post")
    code = answer_of(suite.authorize())["code"]
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": "suite"}
    answer = suite.browser.post("/oauth/token", urlencode({**body, "client_secret": SECRET}), content_type=FORM)

    assert answer.status_code == 200


def test_oidcc_refresh_token(suite, customer):
    """The ID token of a refresh has the same iss, sub, aud and auth_time; another app's use is 400 `invalid_grant`."""

    def refresh(app: App, token: str) -> Any:
        body = {"grant_type": "refresh_token", "refresh_token": token}
        return app.browser.post("/oauth/token", urlencode(body), content_type=FORM, headers=basic(app))

    make_client("second", auth_method="client_secret_basic")
    answer = answer_of(suite.authorize(scope="openid offline_access", prompt="consent"))
    first = redeem(suite, answer["code"]).json()
    stolen = refresh(App(suite.browser, "second"), first["refresh_token"])
    renewed = refresh(suite, first["refresh_token"])
    was, now = checked(suite, first["id_token"]), checked(suite, renewed.json()["id_token"])
    same = ("iss", "sub", "aud", "auth_time", "sid")

    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert [was[name] for name in same] == [now[name] for name in same]
    assert now["iat"] >= was["iat"]
    assert userinfo(suite, renewed.json()["access_token"])["sub"] == customer.user_id
    assert renewed.json()["access_token"] != first["access_token"]


# --- config


def test_oidcc_discovery_endpoint_verification(client, standard_setup, settings):
    settings.DYNAMIC_REGISTRATION = True
    answer = client.get("/.well-known/openid-configuration")
    found = answer.json()
    endpoints = {name: value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))}

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert found["issuer"] == settings.ISSUER
    assert {
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "registration_endpoint",
    } <= set(endpoints)
    assert all(address.startswith(settings.ISSUER) for address in endpoints.values())
    assert {"code", "id_token", "token id_token"} <= set(found["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(found["grant_types_supported"])
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert "RS256" in found["userinfo_signing_alg_values_supported"]
    assert set(found["subject_types_supported"]) <= {"public", "pairwise"}
    assert "openid" in found["scopes_supported"]
    assert {"sub", "name", "email"} <= set(found["claims_supported"])
    assert found["claims_parameter_supported"] is True
    assert (found["request_parameter_supported"], found["request_uri_parameter_supported"]) == (False, False)
    assert isinstance(found["code_challenge_methods_supported"], list)
    assert not any(value == [] for value in found.values())  # OpenID Connect Discovery 4.2


def test_the_keys_are_public_and_have_names(client, standard_setup):
    keys = client.get("/.well-known/jwks.json").json()["keys"]

    assert keys
    assert len({key["kid"] for key in keys}) == len(keys)
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & set(key) for key in keys)
    assert all(not set("+/=") & set(key["n"]) for key in keys)
