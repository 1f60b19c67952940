"""Twelve at once through the real server with two worker processes: one wins, the others get the reason."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.live import ANSWER_TIME, ROOT, Live, ask, own_database, regulars
from tests.notices import hidden_fields

pytestmark = pytest.mark.server

AT_ONCE = 12
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
# What the sign-in pages leave behind, without their pages: a customer, a session, allauth's record of the authentication.
# And a television.
SESSION = """
import django, json
django.setup()
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.models import Account
profile, made = get_or_create_by_identity("auth0", "chika", connection="Username-Password-Authentication")
if made:
    profile.account = Account.objects.create_user(email="chika@example.com")
    profile.save()
from django.conf import settings
from regulars.clients.register import ClientSpec, register
from tests.notices import hidden_fields
from tests.sessions import open_session
shop, secret = register(ClientSpec("Shop", redirect_uris=["https://shop.example/callback"]))
tv, _ = register(ClientSpec("Shop TV", "none", grant_types=["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]))
made = {"client_id": shop.pk, "client_secret": secret, "callback": shop.redirect_uris[0], "tv": tv.pk}
(settings.HOME / "made.json").write_text(json.dumps({**made, "session": open_session(profile.account)}))
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with (
        own_database() as database_url,
        regulars(home, "--no-demo", database_url=database_url, REGULARS_WORKERS="2") as running,
    ):
        environment = {**running.environment, "DJANGO_SETTINGS_MODULE": "regulars.settings"}
        subprocess.run([sys.executable, "-c", SESSION], env=environment, cwd=ROOT, check=True)
        yield running


def made(live: Live) -> dict[str, str]:
    """Id, secret and callback of the shop, the key of Chika's session, and the client of a television."""
    return json.loads((live.home / "made.json").read_text())


@pytest.fixture(scope="module")
def tv(live: Live) -> str:
    return made(live)["tv"]


@pytest.fixture(scope="module")
def browser(live: Live):
    cookies = {"regulars_session": made(live)["session"]}
    with httpx2.Client(base_url=live.url, cookies=cookies, timeout=ANSWER_TIME) as client:
        yield client


def authorize(browser: httpx2.Client, live: Live) -> str:
    shop = made(live)
    params = {
        "client_id": shop["client_id"],
        "redirect_uri": shop["callback"],
        "response_type": "code",
        "scope": "openid offline_access",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "nonce": "n",
    }
    answer = browser.get("/authorize", params=params)
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def exchange(live: Live, **params: str) -> httpx2.Response:
    shop = made(live)
    body = {"client_id": shop["client_id"], "client_secret": shop["client_secret"], **params}
    return live.post("/oauth/token", data=body)


def redeem(live: Live, code: str) -> httpx2.Response:
    callback = made(live)["callback"]
    return exchange(live, grant_type="authorization_code", code=code, redirect_uri=callback, code_verifier=VERIFIER)


def refresh(live: Live, token: str) -> httpx2.Response:
    return exchange(live, grant_type="refresh_token", refresh_token=token)


def begin(live: Live, tv: str) -> dict[str, str]:
    """What the television asks for: its own code and the one it shows."""
    body = {"client_id": tv, "scope": "openid offline_access"}
    return live.post("/oauth/device/code", data=body).json()


def poll(live: Live, tv: str, codes: dict[str, str]) -> httpx2.Response:
    kind = "urn:ietf:params:oauth:grant-type:device_code"
    body = {"client_id": tv, "grant_type": kind, "device_code": codes["device_code"]}
    return live.post("/oauth/token", data=body)


def allow(browser: httpx2.Client, codes: dict[str, str]) -> httpx2.Response:
    page = browser.get("/activate", params={"user_code": codes["user_code"]}).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page
    form = {"csrfmiddlewaretoken": token[1], "user_code": codes["user_code"]}
    shown = hidden_fields(browser.post("/activate", data=form).text)
    return browser.post("/activate", data={**form, **shown, "do": "allow"})


def push(live: Live) -> str:
    """The reference under which the shop's request waits."""
    shop = made(live)
    body = {
        "client_id": shop["client_id"],
        "client_secret": shop["client_secret"],
        "redirect_uri": shop["callback"],
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = live.post("/oauth/par", data=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["request_uri"]


def all_at_once(act) -> list[httpx2.Response]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(act) for _ in range(AT_ONCE)]]


@pytest.mark.parametrize("_round", range(3))
def test_of_twelve_redemptions_of_a_code_one_gets_tokens_that_the_replay_ends(live, browser, _round):
    code = authorize(browser, live)
    answers = all_at_once(lambda: redeem(live, code))
    winner = next(answer for answer in answers if answer.status_code == 200)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}
    assert refresh(live, winner.json()["refresh_token"]).status_code == 400


@pytest.mark.parametrize("_round", range(3))
def test_of_twelve_uses_of_a_refresh_token_one_gets_the_next(live, browser, _round):
    token = redeem(live, authorize(browser, live)).json()["refresh_token"]
    answers = all_at_once(lambda: refresh(live, token))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}


@pytest.mark.parametrize("_round", range(3))
def test_of_twelve_polls_for_one_device_one_gets_tokens(live, browser, tv, _round):
    codes = begin(live, tv)
    waiting = all_at_once(lambda: poll(live, tv, codes))
    allowed = allow(browser, codes)
    answers = all_at_once(lambda: poll(live, tv, codes))

    assert {answer.json()["error"] for answer in waiting} <= {"authorization_pending", "slow_down"}
    assert "Your device is connected" in allowed.text
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}


