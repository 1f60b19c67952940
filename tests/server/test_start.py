"""`regulars start` starts every process, reports when it is ready, and stops cleanly."""

from __future__ import annotations

import stat
import time

import pytest
from tests.live import descendants, regulars
from tests.ports import reserve_ports

pytestmark = pytest.mark.server


def test_ready_is_reported_only_when_requests_are_served(live):
    assert live.get("/healthz").json() == {"status": "alive"}
    answer = live.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "faults": []})


def test_pages_come_through_djangos_pool(live):
    answer = live.get("/console/login")

    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]


def test_a_body_that_is_too_large_is_refused_before_a_thread_is_taken(live):
    answer = live.post("/console/login", content=b"x" * (11 * 1024 * 1024))

    assert answer.status_code == 413


def test_the_credentials_are_complete_and_private(live):
    path = live.home / "credentials.json"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {name: sorted(part) for name, part in live.credentials.items()} == {
        "console": ["email", "password", "url"],
        "management": ["audience", "client_id", "client_secret"],
        "collector": ["write_key"],
    }


def test_second_start_in_the_same_home_is_refused_with_a_code(live):
    again = live.run("start", "--no-demo", "--port", str(reserve_ports(3)))

    assert again.returncode != 0
    assert "home_in_use" in again.stderr


def test_used_port_is_refused_with_a_code(live, tmp_path):
    again = live.run("start", "--no-demo", "--port", live.url.rpartition(":")[2], "--home", str(tmp_path))

    assert again.returncode != 0
    assert "port_in_use" in again.stderr


def test_without_the_demo_no_customer_is_invented(live):
    assert live.rows("SELECT count(*) FROM profiles_profile") == [(0,)]


def test_new_installation_can_be_signed_in_to_by_password_alone(live):
    assert live.rows("SELECT name FROM connections_connection WHERE enabled") == [("Username-Password-Authentication",)]


def test_unreachable_registry_is_logged_and_does_not_delay_the_start(live):
    logged = until(lambda: "(registry_unreachable)" in (live.home / "log").read_text())

    assert logged
    assert (live.home / "log").read_text().index("Regulars is ready") < (live.home / "log").read_text().index(
        "Until `regulars rules modules install`"
    )
    assert live.get("/healthz").status_code == 200


def test_the_doctor_finds_a_healthy_installation_healthy(live):
    result = live.run("doctor")

    assert result.returncode == 0, result.stdout
    assert "credentials.json are private" in result.stdout


def test_sigterm_ends_every_process_cleanly(tmp_path):
    with regulars(tmp_path, "--no-demo") as live:
        children = descendants(live.process.pid)
        code = live.stop()

    assert code == 0
    assert children
    assert [pid for pid in children if alive(pid)] == []


def alive(pid: int) -> bool:
    from pathlib import Path

    return Path(f"/proc/{pid}").exists()


def until(happened, seconds=60):
    """Return whether the condition becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.2)
    return happened()
