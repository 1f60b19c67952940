"""A lane holds back its own jobs and nobody else's."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from regulars.base.jobs.models import Job
from regulars.base.jobs.queues import close_lane, drop_lane, look_at, open_lane, set_lane
from regulars.base.jobs.run import done_ahead, look_ahead, run_due, take
from regulars.base.jobs.tasks import HANDLERS, Registered, Retry, enqueue, resend_lane

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def handler(monkeypatch):
    done = []
    monkeypatch.setitem(HANDLERS, "note", Registered(lambda payload: done.append(payload["n"]), attempts=2))
    return done


def test_a_full_lane_lets_others_pass():
    set_lane("slow")
    enqueue("note", {"n": 1}, lane="slow")
    enqueue("note", {"n": 2}, lane="slow")
    other = enqueue("note", {"n": 3})
    first, second = take(), take()

    assert (first.payload["n"], second.pk) == (1, other.pk)
    assert take() is None


def test_a_wider_lane_runs_more_at_a_time():
    set_lane("wide", 2)
    for n in (1, 2, 3):
        enqueue("note", {"n": n}, lane="wide")

    assert [take().payload["n"], take().payload["n"]] == [1, 2]
    assert take() is None


def test_a_worker_that_died_does_not_keep_a_lane_full():
    set_lane("slow")
    enqueue("note", {"n": 1}, lane="slow")
    Job.objects.filter(pk=take().pk).update(leased_until=timezone.now() - dt.timedelta(seconds=1))

    assert take().payload["n"] == 1


def test_nothing_of_a_closed_lane_is_begun_until_it_opens(handler):
    close_lane("dead", 60)
    enqueue("note", {"n": 1}, lane="dead")
    enqueue("note", {"n": 2}, lane="other")
    run_due()

    assert handler == [2]

    open_lane("dead")
    run_due()

    assert handler == [2, 1]


def test_a_lane_that_is_gone_holds_nobody(handler):
    close_lane("dead", 60)
    enqueue("note", {"n": 1}, lane="dead")
    drop_lane("dead")
    run_due()

    assert handler == [1]


def test_what_was_not_even_tried_is_no_attempt(monkeypatch):
    def not_now(payload):
        raise Retry("over the budget of today", 0.0, counts=False)

    monkeypatch.setitem(HANDLERS, "note", Registered(not_now, attempts=1))
    job = enqueue("note", {"n": 1})
    run_due(limit=5)
    job.refresh_from_db()

    assert (job.state, job.attempts, job.last_error) == ("waiting", 0, "over the budget of today")


def test_how_a_lane_stands_is_said_of_many_at_once(django_assert_num_queries):
    set_lane("slow", 3)
    close_lane("slow", 60)
    close_lane("mended", -60)
    for state in ("waiting", "waiting", "running", "dead", "done"):
        Job.objects.create(kind="note", lane="slow", state=state, due_at=timezone.now())
    with django_assert_num_queries(2):
        seen = look_at(["slow", "mended", "nobody"])

    slow = seen["slow"]
    assert (slow.width, slow.waiting, slow.running, slow.dead) == (3, 2, 1, 1)
    assert slow.closed_until
    assert slow.oldest
    assert seen["mended"].closed_until is None
    assert (seen["nobody"].width, seen["nobody"].waiting) == (1, 0)


def test_dead_jobs_of_a_lane_are_put_back_in_line_and_nobody_elses():
    for lane in ("slow", "slow", "other"):
        Job.objects.create(kind="note", lane=lane, state="dead", due_at=timezone.now(), payload={"n": lane})

    assert resend_lane("slow") == 2
    assert list(Job.objects.order_by("id").values_list("state", flat=True)) == ["waiting", "waiting", "dead"]


def test_looking_ahead_sees_only_what_could_begin_and_what_is_done_ahead_does_not_run(handler):
    later = timezone.now() + dt.timedelta(hours=1)
    first = enqueue("note", {"n": 1}, key="chika", lane="slow")
    enqueue("note", {"n": 2}, key="chika", lane="slow")
    third = enqueue("note", {"n": 3}, key="dov", lane="slow")
    enqueue("note", {"n": 4}, lane="slow", due_at=later)
    enqueue("note", {"n": 5}, lane="other")
    assert [job.pk for job in look_ahead("slow", "note", 9)] == [first.pk, third.pk]

    done_ahead([third.pk])
    run_due()

    assert handler == [1, 2, 5]
