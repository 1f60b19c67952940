"""auth0-js 10, unmodified: passwordless start and verify."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.journey import eventually

from .conftest import Town
from .people import said

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("sdk")]


def test_she_signs_in_with_a_code_and_a_wrong_one_is_said(page: Page, town: Town):
    page.goto(f"{town.origins['auth0-js']}/auth0-js.html")
    page.get_by_label("E-mail").fill("pia@example.com")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("pre")).to_contain_text("pia@example.com")
    code = eventually(lambda: town.mailed("pia@example.com", r"(?m)^\d{6}$"))
    page.get_by_label("Code").fill("no")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("pre")).to_contain_text("Wrong email or verification code.")
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("pre")).to_contain_text("claims")

    assert said(page)["claims"]["email"] == "pia@example.com"
