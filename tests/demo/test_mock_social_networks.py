"""The mock service for Google keeps OpenID Connect's rules, so that what works with it works with a real provider."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest
from examples.mock_services.people import GOOGLE, PEOPLE
from examples.mock_services.social import Application, Provider
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

ISSUER = "http://localhost:8002/google"
CALLBACK = "http://localhost:8000/login/callback"
SHOP = Application("shop", "s3cret", "The shop", (CALLBACK,))
VERIFIER = "a-verifier-that-is-long-enough-for-the-standard-to-like"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
LENA = "110248495921238986401"
BIRTHDAY, GENDER = f"{GOOGLE}user.birthday.read", f"{GOOGLE}user.gender.read"


@pytest.fixture
def google() -> TestClient:
    app = Starlette(routes=[Mount("/google", Provider(ISSUER, {"shop": SHOP}).app())])
    return TestClient(app, base_url=ISSUER, follow_redirects=False)


def request_for(**changes: str) -> dict[str, str]:
    asked = {
        "client_id": "shop",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": f"openid email profile {BIRTHDAY} {GENDER}",
        "state": "st",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {**asked, **changes}


def answer_of(response) -> dict[str, str]:
    assert response.status_code == 303
    return {key: values[0] for key, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def code_for(google: TestClient, *ticked: str, person: str = LENA) -> str:
    form = {**request_for(), "person": person, "decision": "allow", "granted": list(ticked)}
    return answer_of(google.post("/consent", data=form))["code"]


def redeem(google: TestClient, code: str, **changes: str):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": "shop",
        "client_secret": "s3cret",
        "code_verifier": VERIFIER,
    }
    return google.post("/token", data={**form, **changes})


def test_only_the_ticked_boxes_are_granted(google: TestClient) -> None:
    tokens = redeem(google, code_for(google, GENDER)).json()
    known = google.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()

    assert tokens["scope"] == f"openid email profile {GENDER}"
    assert known["gender"] == "female"
    assert "birthdate" not in known
    assert known["email"] == "lena.vogt@example.com"


def test_googles_people_api_says_the_same(google: TestClient) -> None:
    tokens = redeem(google, code_for(google, GENDER, BIRTHDAY)).json()
    known = google.get("/v1/people/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()

    assert known["genders"][0]["value"] == "female"
    assert known["birthdays"][0]["date"] == {"year": 1997, "month": 3, "day": 7}
    assert "addresses" not in known


def test_the_id_token_is_signed_for_the_application_and_carries_its_nonce(google: TestClient) -> None:
    keys = KeySet.import_key_set(google.get("/jwks").json())
    claims = jwt.decode(redeem(google, code_for(google)).json()["id_token"], keys).claims

    assert claims["iss"] == google.get("/.well-known/openid-configuration").json()["issuer"] == ISSUER
    assert (claims["aud"], claims["nonce"], claims["sub"]) == ("shop", "n-1", LENA)


def test_a_code_is_good_once(google: TestClient) -> None:
    code = code_for(google)

    assert redeem(google, code).status_code == 200
    assert redeem(google, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "another"}, "invalid_grant"),
        ({"redirect_uri": CALLBACK + "?"}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
    ],
)
def test_a_code_is_good_for_its_owner_only(google: TestClient, changed: dict[str, str], error: str) -> None:
    assert redeem(google, code_for(google), **changed).json()["error"] == error


def test_a_no_goes_back_to_the_application(google: TestClient) -> None:
    answer = answer_of(google.post("/consent", data={**request_for(), "person": LENA, "decision": "deny"}))

    assert (answer["error"], answer["state"]) == ("access_denied", "st")


def test_an_unknown_address_is_never_redirected_to(google: TestClient) -> None:
    response = google.get("/authorize", params=request_for(redirect_uri="http://evil.example/"))

    assert response.status_code == 400
    assert "location" not in response.headers


def test_everybody_can_be_chosen_and_the_page_says_that_it_is_a_mock(google: TestClient) -> None:
    page = google.get("/authorize", params=request_for()).text

    assert "not the real Google" in page
    assert all(person.shown_as in page for person in PEOPLE.values())


def test_nadia_finds_the_optional_boxes_empty_and_lena_finds_them_ticked(google: TestClient) -> None:
    nadia = google.get("/consent", params=request_for(person="110248495921238986405")).text
    lena = google.get("/consent", params=request_for(person=LENA)).text

    assert f'value="{GENDER}">' in nadia
    assert f'value="{GENDER}" checked>' in lena


def test_who_has_only_an_e_mail_says_only_that(google: TestClient) -> None:
    code = code_for(google, GENDER, BIRTHDAY, person="110248495921238986404")
    tokens = redeem(google, code).json()
    known = google.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()

    assert known == {"sub": "110248495921238986404", "email": "yuki@example.com", "email_verified": False}
