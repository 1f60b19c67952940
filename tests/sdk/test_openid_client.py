"""npm openid-client, unmodified, in a web app that signs customers in with Regulars."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Town
from .people import shown_json, sign_in

pytestmark = pytest.mark.browser


def test_web_app_signs_in_refreshes_once_per_token_and_signs_out(page: Page, town: Town):
    app = town.origins["openid-client"]
    page.goto(f"{app}/login")
    sign_in(page, "chika@example.com")
    page.wait_for_url(f"{app}/callback*")
    shown = shown_json(page)
    page.goto(f"{app}/logout")
    page.wait_for_url(f"{app}/")
    page.goto(f"{app}/login")

    assert shown["claims"]["iss"] == town.issuer
    assert shown["claims"]["email"] == shown["userinfo"]["email"] == "chika@example.com"
    assert shown["renewed"] == shown["userinfo"]["sub"] == shown["claims"]["sub"]
    assert shown["reused"] == "invalid_grant"
    assert type(shown["claims"]["updated_at"]) is type(shown["userinfo"]["updated_at"]) is int
    assert shown["scope"] == "openid profile email offline_access"
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()  # signed out here too, not only at the app


def test_a_machine_gets_a_token_for_its_api(page: Page, town: Town):
    page.goto(f"{town.origins['openid-client']}/machine")

    assert shown_json(page) == {"scope": "read:orders", "type": "bearer", "lifetime": 86400}


def test_dpop_token_of_a_machine_works_only_with_its_key(page: Page, town: Town):
    page.goto(f"{town.origins['openid-client']}/bound")
    shown = shown_json(page)

    assert shown["type"] == "dpop"
    assert shown["first"] == shown["same"]
    assert shown["stolen"] == "dpop_proof_required"
