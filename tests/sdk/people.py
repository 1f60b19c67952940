"""Steps on the sign-in page, and the JSON that a page of an app shows."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page

from .furnish import PASSWORD


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def shown_json(page: Page) -> Any:
    """Return the JSON that a page of an app shows."""
    return json.loads(page.locator("pre").inner_text())
