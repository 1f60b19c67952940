"""Jobs are enqueued with their transaction, run at least once and in order, and are never lost."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection, transaction
from django.utils import timezone

from regulars.base.errors import DomainError
from regulars.base.jobs import run_jobs, tasks
from regulars.base.jobs.models import Job, PeriodicTask
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue, enqueue_once, handles, retry_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch):
    monkeypatch.setattr(tasks, "HANDLERS", {})
    monkeypatch.setattr(run_jobs, "HANDLERS", tasks.HANDLERS)


@pytest.fixture
def done():
    return []


def test_a_job_is_done_once(done):
    handles("greet")(lambda payload: done.append(payload["whom"]))
    enqueue("greet", {"whom": "Chika"})

    assert run_jobs.run_due() == 1
    assert run_jobs.run_due() == 0
    assert done == ["Chika"]


def test_a_change_rolled_back_leaves_no_job():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        enqueue("greet", {})
        1 / 0  # noqa: B018

    assert not Job.objects.exists()


def test_jobs_of_one_key_run_in_order(done):
    def fails_first(payload):
        done.append(payload["n"])
        if payload["n"] == 1 and done.count(1) == 1:
            raise Retry("not now", after=60)

    handles("step")(fails_first)
    for number in (1, 2):
        enqueue("step", {"n": number}, key="chika")
    enqueue("step", {"n": 3}, key="dov")

    run_jobs.run_due()

    assert done == [1, 3]


def test_a_fault_is_kept_and_tried_again_later(done):
    def fault(payload):
        done.append("tried")
        raise ValueError("no luck")

    handles("unlucky", attempts=2)(fault)
    job = enqueue("unlucky", {})
    run_jobs.run_due()
    job.refresh_from_db()
    assert (job.state, job.last_error) == ("waiting", "ValueError: no luck")
    assert job.due_at > timezone.now()

    Job.objects.update(due_at=timezone.now())
    run_jobs.run_due()

    job.refresh_from_db()
    assert job.state == "failed"
    assert len(done) == 2


@pytest.mark.django_db(transaction=True)
def test_job_that_was_committed_is_not_run_again(done):
    """Something after the commit failed: a file on a full disk."""

    def full():
        raise OSError

    def writes(payload):
        done.append("written")
        transaction.on_commit(full)

    handles("write")(writes)
    job = enqueue("write", {})
    run_jobs.run_due()
    Job.objects.update(due_at=timezone.now())
    run_jobs.run_due()

    job.refresh_from_db()
    assert (job.state, done) == ("done", ["written"])


def test_writes_of_a_failing_handler_are_rolled_back():
    def writes_then_fails(payload):
        enqueue("follow-up", {})
        raise ValueError

    handles("half")(writes_then_fails)
    enqueue("half", {})

    run_jobs.run_due()

    assert not Job.objects.filter(kind="follow-up").exists()


@pytest.mark.django_db(transaction=True)
def test_non_transactional_handler_blocks_no_writer():
    seen = []
    handles("call", non_transactional=True)(lambda payload: seen.append(connection.in_atomic_block))
    handles("write")(lambda payload: seen.append(connection.in_atomic_block))
    enqueue("call", {})
    enqueue("write", {})

    run_jobs.run_due()

    assert seen == [False, True]


def test_a_dead_job_can_be_sent_again(done):
    def gives_up(payload):
        raise PermanentFailure("permanent failure")

    handles("lost")(gives_up)
    job = enqueue("lost", {})
    run_jobs.run_due()
    job.refresh_from_db()
    assert (job.state, job.last_error) == ("failed", "permanent failure")

    handles("lost")(lambda payload: done.append("sent"))
    retry_job(job)
    run_jobs.run_due()

    assert done == ["sent"]
    job.refresh_from_db()
    with pytest.raises(DomainError):
        retry_job(job)


def test_job_of_a_dead_worker_is_taken_by_another(done):
    handles("greet")(lambda payload: done.append("done"))
    job = enqueue("greet", {})
    run_jobs.lease_next()
    assert run_jobs.run_due() == 0, "the lease still holds"

    Job.objects.update(leased_until=timezone.now() - dt.timedelta(seconds=1))

    assert run_jobs.run_due() == 1
    job.refresh_from_db()
    assert job.attempts == 2
    assert done == ["done"]


def test_worker_assumed_dead_does_not_overwrite_its_successor():
    handles("greet")(lambda payload: None)
    enqueue("greet", {})
    slow = run_jobs.lease_next()
    Job.objects.update(leased_until=timezone.now() - dt.timedelta(seconds=1))
    run_jobs.run_due()

    run_jobs._postpone(slow, tasks.HANDLERS["greet"], "too late")

    assert Job.objects.get().state == "done"


def test_old_worker_leaves_a_job_of_a_kind_that_only_a_newer_one_knows(monkeypatch):
    enqueue("newer", {"name": "Chika"}, key="chika")
    enqueue("greet", {"name": "Chika"}, key="chika")

    for _ in range(20):  # more often than any job is tried
        run_jobs.run_due()
        Job.objects.update(due_at=timezone.now())
    left = Job.objects.get(kind="newer")
    assert (left.state, left.attempts, left.last_error) == ("waiting", 0, "no handler for 'newer'")
    assert Job.objects.get(kind="greet").state == "waiting"

    done = []
    monkeypatch.setitem(tasks.HANDLERS, "newer", tasks.RegisteredHandler(done.append, attempts=8))
    run_jobs.run_due()
    assert (done, Job.objects.get(kind="newer").state) == ([{"name": "Chika"}], "done")


def test_job_of_a_kind_that_no_worker_came_to_know_fails_after_three_days():
    enqueue("unknown", {})
    Job.objects.update(created_at=timezone.now() - dt.timedelta(days=3, minutes=1))

    run_jobs.run_due()

    failed = Job.objects.get()
    assert (failed.state, failed.last_error) == ("failed", "no handler for 'unknown'")


def test_waiting_jobs_of_a_kind_gather():
    assert enqueue_once("flush", {}, key="lake") is not None
    assert enqueue_once("flush", {}, key="lake") is None


def test_a_periodic_task_runs_once_per_period_over_all_workers():
    assert run_jobs.run_periodically("sweep", every=60)
    assert not run_jobs.run_periodically("sweep", every=60)

    PeriodicTask.objects.update(begun_at=timezone.now() - dt.timedelta(seconds=61))

    assert run_jobs.run_periodically("sweep", every=60)


def test_pauses_grow_and_are_capped():
    assert 1 <= run_jobs.pause_before_attempt(2) <= 3
    assert run_jobs.pause_before_attempt(40) <= run_jobs.LONGEST_PAUSE * 1.5
