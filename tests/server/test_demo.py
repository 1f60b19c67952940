"""The demo as a visitor sees it: three ports, one printed password, a shop with customers."""

from __future__ import annotations

import os
import re
import time

import httpx2
import pytest
from tests.live import (
    ANSWER_TIME,
    START_TIME,
    Live,
    ask,
    descendants,
    launch,
    memory_of,
    own_database,
    regulars,
)
from tests.ports import reserve_ports

pytestmark = pytest.mark.server

CUSTOMERS = "SELECT count(*) FROM profiles_identity WHERE provider <> 'anonymous'"
# The seed of PostgreSQL takes a minute for all; the size of the demo is looked at on SQLite.
PEOPLE = 1000 if os.environ.get("DATABASE_URL", "").startswith("postgres") else 5000
MEMORY = 512 * 1024 * 1024  # bytes of the whole process tree


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo at its second start: the first was stopped while the customers were created."""
    home = tmp_path_factory.mktemp("demo")
    with own_database(empty=True) as database_url:
        people = {"REGULARS_DEMO_PEOPLE": str(PEOPLE)}
        stop_half_way(launch(home, reserve_ports(3), database_url=database_url, **people))
        with regulars(home, database_url=database_url, **people) as running:
            yield running


def stop_half_way(live: Live) -> None:
    """Stop the demo after some but not all customers were created."""
    deadline = time.monotonic() + START_TIME
    try:
        while not some_people(live):
            assert time.monotonic() < deadline, (live.home / "log").read_text()
            time.sleep(0.1)
        below = descendants(live.process.pid)
    finally:
        live.stop()
    while descendants_alive(below):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert some_people(live) < PEOPLE


def some_people(live: Live) -> int:
    if "Inventing" not in (live.home / "log").read_text():
        return 0  # the table may not exist yet
    return live.rows(CUSTOMERS)[0][0]


def descendants_alive(pids: list[int]) -> bool:
    return any(memory_of([pid]) for pid in pids)


def neighbour(live: Live, offset: int) -> str:
    before, _, port = live.url.rpartition(":")
    return f"{before}:{int(port) + offset}"


def test_a_first_start_that_was_stopped_is_completed_by_the_next(demo):
    [(people,)] = demo.rows(CUSTOMERS)
    [(segments,)] = demo.rows("SELECT count(*) FROM segments_segment")

    assert (people, segments) == (PEOPLE, 6)


def test_idle_demo_uses_at_most_half_a_gigabyte(demo):
    """Idle: no page was opened yet. The work of a first start (modules for rules, the first run of periodic tasks)
    ends after a while."""
    deadline = time.monotonic() + 120
    while (used := memory_of([demo.process.pid, *descendants(demo.process.pid)])) >= MEMORY:
        assert time.monotonic() < deadline, f"still {used / 2**20:.0f} MB"
        time.sleep(2)
    print(f"at rest: {used / 2**20:.0f} MB")  # noqa: T201

    assert used > 0


@pytest.mark.parametrize(("offset", "path"), [(0, "/console/login"), (1, "/"), (2, "/webhooks/"), (2, "/healthz")])
def test_regulars_the_shop_and_the_mock_services_answer(demo, offset, path):
    assert ask("GET", neighbour(demo, offset) + path).status_code == 200


def test_the_printed_password_opens_the_console(demo):
    email, password = re.search(r"Sign in +(\S+) +/ +(\S+)", (demo.home / "log").read_text()).groups()
    with httpx2.Client(base_url=demo.url, follow_redirects=True, timeout=ANSWER_TIME) as browser:
        form = browser.get("/console/login").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]
        filled = {"csrfmiddlewaretoken": token, "email": email, "password": password, "next": ""}
        page = browser.post("/console/login", data=filled)

    assert page.status_code == 200
    assert page.url.path == "/console/"


def test_a_later_start_finds_everything_there(demo):
    """How long that takes is printed, not asserted: other tests run on the same machine."""
    demo.stop()
    options = {
        name: value for name, value in demo.environment.items() if name in ("DATABASE_URL", "REGULARS_DEMO_PEOPLE")
    }
    began = time.monotonic()
    with regulars(demo.home, **options) as again:
        print(f"ready again after {time.monotonic() - began:.1f} s")  # noqa: T201
        again_people = again.rows(CUSTOMERS)
        moved = again.rows("SELECT urls FROM connections_connection WHERE name = 'google-oauth2'")
    code = again.process.returncode

    assert again_people == [(PEOPLE,)]
    assert neighbour(again, 2) in str(moved)
    assert code == 0
