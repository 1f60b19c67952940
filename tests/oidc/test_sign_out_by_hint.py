"""A server of an app ends a session by its ID token, if the app may; no browser and no other app can."""

from __future__ import annotations

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client as Browser

from regulars.base.jobs.run_jobs import run_due
from regulars.base.tokens.jwt import verify
from regulars.clients.models import Client
from tests.management_api.conftest import ApiClient, make_token
from tests.oidc import app as apps
from tests.oidc.app import App, id_claims, make_client
from tests.oidc.test_logout import listens, logout_tokens
from tests.receivers import receiving


@pytest.fixture
def listed(app, customer):
    sign_in(app.browser, customer)
    return app


@pytest.fixture
def by_hint(listed):
    """The shop, whose server may sign customers out by their ID tokens."""
    return switch_on(listed)


def switch_on(app):
    Client.objects.filter(pk=app.client_id).update(signs_out_by_hint=True)
    return app


def sign_in(browser, profile):
    """Sign in, and list the session as the sign-in pages do."""
    apps.sign_in(browser, profile)
    UserSession.objects.create(user=profile.account, session_key=browser.session.session_key, ip="127.0.0.1")


def server_calls(hint, headers=None, cookies=None, **more):
    """GET as a server does: without cookies, and without the headers that every browser sends."""
    server = Browser()
    for name, value in (cookies or {}).items():
        server.cookies[name] = value
    return server.get("/oidc/logout", {"id_token_hint": hint, **more}, headers=headers or {})


def is_signed_in(app):
    return "code" in app.answer(prompt="none")


def asks(answer):
    return "An app wants to sign you out." in answer.content.decode() and b"You are signed out" not in answer.content


def test_a_server_ends_the_hinted_session_and_its_apps_are_notified(by_hint, customer, settings):
    settings.ALLOW_HOSTS = ["127.0.0.1"]
    make_client("other")
    with receiving() as receiver:
        listens(receiver, "other")
        tokens = by_hint.tokens()
        App(by_hint.browser, "other").code()
        answer = server_calls(tokens["id_token"])
        run_due()

    assert answer.status_code == 200
    assert "You are signed out" in answer.content.decode()
    assert by_hint.answer(prompt="none")["error"] == "login_required"
    assert verify(logout_tokens(receiver)[0], "other")["sid"] == id_claims(tokens)["sid"]


def test_a_server_ends_a_session_whose_key_changed_and_no_other_one(by_hint, customer, settings):
    hint = by_hint.tokens()["id_token"]
    session = by_hint.browser.session
    session.cycle_key()
    session.save()
    by_hint.browser.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    sign_in(by_hint.browser, customer)
    elsewhere = App(Browser())
    sign_in(elsewhere.browser, customer)
    elsewhere.tokens()
    back = server_calls(hint, post_logout_redirect_uri="https://shop.example/", state="bye")

    assert back["Location"] == "https://shop.example/?state=bye"
    assert not is_signed_in(by_hint)
    assert is_signed_in(elsewhere)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_an_image_a_frame_or_a_page_without_the_cookie_ends_nothing(by_hint, headers):
    answer = server_calls(by_hint.tokens()["id_token"], headers)

    assert (answer.status_code, asks(answer)) == (200, True)
    assert is_signed_in(by_hint)


def test_a_browser_with_other_cookies_ends_nothing(by_hint):
    answer = server_calls(by_hint.tokens()["id_token"], cookies={"csrftoken": "x" * 32})

    assert (answer.status_code, asks(answer)) == (200, True)
    assert is_signed_in(by_hint)


def test_an_app_that_is_not_switched_on_ends_nothing(listed):
    answer = server_calls(listed.tokens()["id_token"])

    assert (answer.status_code, asks(answer)) == (403, True)
    assert is_signed_in(listed)


def test_a_public_app_ends_nothing(client, customer):
    make_client("spa", auth_method="none", secret_hash="", signs_out_by_hint=True)
    sign_in(client, customer)
    spa = App(client, "spa", secret="")
    answer = server_calls(spa.tokens()["id_token"])

    assert (answer.status_code, asks(answer)) == (403, True)
    assert is_signed_in(spa)


def test_another_apps_token_ends_nothing(by_hint):
    """The hint was issued to an app that may not, in a session in which an app that may has a part."""
    make_client("other")
    by_hint.tokens()
    hint = App(by_hint.browser, "other").tokens()["id_token"]

    assert asks(server_calls(hint))
    assert server_calls(hint, client_id="shop").status_code == 400
    assert is_signed_in(by_hint)


def test_an_app_without_a_part_in_the_session_ends_nothing(by_hint, customer):
    hint = by_hint.tokens()["id_token"]
    server_calls(hint)
    sign_in(by_hint.browser, customer)
    again = server_calls(hint)

    assert "You are signed out" in again.content.decode()  # of a session that is over
    assert is_signed_in(by_hint)


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
def test_other_tokens_are_no_hint(by_hint, token):
    server_calls(by_hint.tokens(scope="openid offline_access")[token])

    assert is_signed_in(by_hint)


def test_a_browser_without_the_cookie_is_asked_and_may_answer(by_hint):
    browser = Browser(enforce_csrf_checks=True)
    hint = by_hint.tokens()["id_token"]
    address = f"/oidc/logout?id_token_hint={hint}&post_logout_redirect_uri=https://shop.example/"
    page = browser.get(address, headers={"Sec-Fetch-Site": "cross-site"})
    answer = browser.post(address, {"do": "sign-out", "csrfmiddlewaretoken": page.context["csrf_token"]})

    assert asks(page)
    assert answer["Location"] == "https://shop.example/"
    assert is_signed_in(by_hint)


def test_offline_access_stays_as_after_a_sign_out_in_the_browser(by_hint):
    tokens = by_hint.tokens(scope="openid offline_access")
    server_calls(tokens["id_token"])

    assert by_hint.refresh(tokens["refresh_token"]).status_code == 200


def test_the_switch_is_set_by_the_management_api_and_not_for_public_apps(client, standard_setup):
    make_client("shop", auth_method="client_secret_basic")
    token = make_token("read:clients update:clients")

    def call(method, **body):
        return ApiClient(client).call(method, "/v2/clients/shop", body or None, token=token)

    assert call("GET").json()["sign_out_by_hint"] is False
    assert call("PATCH", sign_out_by_hint=True).json()["sign_out_by_hint"] is True
    assert Client.objects.get(pk="shop").signs_out_by_hint
    assert call("PATCH", token_endpoint_auth_method="none").status_code == 400
    assert call("PATCH", token_endpoint_auth_method="none", sign_out_by_hint=False).status_code == 200
    assert call("PATCH", sign_out_by_hint="sometimes").status_code == 400
