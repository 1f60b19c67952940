"""npm oidc-provider, unmodified, as a connection."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Town
from .people import shown_json

pytestmark = pytest.mark.browser


def test_sign_in_with_any_openid_provider_reaches_the_app(page: Page, town: Town):
    page.goto(f"{town.origins['spa']}/spa.html")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Continue with Upstream").click()
    page.locator("input[name=login]").fill("emre")
    page.locator("input[name=password]").fill("whatever")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("pre")).to_contain_text("signedIn")
    user = shown_json(page)["user"]
    [(raw,)] = town.live.rows(
        "SELECT a.raw FROM profiles_provideranswer a JOIN profiles_identity i ON i.id = a.identity_id"
        " WHERE i.provider_user_id = ?",
        "upstream|emre",
    )

    assert user["sub"] == "oidc|upstream|emre"
    assert (user["name"], user["email"]) == ("Emre Yildiz", "emre@upstream.example")
    assert "Yildiz" in str(raw)
