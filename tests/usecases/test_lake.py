"""New rows reach the lake once, whichever process dies on the way."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.schedule import HOUR, SCHEDULE
from regulars.base.lake.query import query
from regulars.base.lake.tables import EventRow, append_events
from regulars.consent.models import PermittedView
from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.events.models import Event
from regulars.events.record import record as record_event
from regulars.interfaces.worker import work  # noqa: F401 - it schedules
from regulars.operations.doctor import CHECKS
from regulars.profiles.learn import NewFact, learn
from regulars.usecases import lake as lake_jobs
from regulars.usecases.lake import compare_lake, fill_events, fill_lake, leave_lake, queue_lake_purge

pytestmark = pytest.mark.django_db


def events_in_lake() -> list[str]:
    return [name for (name,) in query("SELECT name FROM events")]


def test_events_arrive_once_however_often_the_job_runs(chika, lake):
    record_event(chika.pk, "Product Viewed", {"category": "jackets"})
    fill_lake({})
    record_event(chika.pk, "Order Completed")
    fill_lake({})
    fill_lake({})

    assert sorted(events_in_lake()) == ["Order Completed", "Product Viewed"]
    assert not Event.objects.filter(lake_at=None).exists()


def test_a_worker_that_died_after_the_commit_leaves_no_duplicate(chika, lake):
    seen = record_event(chika.pk, "Product Viewed")
    Event.objects.filter(pk=seen.pk).update(lake_batch=7)
    append_events([EventRow(chika.pk, seen.message_id, "track", seen.name, seen.at, {}, {})], 7)
    fill_lake({})

    assert events_in_lake() == ["Product Viewed"]
    assert Event.objects.get(pk=seen.pk).lake_at is not None


def test_a_worker_that_died_before_the_commit_loses_nothing(chika, lake):
    seen = record_event(chika.pk, "Product Viewed")
    Event.objects.filter(pk=seen.pk).update(lake_batch=7)
    fill_lake({})

    assert events_in_lake() == ["Product Viewed"]
    assert fill_events() == 0


def test_withdrawn_data_leaves_the_lake(chika, lake):
    record(chika, Decision("personalise", "given", "test"))
    learn(chika, [NewFact("gender", "female", "declared", "question:gender@1")])
    refresh_views(chika)
    fill_lake({})
    before = query("SELECT terms FROM views WHERE purpose = 'personalise'")[0][0]
    record(chika, Decision("personalise", "withdrawn", "test"))
    refresh_views(chika)
    fill_lake({})
    after = query("SELECT terms FROM views WHERE purpose = 'personalise'")[0][0]

    assert "female" in str(before)
    assert "female" not in str(after)


def test_rewrites_that_wait_are_one(chika, monkeypatch):
    """Many who withdraw are rewritten together."""
    monkeypatch.setattr(lake_jobs, "REWRITTEN_TOGETHER", 3)
    for ids in ([3, 1], [2, 1], [4]):
        lake_jobs.queue_lake_rewrite(ids)

    assert [job.payload["profiles"] for job in Job.objects.filter(kind="lake.rewrite").order_by("id")] == [
        [1, 2, 3],
        [4],
    ]


def test_one_purge_serves_the_erasures_before_it(chika, lake, monkeypatch):
    """Each writes files anew. One that has waited for long is not left to the next, which may never be the last."""
    purged = []
    monkeypatch.setattr(lake_jobs, "purge", lambda: purged.append(True))
    monkeypatch.setattr(lake_jobs, "wipe_log", lambda: None)  # SQLite refuses it inside a test's transaction
    Job.objects.all().delete()
    for _ in range(3):
        queue_lake_purge()
    run_due()
    assert len(purged) == 1

    queue_lake_purge()
    Job.objects.filter(kind="lake.purge").update(payload={"at": (timezone.now() - lake_jobs.PURGED_WITHIN).isoformat()})
    queue_lake_purge()
    run_due()
    assert len(purged) == 3


def test_events_that_a_fill_wrote_before_a_removal_are_written_again(chika, lake):
    """An erased period leaves the others of the customer: a fill that ran already may have written them."""
    record_event(chika.pk, "Product Viewed")
    refresh_views(chika)
    fill_lake({})

    leave_lake({"profiles": [chika.pk]})

    assert events_in_lake() == ["Product Viewed"]
    assert all(table.agrees for table in compare_lake())


def test_the_lake_is_tidied_every_hour_by_its_one_writer(lake):
    every, begin = SCHEDULE["lake.tidy"]
    begin()

    assert every == HOUR
    assert [(job.kind, job.key) for job in Job.objects.filter(key=lake_jobs.KEY)] == [("lake.tidy", lake_jobs.KEY)]


def test_doctor_says_live_and_dead_bytes(chika, lake):
    refresh_views(chika)
    fill_lake({})
    PermittedView.objects.update(lake_at=None)
    fill_lake({})

    said = CHECKS["lake"]().message

    assert re.search(r"lake: 0 events, [1-9]\d* views; [0-9.]+ MB live, [0-9.]+ MB dead$", said), said
