"""auth0-js 10, unmodified: passwordless start and verify, and its popup."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.journey import eventually

from .conftest import Town
from .people import shown_json, sign_in

pytestmark = pytest.mark.browser


def test_sign_in_with_a_code_and_a_wrong_code(page: Page, town: Town):
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

    assert shown_json(page)["claims"]["email"] == "pia@example.com"
    assert shown_json(page)["claims"]["updated_at"].endswith("Z")  # Auth0's form, for its telemetry


@pytest.mark.parametrize("button", ["Popup that comes back to the app", "Popup that we answer"])
def test_sign_in_in_a_popup_by_either_button(page: Page, town: Town, button: str):
    page.goto(f"{town.origins['auth0-js']}/auth0-js.html")
    with page.expect_popup() as opened:
        page.get_by_role("button", name=button).click()
    sign_in(opened.value, "dov@example.com")
    expect(page.locator("pre")).to_contain_text("claims")

    assert shown_json(page)["claims"]["email"] == "dov@example.com"


def test_page_of_another_origin_receives_nothing(page: Page, town: Town):
    page.goto(f"{town.origins['auth0-js']}/auth0-js.html?as=elsewhere")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Popup that we answer").click()
    sign_in(opened.value, "dov@example.com")
    expect(opened.value.get_by_role("heading", name="Back to")).to_be_visible()
    page.wait_for_timeout(500)

    assert page.locator("pre").inner_text() == ""
