"""`/healthz` says that the process is alive; `/readyz` names what keeps an installation from working."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from tests.serving.test_pool import run

from regulars.accounts.models import StoredSession
from regulars.base.lake.tables import EventRow, append_events
from regulars.serving import readiness
from regulars.serving.pool import THREADS
from regulars.serving.readiness import Readiness, find_faults
from regulars.serving.root import Root

ROOT = Path(__file__).parents[2]


def codes() -> list[str]:
    return [fault.code for fault in find_faults()]


async def get(root: Root, path: str) -> tuple[int, dict]:
    sent: list[dict] = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "http_version": "1.1"}
    await root(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_alive_is_all_that_healthz_says_while_every_thread_is_taken():
    root, release = Root(), threading.Event()

    async def ask():
        for _ in range(2 * THREADS):
            root.pool.executor.submit(release.wait, 10)
        try:
            return await asyncio.wait_for(get(root, "/healthz"), 5)
        finally:
            release.set()

    assert run(ask()) == (200, {"status": "alive"})


@pytest.mark.django_db
def test_a_working_installation_is_ready_and_nothing_of_the_check_stays(tmp_path, settings):
    settings.HOME, settings.LAKE_URL = tmp_path, str(tmp_path / "lake")

    assert find_faults() == []
    assert list(tmp_path.iterdir()) == []
    assert not StoredSession.objects.exists()


@pytest.mark.parametrize(
    ("mount", "code"),
    [("-o size=64m", "disk_full"), ("-o size=32k", "disk_full"), ("-o ro", "read_only")],
)
def test_a_home_that_takes_no_file_is_named_by_the_kernels_own_error(tmp_path, mount, code):
    """In a mount namespace of its own, so that the kernel says what it says on a full or read-only disk."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("this machine allows no mounts in a namespace")
    home = tmp_path / "home"
    home.mkdir()
    ask = (
        "import django, json; django.setup()\n"
        "from regulars.serving.storage import storage_faults\n"
        "print(json.dumps(sorted({fault.code for fault in storage_faults()})))"
    )
    fill = f"head -c 60M /dev/zero > {home}/filler" if "64m" in mount else "true"
    script = f"mount -t tmpfs {mount} none {home} && {fill} && exec {sys.executable} -c '{ask}'"
    environment = {
        **os.environ,
        "REGULARS_HOME": str(home),
        "REGULARS_SECRET_KEY": "only for tests",
        "DATABASE_URL": f"sqlite:///{tmp_path}/regulars.sqlite3",
    }
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [code]


@pytest.mark.django_db
def test_a_database_of_another_version_is_named():
    recorder = MigrationRecorder(connection)
    recorder.record_applied("events", "9999_from_the_future")
    assert codes() == ["database_is_newer"]

    recorder.record_unapplied("events", "9999_from_the_future")
    last = recorder.migration_qs.filter(app="events").order_by("name").last()
    recorder.record_unapplied("events", last.name)
    assert codes() == ["database_older"]

    recorder.migration_qs.all().delete()
    assert codes() == ["not_set_up"]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_writes_is_named():
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA query_only = 1")
        else:
            cursor.execute("SET default_transaction_read_only = on")
        try:
            assert codes() == ["database_read_only"]
        finally:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA query_only = 0")
            else:
                cursor.execute("SET default_transaction_read_only = off")


@pytest.mark.django_db
def test_a_damaged_lake_is_named(tmp_path, settings):
    settings.HOME, settings.LAKE_URL = tmp_path, str(tmp_path / "lake")
    append_events([EventRow(1, "m1", "track", "X", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), {}, {})], 1)
    assert codes() == []

    next((tmp_path / "lake").glob("**/*.parquet")).unlink()

    assert codes() == ["lake_damaged"]


def test_many_questions_are_one_check_and_a_slow_check_is_a_problem(monkeypatch):
    checks, release = [], threading.Event()

    def slow():
        checks.append(1)
        release.wait(60)
        return []

    monkeypatch.setattr(readiness, "find_faults", slow)
    monkeypatch.setattr(readiness, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(readiness, "CACHE_SECONDS", 600.0)

    async def ask():
        ready = Readiness()
        answers = await asyncio.gather(*(ready.answer() for _ in range(20)))
        release.set()
        await ready.check
        return answers, await ready.answer()

    slow_answers, after = run(ask())

    assert {json.loads(body)["faults"][0] for _, body in slow_answers} == {"check_slow"}
    assert after[0] == 200
    assert len(checks) == 1
