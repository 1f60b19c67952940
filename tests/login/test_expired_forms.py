"""Forms with an outdated token, unknown addresses and exceptions: the customer always sees a page in their language."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from django.test import Client
from tests.login.conftest import PASSWORD

from regulars.base.errors import Unavailable

pytestmark = pytest.mark.django_db
CREDENTIALS = {"email": "dina@example.com", "password": PASSWORD}


@pytest.fixture
def browser(dina) -> Client:
    return Client(enforce_csrf_checks=True)


def token_of(response) -> str:
    field = re.search(r'<input[^>]*name="csrfmiddlewaretoken"[^>]*>', response.content.decode())[0]
    return re.search(r'value="([^"]+)"', field)[1]


def sign_in_in_another_tab(browser: Client) -> None:
    page = browser.get("/login")
    assert browser.post("/login", {**CREDENTIALS, "csrfmiddlewaretoken": token_of(page)}).status_code == 302


@pytest.mark.parametrize("path", ["/login", "/signup", "/password/reset", "/code", "/passkey"])
def test_second_tab_goes_on_once_the_customer_is_signed_in(browser, path):
    token = token_of(browser.get("/login"))
    sign_in_in_another_tab(browser)
    answer = browser.post(f"{path}?next=/me", {**CREDENTIALS, "csrfmiddlewaretoken": token})

    assert (answer.status_code, answer["Location"]) == (303, "/me")


def test_second_click_goes_on(browser):
    form = {**CREDENTIALS, "csrfmiddlewaretoken": token_of(browser.get("/login?next=/me"))}
    answers = [browser.post("/login?next=/me", form) for _ in range(2)]

    assert [each["Location"] for each in answers] == ["/me", "/me"]


def test_prompt_login_asks_again(browser):
    token = token_of(browser.get("/login"))
    sign_in_in_another_tab(browser)
    answer = browser.post("/login?prompt=login&next=/me", {**CREDENTIALS, "csrfmiddlewaretoken": token})

    assert answer.status_code == 403
    assert 'name="password"' in answer.content.decode()


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_expired_form_comes_back_with_what_was_typed_but_the_password(browser, path):
    browser.get(path)
    typed = {"email": 'dina+"<x>@example.com', "password": "a secret of mine", "csrfmiddlewaretoken": "x" * 64}
    answer = browser.post(f"{path}?ui_locales=de", typed)
    page = answer.content.decode()

    assert answer.status_code == 403
    assert "Diese Seite hat zu lange gewartet" in page
    assert BeautifulSoup(page, "html.parser").find("input", {"name": "email"})["value"] == typed["email"]
    assert "a secret of mine" not in page
    assert answer.headers["Cache-Control"].startswith("max-age=0") or "no-store" in answer.headers["Cache-Control"]


def test_form_that_came_back_can_be_sent(browser):
    browser.get("/login")
    again = browser.post("/login?next=/me", {**CREDENTIALS, "csrfmiddlewaretoken": "x" * 64})
    answer = browser.post("/login?next=/me", {**CREDENTIALS, "csrfmiddlewaretoken": token_of(again)})

    assert (answer.status_code, answer["Location"]) == (302, "/me")


def test_form_without_cookies_says_so(browser):
    answer = browser.post("/login", CREDENTIALS)

    assert "Your browser sent no cookie" in answer.content.decode()


def test_form_of_a_foreign_page_changes_nothing(browser):
    sign_in_in_another_tab(browser)
    answer = browser.post("/me/facts/correct", {"attribute": "given_name", "value": "Evelyn"})
    page = answer.content.decode()

    assert answer.status_code == 403
    assert "Evelyn" not in browser.get("/me").content.decode()
    assert "CSRF" not in page


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/nothing", "Page not found"),
        ("/me/nothing", "Page not found"),
        ("/nothing?ui_locales=de", "Seite nicht gefunden"),
    ],
)
def test_unknown_address_has_a_page(client, standard_setup, path, title):
    answer = client.get(path)

    assert answer.status_code == 404
    assert f"<h1>{title}</h1>" in answer.content.decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/api/v2/nothing", "/api/nothing", "/api/regulars/v1/nothing"])
def test_unknown_address_of_an_api_answers_json(client, standard_setup, path):
    answer = client.get(path)

    assert (answer.status_code, answer.json()["errorCode"]) == (404, "not_found")


@pytest.mark.parametrize(("path", "has_json"), [("/login", False), ("/api/v2/clients", True)])
def test_exception_has_a_page_too(standard_setup, monkeypatch, path, has_json):
    browser = Client(raise_request_exception=False)

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("regulars.interfaces.login.login.customer", fail)
    monkeypatch.setattr("regulars.interfaces.http_api.access.verify", fail)
    answer = browser.get(path, headers={"Authorization": "Bearer x"})

    assert answer.status_code == 500
    assert "a fault of ours" not in answer.content.decode()
    if has_json:
        assert answer.json()["statusCode"] == 500
    else:
        assert "<h1>Something went wrong</h1>" in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "fails"),
    [
        ("/oauth/token", "regulars.interfaces.oidc.token_endpoints.read_parameters"),
        ("/oauth/revoke", "regulars.interfaces.oidc.token_endpoints.read_parameters"),
        ("/dbconnections/signup", "regulars.interfaces.login.embedded.request._read"),
        ("/co/authenticate", "regulars.interfaces.login.embedded.request._read"),
    ],
)
@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (RuntimeError("a fault of ours"), 500, "server_error"),
        (Unavailable("journal_not_written", "This was not recorded."), 503, "temporarily_unavailable"),
    ],
)
def test_exception_at_an_endpoint_for_programs_answers_json(
    standard_setup, monkeypatch, path, fails, fault, status, error
):
    def fail(*args: object) -> None:
        raise fault

    monkeypatch.setattr(fails, fail)
    answer = Client(raise_request_exception=False).post(path, {}, content_type="application/json")

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "a fault of ours" not in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]


def test_exception_without_a_database_still_has_a_page(standard_setup, monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no database")

    monkeypatch.setattr("regulars.interfaces.login.login.customer", fail)
    monkeypatch.setattr("regulars.serving.error_pages.message_page", fail)
    answer = Client(raise_request_exception=False).get("/login")

    assert (answer.status_code, b"<h1>Something went wrong</h1>" in answer.content) == (500, True)


@pytest.mark.parametrize("path", ["/login", "/console/login", "/console/rules", "/me"])
def test_unknown_host_has_a_page(client, standard_setup, settings, path):
    settings.ALLOWED_HOSTS = ["shop.example"]
    answer = client.get(path, headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert "This request cannot be read" in answer.content.decode()
