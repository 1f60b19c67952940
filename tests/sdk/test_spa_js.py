"""@auth0/auth0-spa-js, unmodified, in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Town
from .people import shown_json, sign_in

pytestmark = pytest.mark.browser


def open_app(page: Page, town: Town, query: str = "") -> None:
    page.goto(f"{town.origins['spa']}/spa.html{query}")
    expect(page.locator("pre")).not_to_be_empty()


def sign_in_by_redirect(page: Page, town: Town, query: str = "") -> None:
    open_app(page, town, query)
    page.get_by_role("button", name="Sign in", exact=True).click()
    sign_in(page, "chika@example.com")
    expect(page.locator("pre")).to_contain_text("signedIn")


def test_sign_in_by_redirect_restores_the_page(page: Page, town: Town):
    sign_in_by_redirect(page, town)

    assert shown_json(page)["user"]["email"] == "chika@example.com"
    assert shown_json(page)["user"]["updated_at"].endswith("Z")  # Auth0's form, for its telemetry
    assert shown_json(page)["appState"] == {"from": "basket"}


def test_after_a_reload_the_session_is_found_again_without_a_page(page: Page, town: Town):
    sign_in_by_redirect(page, town)
    first = shown_json(page)["token"]
    open_app(page, town)

    assert shown_json(page)["signedIn"] is True
    assert shown_json(page)["token"] not in ("", first)


def test_refresh_tokens_rotate_and_keep_the_session(page: Page, town: Town):
    sign_in_by_redirect(page, town, "?refresh")
    tokens = {shown_json(page)["token"]}
    for _ in range(2):
        with page.expect_response(lambda each: each.url.endswith("/oauth/token")) as renewed:
            page.get_by_role("button", name="Renew", exact=True).click()
        assert "grant_type=refresh_token" in renewed.value.request.post_data
        expect(page.locator("pre")).not_to_contain_text(max(tokens, key=len))
        tokens.add(shown_json(page)["token"])

    assert len(tokens) == 3


def test_sign_in_in_a_popup(page: Page, town: Town):
    open_app(page, town)
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Sign in in a popup").click()
    sign_in(opened.value, "dov@example.com")
    expect(page.locator("pre")).to_contain_text("dov@example.com")

    assert shown_json(page)["signedIn"] is True


def test_sign_out_of_the_app_ends_every_session(page: Page, town: Town):
    sign_in_by_redirect(page, town)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/spa.html")
    expect(page.locator("pre")).to_contain_text("signedIn")
    out = shown_json(page)
    page.get_by_role("button", name="Renew").click()
    expect(page.locator("pre")).to_contain_text("login_required")

    assert out == {"signedIn": False}
