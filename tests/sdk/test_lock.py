"""auth0-lock 14, unmodified, in an app that opted in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.journey import eventually

from .conftest import Town
from .furnish import PASSWORD
from .people import shown_json

pytestmark = pytest.mark.browser


def open_lock(page: Page, town: Town, query: str = "", button: str = "Sign in") -> None:
    page.goto(f"{town.origins['lock']}/lock.html{query}")
    page.get_by_role("button", name=button, exact=True).click()


def fill_in(page: Page, email: str, password: str) -> None:
    page.locator(".auth0-lock input[name=email]").fill(email)
    page.locator(".auth0-lock input[name=password]").fill(password)
    page.locator(".auth0-lock-submit").click()


def test_sign_in_with_a_password_reaches_the_app(page: Page, town: Town):
    open_lock(page, town)
    fill_in(page, "chika@example.com", PASSWORD)
    expect(page.locator("pre")).to_contain_text("claims")

    assert shown_json(page)["claims"]["iss"] == town.issuer
    assert shown_json(page)["user"]["email"] == "chika@example.com"


def logins(town: Town, email: str) -> int:
    counted = (
        "SELECT logins_count FROM profiles_profile p JOIN accounts_account a ON p.account_id = a.id WHERE a.email = ?"
    )
    return town.live.rows(counted, email)[0][0]


def test_sign_in_on_the_page_counts_as_one_login(page: Page, town: Town):
    before = logins(town, "chika@example.com")
    open_lock(page, town, "?here")
    fill_in(page, "chika@example.com", PASSWORD)
    expect(page.locator("pre")).to_contain_text("claims")

    assert shown_json(page)["user"]["email"] == "chika@example.com"
    assert page.url.endswith("?here")
    assert logins(town, "chika@example.com") == before + 1


def test_wrong_password_shows_the_message_of_lock(page: Page, town: Town):
    open_lock(page, town)
    fill_in(page, "chika@example.com", "wrong password")

    expect(page.locator(".auth0-global-message-error")).to_contain_text("Wrong email or password")


def test_sign_up_fields_are_known_once_the_mail_is_opened(page: Page, town: Town):
    open_lock(page, town)
    page.locator(".auth0-lock").get_by_text("Sign Up").first.click()
    expect(page.locator(".auth0-lock-submit")).to_have_text("Sign Up")  # what is typed while Lock changes over is lost
    page.get_by_placeholder("your shoe size").fill("39")
    fill_in(page, "mila@example.com", PASSWORD)
    expect(page.locator("pre")).to_contain_text("mila@example.com")
    link = eventually(lambda: town.mailed("mila@example.com", r"https://localhost\S+finish\S+"))
    page.goto(link)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Finish and sign in").click()
    rows = eventually(
        lambda: town.live.rows(
            "SELECT CAST(f.value AS TEXT), f.source FROM profiles_fact f JOIN accounts_account a ON a.email = ?"
            " JOIN profiles_profile p ON p.account_id = a.id"
            " WHERE f.profile_id = p.id AND f.attribute = 'user_metadata.shoe_size'",
            "mila@example.com",
        )
    )

    assert rows == [('"39"', f"app:{town.clients['lock']['client_id']}")]


def test_a_social_button_goes_straight_to_the_provider(page: Page, town: Town):
    open_lock(page, town)
    page.locator(".auth0-lock").get_by_text("Sign in with Upstream").click()
    page.locator("input[name=login]").fill("ines")
    page.locator("input[name=password]").fill("whatever")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("pre")).to_contain_text("claims")

    assert shown_json(page)["claims"]["sub"] == "oidc|upstream|ines"


def test_a_social_button_opens_a_popup_when_the_page_stays_where_it_is(page: Page, town: Town):
    open_lock(page, town, "?here")
    with page.expect_popup() as opened:
        page.locator(".auth0-lock").get_by_text("Sign in with Upstream").click()
    popup = opened.value
    popup.locator("input[name=login]").fill("lena")
    popup.locator("input[name=password]").fill("whatever")
    popup.get_by_role("button", name="Sign-in").click()
    popup.get_by_role("button", name="Continue").click()
    expect(page.locator("pre")).to_contain_text("claims")

    assert shown_json(page)["claims"]["sub"] == shown_json(page)["user"]["sub"] == "oidc|upstream|lena"
    assert page.url.endswith("?here")
    assert popup.is_closed()


def test_sign_in_with_a_code_by_mail(page: Page, town: Town):
    open_lock(page, town, button="Sign in by mail")
    page.locator(".auth0-lock input[name=email]").fill("dov@example.com")
    page.locator(".auth0-lock-submit").click()
    code = eventually(lambda: town.mailed("dov@example.com", r"(?m)^\d{6}$"))
    page.locator(".auth0-lock input[name=vcode]").fill(code)
    page.locator(".auth0-lock-submit").click()
    expect(page.locator("pre")).to_contain_text("claims")

    assert shown_json(page)["user"]["email"] == "dov@example.com"
