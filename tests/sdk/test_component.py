"""`<regulars-login>` on a page of another origin, under a strict policy, with auth0-spa-js behind it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.device import Device
from tests.browser.journey import eventually
from tests.conftest import CHROMIUM_OPTIONS

from .conftest import Town
from .furnish import PASSWORD, RELATED
from .people import shown_json, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Collect the policy violations that the browser reports."""
    messages: list[str] = []
    page.on("console", lambda each: messages.append(each.text) if "Content Security Policy" in each.text else None)
    return messages


def open_form(page: Page, town: Town) -> None:
    page.goto(f"{town.origins['component']}/component.html")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_sign_in_by_keyboard_violates_no_policy(page: Page, town: Town, complaints: list[str]):
    open_form(page, town)
    page.get_by_label("E-mail").focus()
    page.keyboard.type("chika@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("pre")).to_contain_text("user")

    assert shown_json(page)["user"]["email"] == "chika@example.com"
    assert complaints == []


def test_wrong_password_is_announced_and_shown_at_the_field(page: Page, town: Town):
    open_form(page, town)
    page.get_by_label("E-mail").fill("chika@example.com")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page.get_by_role("alert")).to_have_text("Wrong email or password.")
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_attribute("aria-describedby", "problem")


def test_sign_in_with_a_code_by_mail(page: Page, town: Town):
    open_form(page, town)
    page.get_by_label("E-mail").fill("nela@example.com")
    page.get_by_role("button", name="Get a code by e-mail").click()
    expect(page.get_by_label("Code from the mail")).to_be_focused()
    page.get_by_label("Code from the mail").fill(eventually(lambda: town.mailed("nela@example.com", r"(?m)^\d{6}$")))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("pre")).to_contain_text("user")

    assert shown_json(page)["user"]["email"] == "nela@example.com"


def test_a_social_button_goes_straight_to_the_provider(page: Page, town: Town):
    open_form(page, town)
    page.get_by_role("button", name="Continue with Upstream").click()

    page.wait_for_url(re.compile("/interaction/"))


def add_passkey(page: Page, town: Town, email: str) -> Device:
    """Register a passkey on the device, then sign out."""
    device = Device(page)
    device.take_another()
    page.goto(f"{town.url}/login?next=/me/security")
    sign_in(page, email)
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("Your second factor is on").wait_for()
    page.goto(f"{town.url}/logout")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").wait_for()
    return device


def test_passkey_signs_in_on_the_page_itself(page: Page, town: Town, complaints: list[str]):
    """The autofill offer is accepted at once by the virtual device."""
    add_passkey(page, town, "rosa@example.com")
    page.goto(f"{town.origins['component']}/component.html")
    expect(page.locator("pre")).to_contain_text("user")

    assert shown_json(page)["user"]["email"] == "rosa@example.com"
    assert complaints == []


def test_device_without_the_passkey_shows_a_message(page: Page, town: Town):
    Device(page).take_another()
    open_form(page, town)
    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_role("alert")).to_have_text("Your device did not confirm it. Try again, or take another way.")
    expect(page.get_by_label("E-mail")).not_to_have_attribute("aria-invalid", "true")


@pytest.fixture(params=["takes our cookie"])
def abroad(chromium: Browser, town: Town, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser that sees the app on another site than the server, and reaches the server at port 443."""
    ours = town.url.rpartition(":")[2]
    rules = f"MAP shop.example 127.0.0.1, MAP localhost:443 127.0.0.1:{ours}"
    options = [*CHROMIUM_OPTIONS, f"--host-resolver-rules={rules}", "--ignore-certificate-errors"]
    program, start = shutil.which("chromium"), chromium.browser_type
    if request.param == "takes our cookie":
        (tmp_path / "Default").mkdir()
        (tmp_path / "Default/Preferences").write_text(
            '{"profile": {"cookie_controls_mode": 0}}'
        )  # Debian's blocks them
        context = start.launch_persistent_context(tmp_path, executable_path=program, args=options)
    else:
        context = start.launch(executable_path=program, args=options).new_context(ignore_https_errors=True)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()
    if context.browser:
        context.browser.close()


def open_abroad(page: Page, town: Town) -> None:
    page.goto(f"{RELATED}:{town.origins['component'].rpartition(':')[2]}/component.html")


def test_page_on_another_site_may_use_passkeys_by_related_origins(abroad: Page, town: Town):
    abroad.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
    add_passkey(abroad, town, "tove@example.com")
    open_abroad(abroad, town)
    abroad.get_by_role("button", name="Sign in with a passkey").click()
    expect(abroad.locator("pre")).to_contain_text("user")

    assert shown_json(abroad)["user"]["email"] == "tove@example.com"
    assert abroad.url.startswith(RELATED)


@pytest.mark.parametrize("abroad", ["blocks our cookie"], indirect=True)
def test_browser_that_blocks_the_cookie_goes_to_the_hosted_page_first(abroad: Page, town: Town):
    device = Device(abroad)
    device.take_another()
    open_abroad(abroad, town)
    abroad.get_by_role("button", name="Sign in with a passkey").click()
    abroad.wait_for_url(re.compile("/login"))

    expect(abroad.get_by_role("button", name="Sign in with a passkey")).to_be_visible()


def test_browser_without_related_origins_goes_to_the_hosted_page(abroad: Page, town: Town):
    """Cover Firefox, and Chromium before 128."""
    abroad.add_init_script("PublicKeyCredential.getClientCapabilities = undefined")
    open_abroad(abroad, town)
    abroad.get_by_role("button", name="Sign in with a passkey").click()
    abroad.wait_for_url(re.compile("/login"))

    expect(abroad.get_by_role("button", name="Sign in with a passkey")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])  # the page is light in both: the form follows the page
def test_machines_that_look_for_barriers_find_none(page: Page, town: Town, scheme: Literal["light", "dark"]):
    page.emulate_media(color_scheme=scheme)
    open_form(page, town)
    page.set_viewport_size({"width": 320, "height": 800})
    found = page_barriers(page)

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def page_barriers(page: Page) -> list[str]:
    """Run axe in the page. Playwright injects it, which the page's policy does not block."""
    return [each["id"] for each in Axe().run(page, "regulars-login").response["violations"]]
