"""A queue holds back its own jobs only."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from regulars.base.jobs.models import Job
from regulars.base.jobs.queues import configure_queue, delete_queue, pause_queue, queue_status, resume_queue
from regulars.base.jobs.run_jobs import lease_next, mark_done, next_waiting_jobs, run_due
from regulars.base.jobs.tasks import HANDLERS, RegisteredHandler, Retry, enqueue, retry_failed_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def handler(monkeypatch):
    done = []
    monkeypatch.setitem(HANDLERS, "note", RegisteredHandler(lambda payload: done.append(payload["n"]), attempts=2))
    return done


def test_a_full_queue_lets_others_pass():
    configure_queue("slow")
    enqueue("note", {"n": 1}, queue="slow")
    enqueue("note", {"n": 2}, queue="slow")
    other = enqueue("note", {"n": 3})
    first, second = lease_next(), lease_next()

    assert (first.payload["n"], second.pk) == (1, other.pk)
    assert lease_next() is None


def test_queue_with_higher_concurrency_runs_more_jobs():
    configure_queue("wide", 2)
    for n in (1, 2, 3):
        enqueue("note", {"n": n}, queue="wide")

    assert [lease_next().payload["n"], lease_next().payload["n"]] == [1, 2]
    assert lease_next() is None


def test_a_worker_that_died_does_not_keep_a_queue_full():
    configure_queue("slow")
    enqueue("note", {"n": 1}, queue="slow")
    Job.objects.filter(pk=lease_next().pk).update(leased_until=timezone.now() - dt.timedelta(seconds=1))

    assert lease_next().payload["n"] == 1


def test_paused_queue_starts_no_job_until_it_resumes(handler):
    pause_queue("failed", 60)
    enqueue("note", {"n": 1}, queue="failed")
    enqueue("note", {"n": 2}, queue="other")
    run_due()

    assert handler == [2]

    resume_queue("failed")
    run_due()

    assert handler == [2, 1]


def test_deleted_queue_holds_no_jobs(handler):
    pause_queue("failed", 60)
    enqueue("note", {"n": 1}, queue="failed")
    delete_queue("failed")
    run_due()

    assert handler == [1]


def test_postponed_job_counts_no_attempt(monkeypatch):
    def not_now(payload):
        raise Retry("over the budget of today", 0.0, counts=False)

    monkeypatch.setitem(HANDLERS, "note", RegisteredHandler(not_now, attempts=1))
    job = enqueue("note", {"n": 1})
    run_due(limit=5)
    job.refresh_from_db()

    assert (job.state, job.attempts, job.last_error) == ("waiting", 0, "over the budget of today")


def test_statistics_of_many_queues_need_two_queries(django_assert_num_queries):
    configure_queue("slow", 3)
    pause_queue("slow", 60)
    pause_queue("mended", -60)
    for state in ("waiting", "waiting", "running", "failed", "done"):
        Job.objects.create(kind="note", queue="slow", state=state, due_at=timezone.now())
    with django_assert_num_queries(2):
        seen = queue_status(["slow", "mended", "unknown"])

    slow = seen["slow"]
    assert (slow.concurrency, slow.waiting, slow.running, slow.failed) == (3, 2, 1, 1)
    assert slow.paused_until
    assert slow.oldest
    assert seen["mended"].paused_until is None
    assert (seen["unknown"].concurrency, seen["unknown"].waiting) == (1, 0)


def test_failed_jobs_of_one_queue_are_retried():
    for queue in ("slow", "slow", "other"):
        failed = {"state": "failed", "due_at": timezone.now(), "finished_at": timezone.now()}
        Job.objects.create(kind="note", queue=queue, payload={"n": queue}, **failed)

    assert retry_failed_jobs("slow") == 2
    assert list(Job.objects.order_by("id").values_list("state", flat=True)) == ["waiting", "waiting", "failed"]


def test_looking_ahead_sees_only_what_could_begin_and_what_is_done_ahead_does_not_run(handler):
    later = timezone.now() + dt.timedelta(hours=1)
    first = enqueue("note", {"n": 1}, key="chika", queue="slow")
    enqueue("note", {"n": 2}, key="chika", queue="slow")
    third = enqueue("note", {"n": 3}, key="dov", queue="slow")
    enqueue("note", {"n": 4}, queue="slow", due_at=later)
    enqueue("note", {"n": 5}, queue="other")
    assert [job.pk for job in next_waiting_jobs("slow", "note", 9)] == [first.pk, third.pk]

    mark_done([third.pk])
    run_due()

    assert handler == [1, 2, 5]
