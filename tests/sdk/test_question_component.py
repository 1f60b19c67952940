"""`<regulars-question>` on a page of another origin, under a strict policy, with a token from auth0-spa-js."""

from __future__ import annotations

from typing import Any, Literal

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from .conftest import Town
from .people import shown_json, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("sdk")]
ASKING = "What are you looking for?"


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Collect the policy violations that the browser reports."""
    messages: list[str] = []
    page.on("console", lambda each: messages.append(each.text) if "Content Security Policy" in each.text else None)
    return messages


def open_app(page: Page, town: Town, name: str) -> None:
    """Sign in and return to the app; the login asks nothing, because the app does."""
    page.goto(f"{town.origins['questions']}/questions.html")
    sign_in(page, f"{name}@example.com")
    expect(page.locator("pre")).to_contain_text("events")


def last_event(page: Page, outcome: str) -> dict[str, Any]:
    expect(page.locator("pre")).to_contain_text(f'"outcome":"{outcome}"')
    return shown_json(page)["events"][-1]


def facts_of(town: Town, user_id: str) -> list[dict[str, Any]]:
    machine = town.live.credentials["management"]
    with town.client() as client:
        granted: httpx2.Response = client.post(
            f"{town.url}/oauth/token", json={"grant_type": "client_credentials", **machine}
        )
        headers = {"Authorization": f"Bearer {granted.json()['access_token']}"}
        return client.get(f"{town.url}/api/regulars/v1/profiles/{user_id}/facts", headers=headers).json()["facts"]


def test_answer_by_keyboard_becomes_a_fact_of_the_app(page: Page, town: Town, complaints: list[str]):
    open_app(page, town, "amara")
    expect(page.get_by_role("group", name=ASKING)).to_be_visible()
    page.locator("#before").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Jackets")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Save and continue")).to_be_focused()
    page.keyboard.press("Enter")
    answered = last_event(page, "answered")

    expect(page.get_by_role("status")).to_be_focused()
    [fact] = [each for each in facts_of(town, shown_json(page)["sub"]) if each["attribute"] == "looking_for"]
    source = f"app:{town.clients['questions']['client_id']}:looking_for@1"
    assert (fact["value"], fact["source"]) == ("shoes", source)
    assert answered == {"outcome": "answered", "reason": "asked", "question": "looking_for"}
    assert complaints == []


@pytest.mark.parametrize(
    ("name", "button", "outcome", "reason"),
    [("bao", "Not now", "passed", "asked_recently"), ("carla", "Don’t ask again", "never", "opted_out")],
)
def test_skipped_or_ended_question_is_not_asked_again(page, town, name, button, outcome, reason):
    open_app(page, town, name)
    page.get_by_role("button", name=button).click()
    last_event(page, outcome)
    page.reload()

    assert last_event(page, "none") == {"outcome": "none", "reason": reason, "question": None}
    expect(page.locator("regulars-question")).to_be_hidden()


def test_empty_answer_is_announced_and_shown_at_the_field(page: Page, town: Town):
    open_app(page, town, "dede")
    expect(page.locator("regulars-question input:checked")).to_have_count(0)
    page.get_by_role("button", name="Save and continue").click()

    expect(page.get_by_role("alert")).to_have_text("Choose an answer, or choose “Not now”.")
    expect(page.get_by_label("Jackets")).to_be_focused()
    expect(page.get_by_label("Jackets")).to_have_attribute("aria-invalid", "true")


def test_a_page_in_arabic_is_asked_in_arabic_from_right_to_left(page: Page, town: Town):
    page.add_init_script("localStorage.setItem('language', 'ar')")
    open_app(page, town, "emre")

    expect(page.get_by_role("group", name="عمّ تبحث؟")).to_be_visible()
    first, save = page.get_by_label("سترات"), page.locator("regulars-question button").first
    assert page.locator("regulars-question section").get_attribute("dir") == "rtl"
    assert "Not now" not in page.locator("regulars-question").inner_text()
    middle = page.locator("regulars-question").bounding_box()
    assert middle
    assert first.bounding_box()["x"] > middle["x"] + middle["width"] / 2
    assert save.bounding_box()["height"] >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])  # the page is light in both: the question follows the page
def test_machines_that_look_for_barriers_find_none(page: Page, town: Town, scheme: Literal["light", "dark"]):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 800})
    open_app(page, town, "farah")
    expect(page.get_by_role("group", name=ASKING)).to_be_visible()
    found = [each["id"] for each in Axe().run(page, "regulars-question").response["violations"]]

    assert found == []
    assert (
        page.locator("regulars-question").evaluate(
            "each => Math.max(each.scrollWidth, each.getBoundingClientRect().right)"
        )
        <= 320
    )
    equal = [page.locator("regulars-question").get_by_role("button", name=name) for name in ("Save", "Not now")]
    assert len({(box["width"], box["height"], box["y"]) for each in equal if (box := each.bounding_box())}) == 1
