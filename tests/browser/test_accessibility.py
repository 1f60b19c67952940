"""Accessibility of every customer page in light, dark and right-to-left: axe finds no serious violation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from .conftest import Demo
from .journey import sign_in_with_google

pytestmark = pytest.mark.browser

OPEN = (
    "/",
    "/login",
    "/login?stopped=google-oauth2",
    "/login/google-oauth2",
    "/signup",
    "/code",
    "/password/reset",
    "/signup/finish?token=none",
    "/authorize?client_id=missing",
)
SIGNED_IN = ("/", "/logout", "/question", "/oidc/logout", "/me/security", "/second-factor")
LIGHTS = {"light": ("light", "en"), "dark": ("dark", "en"), "arabic": ("light", "ar")}
NARROW = {"width": 320, "height": 700}


@pytest.fixture(params=LIGHTS)
def visitor(request, chromium: Browser) -> Iterator[Page]:
    scheme, language = LIGHTS[request.param]
    context = chromium.new_context(color_scheme=scheme, locale=language, viewport=NARROW, bypass_csp=True)
    yield context.new_page()
    context.close()


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {each['id']} at {[node['target'] for node in each['nodes']]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def test_pages_before_signing_in(visitor: Page, demo: Demo):
    problems, wide = [], []
    for path in OPEN:
        visitor.goto(demo.regulars + path)
        problems += serious(visitor)
        wide += [path] if too_wide(visitor) else []

    assert problems == []
    assert wide == []


def test_form_errors_are_accessible(visitor: Page, demo: Demo):
    problems = []
    for path in ("/login", "/signup", "/code"):
        visitor.goto(demo.regulars + path)
        visitor.locator("#email").fill("missing@nowhere")
        if visitor.locator("#password").count():
            visitor.locator("#password").fill("short")
        visitor.locator("main form button").first.click()
        problems += serious(visitor)

    assert problems == []


def test_pages_of_a_signed_in_customer(demo: Demo, chromium: Browser):
    problems = []
    for scheme, language in LIGHTS.values():
        context = chromium.new_context(color_scheme=scheme, viewport=NARROW, bypass_csp=True)
        page = context.new_page()
        sign_in_with_google(page, demo, "yuki@example.com")
        problems += serious(page)
        for path in SIGNED_IN:
            page.goto(f"{demo.regulars}{path}?ui_locales={language}")
            problems += serious(page)
        context.close()

    assert problems == []
