"""A destination that does not answer delays no other destination."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.utils import timezone

from regulars.base.jobs.models import Job, Queue
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision, record
from regulars.destinations import calls
from regulars.destinations.circuit_breaker import is_broken
from regulars.destinations.models import Delivery
from regulars.destinations.queue import queue_changes
from regulars.destinations.save import save_destination
from regulars.profiles.find import get_or_create_by_identity
from regulars.usecases import deliver  # noqa: F401 - registers its handler
from tests.receivers import Answer, receiving

from .conftest import SECRET, entered


@pytest.fixture
def crowd(standard_setup):
    profiles = [get_or_create_by_identity("google-oauth2", str(number))[0] for number in range(5)]
    for profile in profiles:
        record(profile, Decision("message", "given", "test"))
    return profiles


def tell(name, url):
    settings = {"url": url, "secret": SECRET}
    return save_destination(name, "webhook", settings, purpose="message", segment_slugs=["jackets"])


def due_now():
    Job.objects.filter(state="waiting").update(due_at=timezone.now())


def reopen():
    Queue.objects.update(paused_until=timezone.now() - dt.timedelta(seconds=1))


def test_one_that_hangs_does_not_keep_another_waiting(crowd, monkeypatch):
    monkeypatch.setattr(calls, "TIMEOUT", 1.0)
    with receiving(Answer(wait=120)) as hanging, receiving() as quick:
        slow = tell("Slow", hanging.url)
        tell("Quick", quick.url)
        for profile in crowd:
            queue_changes(profile, [entered()])
        began = time.monotonic()
        run_due()
        took = time.monotonic() - began
    slow.refresh_from_db()

    assert len(quick.received) == len(crowd)
    assert len(hanging.received) == 1, "the others of its queue are not even tried"
    assert took < 60, "the answer was not waited for"
    assert is_broken(slow)


def test_faults_in_a_row_open_the_breaker_and_an_arrival_closes_it(crowd):
    with receiving(Answer(500), Answer(500), Answer(500), Answer(200)) as receiver:
        destination = tell("Shop", receiver.url)
        for profile in crowd:
            queue_changes(profile, [entered()])
        run_due()
        destination.refresh_from_db()
        assert (len(receiver.received), is_broken(destination)) == (3, True)
        reopen()
        due_now()
        run_due()
    destination.refresh_from_db()

    assert not is_broken(destination)
    assert destination.failures == 0
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}


def test_each_time_it_stays_open_for_longer(crowd):
    with receiving(Answer(500)) as receiver:
        destination = tell("Shop", receiver.url)
        for profile in crowd:
            queue_changes(profile, [entered()])
        pauses = []
        for _ in range(3):
            reopen()
            due_now()
            run_due()
            destination.refresh_from_db()
            pauses.append(destination.broken_until - timezone.now())

    assert pauses[0] < pauses[1] < pauses[2]


def test_refused_message_does_not_count_as_an_outage(crowd):
    with receiving(Answer(422)) as receiver:
        destination = tell("Shop", receiver.url)
        for profile in crowd:
            queue_changes(profile, [entered()])
        run_due()
    destination.refresh_from_db()

    assert len(receiver.received) == len(crowd)
    assert not is_broken(destination)


def test_mending_the_settings_closes_the_breaker(crowd):
    with receiving(Answer(500)) as broken, receiving() as mended:
        destination = tell("Shop", broken.url)
        for profile in crowd:
            queue_changes(profile, [entered()])
        run_due()
        destination.refresh_from_db()
        save_destination(
            "Shop",
            "webhook",
            {"url": mended.url, "secret": destination.settings["secret"]},
            purpose="message",
            segment_slugs=["jackets"],
            destination=destination,
        )
        due_now()
        run_due()

    assert len(mended.received) == len(crowd)
