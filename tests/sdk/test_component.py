"""Our own <regulars-login> on a page of another origin, under a strict policy, with auth0-spa-js behind it."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.journey import eventually

from .conftest import Town
from .furnish import PASSWORD
from .people import said

pytestmark = pytest.mark.browser


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser found to say against the page."""
    heard: list[str] = []
    page.on("console", lambda each: heard.append(each.text) if "Content Security Policy" in each.text else None)
    return heard


def open_form(page: Page, town: Town) -> None:
    page.goto(f"{town.origins['component']}/component.html")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_she_signs_in_with_keys_alone_and_no_policy_is_broken(page: Page, town: Town, complaints: list[str]):
    open_form(page, town)
    page.get_by_label("E-mail").focus()
    page.keyboard.type("chika@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("pre")).to_contain_text("user")

    assert said(page)["user"]["email"] == "chika@example.com"
    assert complaints == []


def test_a_wrong_password_is_said_aloud_and_at_the_field(page: Page, town: Town):
    open_form(page, town)
    page.get_by_label("E-mail").fill("chika@example.com")
    page.get_by_label("Password").fill("not her password")
    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page.get_by_role("alert")).to_have_text("Wrong email or password.")
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_attribute("aria-describedby", "problem")


def test_she_signs_in_with_a_code_by_mail(page: Page, town: Town):
    open_form(page, town)
    page.get_by_label("E-mail").fill("nela@example.com")
    page.get_by_role("button", name="Get a code by e-mail").click()
    expect(page.get_by_label("Code from the mail")).to_be_focused()
    page.get_by_label("Code from the mail").fill(eventually(lambda: town.mailed("nela@example.com", r"(?m)^\d{6}$")))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("pre")).to_contain_text("user")

    assert said(page)["user"]["email"] == "nela@example.com"


def test_a_social_button_goes_straight_to_the_provider(page: Page, town: Town):
    open_form(page, town)
    page.get_by_role("button", name="Continue with Upstream").click()

    page.wait_for_url(re.compile("/interaction/"))


@pytest.mark.parametrize("scheme", ["light", "dark"])  # the page is light for both: the form must follow the page
def test_machines_that_look_for_barriers_find_none(page: Page, town: Town, scheme: Literal["light", "dark"]):
    page.emulate_media(color_scheme=scheme)
    open_form(page, town)
    page.set_viewport_size({"width": 320, "height": 800})
    found = page_barriers(page)

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def page_barriers(page: Page) -> list[str]:
    """axe is put in by the test's own right, which no policy of the page withdraws."""
    return [each["id"] for each in Axe().run(page, "regulars-login").response["violations"]]
