"""The demo as `scripts/start` runs it, and a real browser in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.live import Live, regulars
from tests.workers import once_in_a_run


@dataclass
class Demo:
    """The running demo and the file that moves its clock."""

    live: Live
    offset: Path

    @property
    def regulars(self) -> str:
        return self.live.url

    @property
    def shop(self) -> str:
        return self._neighbour(1)

    @property
    def mock_services(self) -> str:
        return self._neighbour(2)

    def later(self, days: float) -> None:
        """Move the clock of the business; protocols keep the machine's."""
        now = float(self.offset.read_text() or 0) if self.offset.exists() else 0.0
        self.offset.write_text(str(now + days * 86400))

    def _neighbour(self, number: int) -> str:
        address, _, port = self.live.url.rpartition(":")
        return f"{address}:{int(port) + number}"


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Iterator[Demo]:
    once_in_a_run("the-demo", tmp_path_factory)
    folder = tmp_path_factory.mktemp("demo")
    offset = folder / "offset"
    with regulars(folder / "home", REGULARS_CLOCK_OFFSET_FILE=str(offset)) as live:
        yield Demo(live, offset)


expect.set_options(timeout=30_000)  # milliseconds, the same as the browser's other timeouts


@pytest.fixture
def person(chromium: Browser) -> Iterator[BrowserContext]:
    """The browser context of one person, with separate cookies."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(person: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = person.new_page()
    yield page
    if request.node.stash.get(FAILED, False):
        print(f"{page.url}\n{page.inner_text('body')}")  # noqa: T201 - the page as displayed


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
