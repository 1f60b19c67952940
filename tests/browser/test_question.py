"""The question after a login in a real browser: by mouse, by keyboard, without JavaScript, in Arabic, on a small phone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.live import ROOT, Live, regulars

from . import asked as furnish
from .test_accessibility import LIGHTS, NARROW, serious, too_wide

pytestmark = pytest.mark.browser
SMALLEST = 44  # minimum size of a touch target in pixels
ALL_KINDS = (*furnish.OPTIONS, *furnish.PLAIN, "confirm")
Open = Callable[..., Page]


@dataclass
class QuestionServer:
    live: Live
    asked: dict[str, dict[str, str]]

    def outcome(self, name: str) -> str:
        return self._one("SELECT outcome FROM questions_impression WHERE profile_id = ? ORDER BY id", name)

    def value(self, name: str) -> Any:
        found = self.live.rows(
            "SELECT value FROM profiles_fact WHERE profile_id = ? AND source_kind = 'declared'",
            self.asked[name]["profile"],
        )
        return [json.loads(value) for (value,) in found]

    def _one(self, sql: str, name: str) -> str:
        return str(self.live.rows(sql, self.asked[name]["profile"])[0][0])


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[QuestionServer]:
    with regulars(tmp_path_factory.mktemp("asked") / "home", "--no-demo") as live:
        environment = {**live.environment, "DJANGO_SETTINGS_MODULE": "regulars.settings"}
        command = [sys.executable, "-m", "tests.browser.asked"]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        yield QuestionServer(live, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def before(server: QuestionServer, chromium: Browser) -> Iterator[Open]:
    """Open the pending question of a customer in a new browser context."""
    contexts = []

    def open_page(name: str, **browser: Any) -> Page:
        context = chromium.new_context(**browser)
        contexts.append(context)
        context.set_default_timeout(30_000)
        cookie = {"name": "regulars_session", "value": server.asked[name]["session"], "url": server.live.url}
        context.add_cookies([cookie])
        page = context.new_page()
        page.goto(server.live.url + server.asked[name]["page"])
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_an_answer_continues_the_login(before: Open, server: QuestionServer):
    page = before("mouse")
    expect(page.get_by_text(furnish.WHY)).to_be_visible()
    page.get_by_label("Jackets").check()
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("button", name="No, go on").click()
    page.wait_for_url("**/me")

    assert server.value("mouse") == ["jackets"]


@pytest.mark.parametrize(("name", "button"), [("pass", "Not now"), ("never", "Don’t ask again")])
def test_pass_and_never_again_continue_the_login_at_once(before: Open, server: QuestionServer, name: str, button: str):
    page = before(name)
    page.get_by_role("button", name=button).click()
    page.wait_for_url("**/me")

    assert server.outcome(name) == {"pass": "passed", "never": "never"}[name]
    assert server.value(name) == []


def test_keyboard_only_answers_and_takes_one_more_question(before: Open, server: QuestionServer):
    page = before("keys")
    tab_to(page, "input[type=radio]")
    page.keyboard.press("ArrowDown")
    tab_to(page, "button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/question/more*")
    tab_to(page, "button")
    page.keyboard.press("Enter")
    page.get_by_label("In which year were you born?").wait_for()
    tab_to(page, "input#answer-1")
    page.keyboard.type("1988")
    page.keyboard.press("Enter")
    page.wait_for_url("**/me")

    assert sorted(server.value("keys"), key=str)[0] == 1988
    assert "shoes" in server.value("keys")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until one of these has the focus, and check that the focus is visible."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", f"main {selector}"):
            break
    else:
        raise AssertionError(f"no Tab leads to {selector}")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_without_javascript_an_error_is_shown_and_corrected(before: Open, server: QuestionServer):
    page = before("script", java_script_enabled=False)
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("alert")).to_have_text("Choose an answer, or choose “Not now”.")
    assert page.title().startswith("Error:")
    page.get_by_label("Shoes").check()
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("button", name="No, go on").click()
    page.wait_for_url("**/me")

    assert server.value("script") == ["shoes"]


def test_in_arabic_everything_reads_from_right_to_left(before: Open, server: QuestionServer):
    page = before("arabic", viewport=NARROW, locale="ar")
    heading, option = (page.get_by_text(words).bounding_box() for words in ("عمّ تبحث؟", "سترات"))
    page.get_by_role("button", name="حفظ ومتابعة").click()
    problem = page.get_by_role("alert")
    expect(problem).to_have_text("اختر إجابة، أو اختر «ليس الآن».")

    assert page.locator("html").get_attribute("dir") == "rtl"
    assert heading
    assert option
    assert abs(right(heading) - right(option)) < 60 < NARROW["width"] / 2 < right(option)
    assert not too_wide(page)
    page.get_by_label("سترات").check()
    page.get_by_role("button", name="حفظ ومتابعة").click()
    expect(page.get_by_role("heading", name="شكرًا")).to_be_visible()
    assert server.value("arabic") == ["jackets"]


def right(box: Any) -> float:
    return float(box["x"] + box["width"])


def test_on_a_small_phone_nothing_is_cut_off_and_targets_are_large_enough(before: Open):
    page = before("narrow", viewport=NARROW, has_touch=True, is_mobile=True)
    targets = [*page.locator("main .answer-buttons button").all(), *page.locator("main label.option").all()]
    boxes = [target.bounding_box() for target in targets]

    assert not too_wide(page)
    assert len(boxes) >= 5
    assert all(box and box["height"] >= SMALLEST and right(box) <= NARROW["width"] for box in boxes)
    save, not_now = boxes[:2]
    assert save
    assert not_now
    size_and_height = [(round(box["width"]), round(box["height"]), round(box["y"])) for box in (save, not_now)]
    assert size_and_height[0] == size_and_height[1], "answering is no larger than passing, and stands beside it"


@pytest.mark.parametrize("light", LIGHTS)
def test_axe_finds_nothing_serious_on_any_kind_of_question(before: Open, light: str):
    scheme, language = LIGHTS[light]
    problems, wide = [], []
    for kind in ALL_KINDS:
        page = before(kind, color_scheme=scheme, locale=language, viewport=NARROW, bypass_csp=True)
        problems += serious(page)
        wide += [kind] if too_wide(page) else []

    assert problems == []
    assert wide == []


def test_axe_finds_nothing_serious_on_the_offer_of_one_more(before: Open):
    page = before("more", viewport=NARROW, color_scheme="dark", bypass_csp=True)
    page.get_by_label("Jackets").check()
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("button", name="Yes, one more").wait_for()

    assert serious(page) == []
    assert not too_wide(page)
