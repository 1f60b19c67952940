"""New rows reach the lake once, whichever process dies on the way."""

from __future__ import annotations

import pytest

from regulars.base.jobs.models import Job
from regulars.base.lake.query import query
from regulars.base.lake.tables import EventRow, append_events
from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.events.models import Event
from regulars.events.record import record as record_event
from regulars.profiles.learn import NewFact, learn
from regulars.usecases import lake
from regulars.usecases.lake import fill_events, fill_lake

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
    """Each goes through most files of the lake, whomever it is for: many who withdraw are rewritten together."""
    monkeypatch.setattr(lake, "REWRITTEN_TOGETHER", 3)
    for ids in ([3, 1], [2, 1], [4]):
        lake.queue_lake_rewrite(ids)

    assert [job.payload["profiles"] for job in Job.objects.filter(kind="lake.rewrite").order_by("id")] == [
        [1, 2, 3],
        [4],
    ]
