"""A receiver that fails after it stored, and one that is down for a day: nothing is lost, doubled or out of order."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest
from django.utils import timezone

from regulars.base.jobs.models import Job, Queue
from regulars.base.jobs.run_jobs import lease_next, run_due
from regulars.consent.record import Decision, record
from regulars.destinations.models import Delivery
from regulars.destinations.queue import queue_changes
from regulars.destinations.save import save_destination
from regulars.profiles.find import get_or_create_by_identity
from regulars.usecases import deliver  # noqa: F401 - registers its handler
from tests.receivers import Answer, Receiver, receiving

from .conftest import AT, SECRET, entered

pytestmark = pytest.mark.django_db


@pytest.fixture
def crowd(standard_setup):
    profiles = [get_or_create_by_identity("google-oauth2", str(number))[0] for number in range(4)]
    for profile in profiles:
        record(profile, Decision("message", "given", "test"))
    return profiles


def tell(url: str) -> None:
    save_destination("Shop", "webhook", {"url": url, "secret": SECRET}, purpose="message", segment_slugs=["jackets"])


def pass_time() -> None:
    """Let the pause of the queue and of each job be over."""
    Queue.objects.update(paused_until=timezone.now() - dt.timedelta(seconds=1))
    Job.objects.filter(state="waiting").update(due_at=timezone.now())


def stored_by(receiver: Receiver) -> list[tuple[str, str]]:
    """Return (customer, type) of each message that a receiver keeps which recognises ids, in the order of arrival."""
    kept: dict[str, tuple[str, str]] = {}
    for call in receiver.received:
        body = json.loads(call.body)
        kept.setdefault(call.headers["webhook-id"], (body["data"]["user_id"], body["type"]))
    return list(kept.values())


def test_500_after_storing_is_repeated_under_the_same_id(crowd):
    with receiving(Answer(500), Answer(200)) as receiver:
        tell(receiver.url)
        queue_changes(crowd[0], [entered()])
        run_due()
        pass_time()
        run_due()

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert stored_by(receiver) == [(crowd[0].user_id, "segment.entered")]
    assert Delivery.objects.get().state == "sent"


def test_worker_killed_after_the_answer_sends_the_same_message_again(crowd):
    with receiving() as receiver:
        tell(receiver.url)
        (delivery,) = queue_changes(crowd[0], [entered()])
        run_due()
        # As a kill before the outcome was recorded leaves it: counted, pending, and its lease ends.
        Delivery.objects.update(state="pending", finished_at=None)
        Job.objects.update(state="running", finished_at=None, leased_until=timezone.now() - dt.timedelta(seconds=1))
        run_due()

    assert {call.headers["webhook-id"] for call in receiver.received} == {f"msg_{delivery.message_id.hex}"}
    assert len(receiver.received) == 2
    assert (Delivery.objects.get().state, Delivery.objects.get().attempts) == ("sent", 2)


def test_day_of_outage_loses_nothing_and_keeps_each_customers_order(crowd, monkeypatch):
    left = replace(entered(), entered=False, at=AT + dt.timedelta(hours=1))
    again = replace(entered(), at=AT + dt.timedelta(hours=2))
    real, ahead = timezone.now, dt.timedelta()
    monkeypatch.setattr(timezone, "now", lambda: real() + ahead)
    tries = []
    with receiving(Answer(503)) as receiver:
        tell(receiver.url)
        for change in (entered(), left, again):
            for profile in crowd:
                queue_changes(profile, [change])
        for _ in range(96):
            before = len(receiver.received)
            run_due()
            tries.append(len(receiver.received) - before)
            ahead += dt.timedelta(minutes=15)
        down = len(receiver.received)
        receiver.answers[:] = [Answer(200)]
        for _ in range(48):  # those that were tried wait for at most half a day more
            run_due()
            ahead += dt.timedelta(minutes=15)

    del receiver.received[:down]
    arrived = stored_by(receiver)
    assert (tries[0], max(tries[1:])) == (3, 1), "one try after each pause shows that it is still down"
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
    assert len(arrived) == len(receiver.received) == 12, "each once"
    for profile in crowd:
        kinds = [kind for who, kind in arrived if who == profile.user_id]
        assert kinds == ["segment.entered", "segment.left", "segment.entered"]


def test_receiver_that_asks_for_time_is_not_called_before(crowd):
    with receiving(Answer(429, headers={"retry-after": "600"})) as receiver:
        tell(receiver.url)
        for profile in crowd:
            queue_changes(profile, [entered()])
        run_due()

    pause = Queue.objects.get(name__startswith="destination:").paused_until - timezone.now()
    assert len(receiver.received) == 1
    assert dt.timedelta(seconds=590) < pause <= dt.timedelta(seconds=600)


def test_second_worker_takes_no_message_of_a_customer_before_the_first_is_done(crowd):
    with receiving() as receiver:
        tell(receiver.url)
        Queue.objects.update(concurrency=5)
        queue_changes(crowd[0], [entered(), replace(entered(), entered=False, at=AT + dt.timedelta(hours=1))])
        queue_changes(crowd[1], [entered()])
        taken = [lease_next(), lease_next(), lease_next()]

    assert [job and job.payload["delivery"] for job in taken] == [
        *Delivery.objects.filter(entered=True).order_by("id").values_list("id", flat=True), None,
    ]  # fmt: skip