def test_of_twelve_yeses_for_one_device_one_counts(live, browser, tv):
    before = logins(live)
    codes = begin(live, tv)
    statuses = Counter(answer.status_code for answer in all_at_once(lambda: allow(browser, codes)))

    assert statuses == {200: 1, 400: AT_ONCE - 1}
    assert logins(live) == before + 1
    assert poll(live, tv, codes).status_code == 200


@pytest.mark.parametrize("_round", range(3))
def test_of_twelve_uses_of_a_pushed_request_one_gets_a_code(live, browser, _round):
    query = {"client_id": made(live)["client_id"], "request_uri": push(live)}
    answers = all_at_once(lambda: browser.get("/authorize", params=query))
    codes = [answer for answer in answers if "code=" in answer.headers.get("location", "")]

    assert Counter(answer.status_code for answer in answers) == {302: 1, 400: AT_ONCE - 1}
    assert len(codes) == 1


def logins(live: Live) -> int:
    return live.rows("SELECT logins_count FROM profiles_profile WHERE user_id = ?", "auth0|chika")[0][0]


def test_authlibs_client_signs_in_refreshes_and_validates_tokens(live, browser):
    shop = made(live)
    known = live.get("/.well-known/openid-configuration").json()
    app = OAuth2Client(
        shop["client_id"],
        shop["client_secret"],
        scope="openid profile offline_access",
        redirect_uri=shop["callback"],
        code_challenge_method="S256",
    )
    url, state = app.create_authorization_url(known["authorization_endpoint"], code_verifier=VERIFIER, nonce="n2")
    back = browser.get(url).headers["location"]
    token = app.fetch_token(known["token_endpoint"], authorization_response=back, state=state, code_verifier=VERIFIER)
    keys = KeySet.import_key_set(ask("GET", known["jwks_uri"]).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    userinfo = app.get(known["userinfo_endpoint"]).json()
    renewed = app.refresh_token(known["token_endpoint"], refresh_token=token["refresh_token"])

    assert (claims["iss"], claims["aud"], claims["nonce"]) == (known["issuer"], shop["client_id"], "n2")
    assert userinfo["sub"] == claims["sub"] == "auth0|chika"
    assert renewed["refresh_token"] != token["refresh_token"]
