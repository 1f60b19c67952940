"""A periodic task runs once per period, whatever the clock did, and again within the hour when it did not finish."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from regulars.base.jobs.models import PeriodicTask
from regulars.base.jobs.run_jobs import record_end, run_periodically, unfinished_tasks
from regulars.base.jobs.tasks import enqueue
from regulars.interfaces.worker import work

pytestmark = pytest.mark.django_db
DAY = 86_400.0
NOON = dt.datetime(2027, 3, 28, 0, 30, tzinfo=dt.UTC)  # of the night in which Europe's clocks change


@pytest.fixture
def at(monkeypatch):
    def move(moment):
        monkeypatch.setattr(timezone, "now", lambda: moment)

    move(NOON)
    return move


def runs(every=DAY):
    if found := run_periodically("sweep", every):
        record_end("sweep")
    return found


@pytest.mark.parametrize("jump", [dt.timedelta(hours=1), dt.timedelta(days=1)])
def test_clock_that_was_ahead_silences_no_task(at, jump):
    assert runs(3600.0)
    at(NOON + jump)
    assert runs(3600.0)

    at(NOON + dt.timedelta(minutes=1))
    assert runs(3600.0)
    assert not runs(3600.0)
    at(NOON + dt.timedelta(minutes=61))
    assert runs(3600.0)


@pytest.mark.parametrize("jump", [dt.timedelta(hours=1), dt.timedelta(days=1)])
def test_clock_that_was_behind_delays_no_task(at, jump):
    at(NOON - jump)
    assert runs(60.0)
    at(NOON)
    assert runs(60.0)
    assert not runs(60.0)


@pytest.mark.parametrize(
    "start", [NOON, dt.datetime(2027, 10, 31, 0, 30, tzinfo=dt.UTC), dt.datetime(2027, 12, 31, 23, 30, tzinfo=dt.UTC)]
)
def test_daily_task_runs_daily_over_changes_of_time_and_year(at, start, settings):
    with timezone.override("Europe/Berlin"):
        begun = []
        for half_hour in range(97):
            at(start + dt.timedelta(minutes=30 * half_hour))
            if runs():
                begun.append(half_hour)

    assert begun == [0, 48, 96]


def test_two_machines_whose_clocks_differ_run_a_task_once_per_period(at):
    begun = 0
    for second in range(0, 3600, 10):
        for ahead in (30, 0):
            at(NOON + dt.timedelta(seconds=second + ahead))
            begun += runs(300.0)

    assert begun == 12


def test_task_that_did_not_finish_is_due_within_the_hour(at):
    assert run_periodically("sweep", DAY)
    at(NOON + dt.timedelta(minutes=40))
    assert not run_periodically("sweep", DAY), "it may still run"

    at(NOON + dt.timedelta(minutes=50))
    assert run_periodically("sweep", DAY)
    record_end("sweep")
    at(NOON + dt.timedelta(hours=2))
    assert not run_periodically("sweep", DAY)


def test_task_that_failed_under_a_clock_that_was_ahead_is_due_within_the_hour(at):
    at(NOON + dt.timedelta(days=1))
    assert runs()
    at(NOON)
    assert run_periodically("sweep", DAY)
    at(NOON + dt.timedelta(minutes=50))

    assert run_periodically("sweep", DAY)


def test_task_that_fails_stops_no_other_and_is_named_after_two_periods(at, monkeypatch, caplog):
    done = []

    def fails():
        raise ValueError("no luck")

    monkeypatch.setattr(work, "SCHEDULE", {"fails": (600.0, fails), "works": (600.0, lambda: done.append(1))})
    for minute in range(0, 31, 10):
        at(NOON + dt.timedelta(minutes=minute))
        work.work_once()

    assert len(done) == 4
    assert "periodic task fails failed" in caplog.text
    assert unfinished_tasks({"fails": 600.0, "works": 600.0, "never begun": 600.0}) == ["fails"]
    assert PeriodicTask.objects.count() == 2


def test_worker_with_nothing_to_do_only_reads(at, monkeypatch):
    done = []
    monkeypatch.setattr(work, "SCHEDULE", {"sweep": (600.0, lambda: done.append(1))})
    enqueue("not.handled", {}, due_at=NOON + dt.timedelta(hours=1))
    work.work_once()

    with CaptureQueriesContext(connection) as captured:
        assert work.work_once() == 0

    assert done == [1]
    assert captured.captured_queries
    assert [each["sql"] for each in captured if not each["sql"].lstrip().startswith(("SELECT", "WITH"))] == []
