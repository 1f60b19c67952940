"""The demo over https: shop, login, mock provider and events trust each other's certificates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from tests.live import own_database, regulars

from .conftest import Demo
from .journey import claims, eventually, sign_in_with_google
from .test_main_job import LENA, happened

pytestmark = pytest.mark.browser


@pytest.fixture
def secure_demo(tmp_path) -> Iterator[Demo]:
    with (
        own_database() as database_url,
        regulars(tmp_path / "home", "--https", database_url=database_url, REGULARS_DEMO_PEOPLE="20") as live,
    ):
        yield Demo(live, tmp_path / "offset")


def test_lena_signs_in_over_https_only(secure_demo: Demo, chromium: Browser):
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{secure_demo.shop}/products/harbour-jacket")
    sign_in_with_google(page, secure_demo, "Lena Vogt", "date of birth")
    page.get_by_role("radio", name="Jackets").check()
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("heading", name="Hello, Lena")).to_be_visible()
    session = {cookie["name"]: cookie["secure"] for cookie in context.cookies(secure_demo.regulars)}

    assert claims(page)["iss"] == f"{secure_demo.regulars}/"
    assert {url.partition(":")[0] for url in asked} <= {"https", "data"}
    assert all(session.values())
    assert eventually(lambda: "Product Viewed" in happened(secure_demo, LENA))
    context.close()
