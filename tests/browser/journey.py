"""Steps of customers in a browser, as functions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Page, expect

from .conftest import Demo

Found = TypeVar("Found")


def sign_in_with_google(page: Page, demo: Demo, name: str, *shared: str) -> None:
    """Sign in from the shop's first page, ticking the boxes with these labels."""
    page.goto(demo.shop)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Continue with Google").click()
    for words in shared:
        page.get_by_role("checkbox", name=words).check()
    page.get_by_role("button", name="Continue with Google").click()
    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name="Allow").click()


def sign_out(page: Page, demo: Demo) -> None:
    page.goto(demo.shop)
    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def claims(page: Page) -> dict[str, str]:
    """Return the ID token's claims, as the shop's account page shows them."""
    rows = page.locator("table.claims tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td").inner_text() for row in rows}


def open_console(page: Page, demo: Demo) -> None:
    staff = demo.live.credentials["console"]
    page.goto(staff["url"])
    page.get_by_label("E-mail").fill(staff["email"])
    page.get_by_label("Password").fill(staff["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()


def eventually(look: Callable[[], Found], seconds: float = 60.0) -> Found:
    """Return the first truthy result."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found
