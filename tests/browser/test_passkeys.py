"""Passkeys in a real browser: Chromium's virtual authenticator holds the key and confirms the user."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page
from tests.live import Live, regulars

from .device import Device

pytestmark = pytest.mark.browser
PASSWORD = "a few words in a row"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Live]:
    """An installation without the demo: staff need a second factor, and customers have a password."""
    with regulars(tmp_path_factory.mktemp("passkeys") / "home", "--no-demo") as live:
        yield live


def link_in_mail(live: Live, to: str) -> str:
    for _ in range(300):
        for mail in sorted((live.home / "mail").glob("*")) if (live.home / "mail").exists() else []:
            text = mail.read_text()
            found = re.search(r"http\S+/signup/finish\S+", text)
            if f"To: {to}" in text and found:
                return found[0]
        time.sleep(0.2)
    raise AssertionError("no mail came")


def test_staff_and_a_customer_sign_in_with_their_finger(server: Live, page: Page) -> None:
    device = Device(page)
    device.take_another()
    console = server.credentials["console"]
    page.goto(console["url"])
    page.get_by_label("E-mail").fill(console["email"])
    page.get_by_label("Password").fill(console["password"])
    page.get_by_role("button", name="Sign in").click()

    page.get_by_role("button", name="Use a passkey instead").click()
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("link", name="Connections").wait_for()
    page.get_by_role("button", name="Sign out").click()

    page.get_by_label("E-mail").fill(console["email"])
    page.get_by_label("Password").fill(console["password"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("link", name="Connections").wait_for()

    device.take_another()
    a_customer_adds_a_passkey(server, page)
    page.goto(f"{server.url}/login")  # the virtual device accepts the offer below the address field at once
    page.get_by_text("You are signed in as").wait_for()

    assert page.url == f"{server.url}/"


def a_customer_adds_a_passkey(server: Live, page: Page) -> None:
    page.goto(f"{server.url}/signup")
    page.get_by_label("E-mail").fill("dina@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.get_by_text("mail").first.wait_for()
    page.goto(link_in_mail(server, "dina@example.com"))
    page.get_by_role("button", name="Finish and sign in").click()
    page.goto(f"{server.url}/me/security")
    page.get_by_label("Name it").fill("My laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("Your second factor is on").wait_for()
    page.goto(f"{server.url}/me/security")
    page.get_by_text("My laptop").first.wait_for()
    page.goto(f"{server.url}/logout")
    page.get_by_role("button", name="Sign out").click()
