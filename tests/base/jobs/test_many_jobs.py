"""The next job costs the same however many are done, wait behind another, or wait in a queue that is full or paused."""

from __future__ import annotations

import datetime as dt
import json
import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from regulars.base.jobs import predecessors, run_jobs, tasks
from regulars.base.jobs.models import Job
from regulars.base.jobs.predecessors import bring_back_forgotten
from regulars.base.jobs.queues import configure_queue, pause_queue
from regulars.base.jobs.run_jobs import delete_finished_jobs, lease_next, mark_done, next_waiting_jobs, run_due, run_job
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue, enqueue_once, handles, is_queued, retry_job

pytestmark = pytest.mark.django_db
MANY = 4_000
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def done(monkeypatch):
    monkeypatch.setattr(tasks, "HANDLERS", {})
    monkeypatch.setattr(run_jobs, "HANDLERS", tasks.HANDLERS)
    numbers: list[int] = []
    handles("note")(lambda payload: numbers.append(payload["n"]))
    return numbers


def fill(**fields) -> None:
    """Write many jobs at once, due an hour ago."""
    row = {"kind": "note", "due_at": timezone.now() - HOUR, "payload": {"n": -1}} | fields
    Job.objects.bulk_create((Job(**row) for _ in range(MANY)), batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def behind(number: int) -> dt.datetime:
    """Return when a job is due that is written later and due earlier than others of its key."""
    return timezone.now() - number * HOUR


def aside() -> list[int]:
    return [payload["n"] for payload in Job.objects.exclude(put_aside_at=None).values_list("payload", flat=True)]


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            return "\n".join(row[3] for row in cursor.fetchall())
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        return json.dumps(cursor.fetchone()[0])


def reads_all(text: str) -> bool:
    """Return whether a plan goes through the table, or sorts what it found."""
    return any(
        each in f"{text}\n"
        for each in ("Seq Scan", "SCAN jobs_job", "SCAN j\n", "SCAN j USING", "USE TEMP B-TREE", '"Node Type": "Sort"')
    )


def plans_of(act) -> list[str]:
    """Return the plans of what an act reads of the jobs."""
    with CaptureQueriesContext(connection) as captured:
        act()
    read = [each["sql"] for each in captured if each["sql"].lstrip().startswith(("SELECT", "WITH"))]
    return [plan(sql) for sql in read if "jobs_job" in sql]


CROWDS = {
    "done": {"state": "done", "finished_at": timezone.now()},
    "failed": {"state": "failed", "finished_at": timezone.now()},
    "paused": {"queue": "paused"},
    "full": {"queue": "full"},
    "behind": {"key": "chika", "put_aside_at": timezone.now()},
    "later": {"due_at": timezone.now() + dt.timedelta(days=1)},
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_the_next_job_is_found_by_indexes(crowd):
    pause_queue("paused", 600)
    configure_queue("full", 1)
    enqueue("note", {"n": 0}, queue="full")
    assert lease_next()
    first = enqueue("note", {"n": 0}, key="chika", due_at=timezone.now() + HOUR)
    fill(**CROWDS[crowd])
    own = enqueue("note", {"n": 1}, queue="open", key="dov")
    leased = []

    for act in (
        lambda: leased.append(lease_next()),
        lambda: next_waiting_jobs("open", "note", 10),
        lambda: enqueue_once("note", {}, key="dov"),
        lambda: is_queued("note", "dov"),
        lambda: delete_finished_jobs(),
        lambda: mark_done([first.pk]),
    ):
        plans = plans_of(act)
        assert plans
        assert not [each for each in plans if reads_all(each)]

    assert [job.pk for job in leased] == [own.pk]


def test_jobs_behind_another_are_put_aside_together_and_come_back_one_by_one(done):
    handles("first")(lambda payload: done.append(0))
    first = enqueue("first", {}, key="chika")
    for number in (1, 2, 3):
        enqueue("note", {"n": number}, key="chika", due_at=behind(number))
    leased = lease_next()
    assert leased is not None
    assert leased.pk == first.pk
    assert sorted(aside()) == [1, 2, 3]

    run_job(leased)
    assert sorted(aside()) == [2, 3]
    run_due()

    assert done == [0, 1, 2, 3]
    assert aside() == []


def test_more_jobs_than_are_put_aside_at_once_run_in_order(done, monkeypatch):
    monkeypatch.setattr(predecessors, "PUT_ASIDE", 2)
    for number in range(9):
        enqueue("note", {"n": number}, key="chika", due_at=behind(number))

    assert run_due() == 9
    assert done == list(range(9))


def test_looking_ahead_passes_over_many_jobs_of_one_key(done):
    for number in range(9):
        enqueue("note", {"n": number}, key="chika", due_at=behind(number + 1))
    other = enqueue("note", {"n": 10}, key="dov")

    assert [job.payload["n"] for job in next_waiting_jobs("", "note", 3)] == [0, 10]

    mark_done([other.pk])
    run_due()
    assert done == list(range(9))


def test_job_behind_one_that_was_done_ahead_comes_back(done):
    first = enqueue("note", {"n": 1}, key="chika", due_at=timezone.now() + HOUR)
    enqueue("note", {"n": 2}, key="chika")
    assert run_due() == 0
    assert aside() == [2]

    mark_done([first.pk])
    run_due()

    assert done == [2]


def fail(payload) -> None:
    raise PermanentFailure("never")


def test_job_behind_one_that_failed_comes_back_and_is_behind_it_again(done):
    handles("breaks")(fail)
    first = enqueue("breaks", {}, key="chika")
    enqueue("note", {"n": 2}, key="chika", due_at=behind(1))
    assert lease_next().pk == first.pk
    run_job(first := Job.objects.get(pk=first.pk))
    first.refresh_from_db()
    assert first.state == "failed"

    handles("breaks")(lambda payload: done.append(1))
    retry_job(first)
    run_due()

    assert done == [1, 2]


def test_job_behind_one_that_was_deleted_is_not_forgotten(done):
    first = enqueue("note", {"n": 1}, key="chika", due_at=timezone.now() + HOUR)
    for number in (2, 3):
        enqueue("note", {"n": number}, key="chika")
    assert run_due() == 0
    assert bring_back_forgotten() == 0

    first.delete()

    assert bring_back_forgotten() == 1
    run_due()
    assert done == [2, 3]


def test_job_that_is_tried_again_keeps_its_place(done):
    def later(payload):
        raise Retry("not now", after=0)

    handles("later", attempts=3)(later)
    first = enqueue("later", {}, key="chika")
    enqueue("note", {"n": 2}, key="chika", due_at=behind(1))
    run_job(lease_next())

    assert lease_next().pk == first.pk
    assert done == []


def test_job_of_a_dead_worker_behind_another_holds_up_no_other(done):
    """A failed job that is tried again has been written before it."""
    handles("breaks")(fail)
    first = enqueue("breaks", {}, key="chika")
    second = enqueue("note", {"n": 2}, key="chika")
    run_due(limit=1)
    assert lease_next().pk == second.pk
    Job.objects.filter(pk=second.pk).update(leased_until=timezone.now() - HOUR)
    first.refresh_from_db()
    retry_job(first)
    Job.objects.filter(pk=first.pk).update(due_at=timezone.now() + HOUR)
    enqueue("note", {"n": 3})

    run_due()

    assert done == [3]
    Job.objects.filter(pk=first.pk).update(due_at=timezone.now())
    run_due()
    assert done == [3, 2]


def test_jobs_written_by_an_earlier_version_run(done):
    """It, and migrations, fill in none of the later columns."""
    Job.objects.create(kind="note", payload={"n": 1}, due_at=timezone.now())

    run_due()

    assert done == [1]


def test_oldest_job_of_all_open_queues_is_next():
    pause_queue("paused", 600)
    for number, queue in ((3, "paused"), (1, ""), (2, "mail"), (0, "")):
        enqueue("note", {"n": number}, queue=queue, due_at=behind(number))

    assert [lease_next().payload["n"] for _ in range(3)] == [2, 1, 0]
    assert lease_next() is None


def test_done_jobs_are_deleted_in_portions(monkeypatch):
    monkeypatch.setattr(run_jobs, "DELETED_AT_ONCE", 1500)
    old = timezone.now() - dt.timedelta(days=8)
    fill(state="done", finished_at=old)
    kept = [
        Job.objects.create(kind="note", state="failed", due_at=old, finished_at=old),
        Job.objects.create(kind="note", state="done", due_at=old, finished_at=timezone.now()),
    ]
    with CaptureQueriesContext(connection) as captured:
        assert delete_finished_jobs() == MANY

    assert len([each for each in captured if each["sql"].startswith("DELETE")]) == 3
    assert list(Job.objects.order_by("pk")) == kept


@pytest.mark.django_db(transaction=True)
def test_job_that_is_put_aside_while_the_one_before_ends_comes_back(done, monkeypatch):
    """The worker that ends a job waits for the one that is about to put the next aside."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    first = enqueue("note", {"n": 1}, key="chika")
    enqueue("note", {"n": 2}, key="chika", due_at=behind(1))
    leased = lease_next()
    assert leased.pk == first.pk
    Job.objects.update(put_aside_at=None)
    ended = threading.Thread(target=lambda: (run_job(leased), connection.close()))
    looked = predecessors.has_predecessor
    asked = []

    def slowly(job):
        found = looked(job)
        if not asked:  # the rows are locked, the answer is known, and now the job before ends
            asked.append(job.pk)
            ended.start()
            ended.join(0.5)
        return found

    monkeypatch.setattr(predecessors, "has_predecessor", slowly)
    with transaction.atomic():
        assert lease_next() is None
    ended.join()

    run_due()

    assert done == [1, 2]
