"""From a changed segment to the receiver of a delivery: through the outbox, in order, once."""

from __future__ import annotations

import json

import pytest
from django.db import transaction
from tests.receivers import Answer, receiving
from tests.usecases.conftest import learns, tell

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision, record
from regulars.destinations.models import Delivery
from regulars.usecases import deliver  # noqa: F401 - registers its handler

pytestmark = pytest.mark.usefixtures("lake")


def types(receiver):
    return [json.loads(got.body)["type"] for got in receiver.received]


def test_entering_and_leaving_are_delivered_in_order(chika, french):
    record(chika, Decision("message", "given", "test"))
    with receiving() as receiver:
        tell(receiver.url)
        learns(chika, "FR")
        learns(chika, "DE")
        run_due()
    assert types(receiver) == ["segment.entered", "segment.left"]


def test_a_message_that_waits_holds_back_the_next_one_of_the_same_customer(chika, french):
    record(chika, Decision("message", "given", "test"))
    with receiving(Answer(503)) as receiver:
        tell(receiver.url)
        learns(chika, "FR")
        learns(chika, "DE")
        run_due()
    assert types(receiver) == ["segment.entered"]
    assert list(Delivery.objects.order_by("id").values_list("state", "attempts")) == [("pending", 1), ("pending", 0)]


def test_news_of_a_change_that_was_rolled_back_is_never_sent(chika, french):
    record(chika, Decision("message", "given", "test"))
    tell("http://example.com")
    with pytest.raises(RuntimeError), transaction.atomic():
        learns(chika, "FR")
        raise RuntimeError
    assert not Delivery.objects.exists()
    assert not Job.objects.filter(kind="deliver").exists()


def test_erased_customer_is_not_delivered(chika, french):
    record(chika, Decision("message", "given", "test"))
    with receiving() as receiver:
        tell(receiver.url)
        learns(chika, "FR")
        chika.delete()
        run_due()
    assert receiver.received == []
    assert not Job.objects.filter(kind="deliver").exclude(state=Job.State.DONE).exists()
