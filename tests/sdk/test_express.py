"""express-openid-connect, unmodified."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Town
from .people import shown_json, sign_in

pytestmark = pytest.mark.browser


def test_web_app_signs_in_by_code_refreshes_and_signs_out(page: Page, town: Town):
    app = town.origins["express"]
    page.goto(f"{app}/login")
    sign_in(page, "chika@example.com")
    page.wait_for_url(f"{app}/")
    shown = shown_json(page)
    page.goto(f"{app}/refresh")
    renewed = shown_json(page)
    page.goto(f"{app}/logout")
    page.wait_for_url(f"{app}/")
    out = shown_json(page)
    page.goto(f"{app}/login")

    assert shown["signedIn"] is True
    assert shown["user"]["email"] == "chika@example.com"
    assert renewed == {"type": "Bearer", "lifetime": 86400}
    assert out == {"signedIn": False}
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_default_web_app_signs_in_by_an_id_token_in_a_form(page: Page, town: Town):
    app = town.origins["express-id-token"]
    page.goto(f"{app}/login")
    sign_in(page, "dov@example.com")
    page.wait_for_url(f"{app}/")
    shown = shown_json(page)
    page.goto(f"{app}/logout")
    page.wait_for_url(f"{app}/")

    assert shown["user"]["email"] == "dov@example.com"
    assert shown_json(page) == {"signedIn": False}
