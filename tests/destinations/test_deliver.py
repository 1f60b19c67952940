"""Nothing leaves without the customer's yes at that moment, and every message's fate is written down."""

from __future__ import annotations

import json

import pytest

from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import Retry
from regulars.consent.record import Decision, record
from regulars.destinations import deliver as deliver_module
from regulars.destinations.deliver import ATTEMPTS, deliver
from regulars.destinations.kind import DestinationKind
from regulars.destinations.models import Delivery
from regulars.destinations.queue import queue_changes, retry_delivery
from regulars.profiles.learn import NewFact, learn
from tests.receivers import Answer, receiving

from .conftest import SECRET, entered, queue_one


def allow(profile, action="given"):
    record(profile, Decision("message", action, "test"))


def test_with_consent_the_message_has_the_usable_traits(chika, to_webhook):
    allow(chika)
    learn(chika, [NewFact("country", "FR", "declared", "test"), NewFact("birthdate", "1990-01-01", "declared", "test")])
    with receiving() as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        deliver(delivery, {})
    (got,) = receiver.received
    traits = json.loads(got.body)["data"]["traits"]
    assert traits["country"] == "FR"
    assert "birthdate" not in traits
    assert got.headers["webhook-id"] == f"msg_{delivery.message_id.hex}"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.error) == ("sent", 1, "")


def test_without_consent_nothing_is_sent(chika, to_webhook):
    with receiving() as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        deliver(delivery, {})
    delivery.refresh_from_db()
    assert receiver.received == []
    assert (delivery.state, delivery.attempts, delivery.error) == ("dropped", 0, "no_consent")


def test_a_yes_that_was_taken_back_since_counts_as_a_no(chika, to_webhook):
    allow(chika)
    with receiving() as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        allow(chika, "withdrawn")
        deliver(delivery, {})
    assert receiver.received == []
    assert delivery.error == "no_consent"


def test_a_destination_that_was_switched_off_since_gets_nothing(chika, to_webhook):
    allow(chika)
    with receiving() as receiver:
        destination = to_webhook(receiver.url)
        delivery = queue_one(chika)
        destination.enabled = False
        destination.save()
        delivery.refresh_from_db()
        deliver(Delivery.objects.get(pk=delivery.pk), {})
    assert receiver.received == []
    assert Delivery.objects.get(pk=delivery.pk).error == "switched_off"


def test_what_was_sent_is_not_sent_twice(chika, to_webhook):
    allow(chika)
    with receiving() as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        deliver(delivery, {})
        deliver(Delivery.objects.get(pk=delivery.pk), {})
    assert len(receiver.received) == 1


def test_a_receiver_in_trouble_leaves_it_pending_for_the_time_it_asked_for(chika, to_webhook):
    allow(chika)
    with receiving(Answer(503, headers={"retry-after": "42"})) as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        with pytest.raises(Retry) as retry:
            deliver(delivery, {})
    assert retry.value.after == 42
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.error) == ("pending", 1, "http_503")


def test_after_the_last_attempt_it_has_failed(chika, to_webhook):
    allow(chika)
    with receiving(Answer(500)) as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        pauses = []
        for _ in range(ATTEMPTS - 1):
            with pytest.raises(Retry) as retry:
                deliver(delivery, {})
            pauses.append(retry.value.after)
        deliver(delivery, {})
    assert pauses == sorted(pauses)
    assert len(receiver.received) == ATTEMPTS
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == ("failed", "http_500")


def test_a_refusal_fails_at_once_and_can_be_sent_again_by_hand(chika, to_webhook):
    allow(chika)
    with receiving(Answer(404), Answer(200)) as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        deliver(delivery, {})
        assert (delivery.state, delivery.error) == ("failed", "http_404")
        retry_delivery(delivery)
        deliver(delivery, {})
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.error, delivery.last_error) == ("sent", 1, "", "")
    ids = {got.headers["webhook-id"] for got in receiver.received}
    assert len(ids) == 1, "a receiver must be able to tell that it is the same message"


def test_what_arrived_is_not_sent_again_by_hand(chika, to_webhook):
    allow(chika)
    with receiving() as receiver:
        to_webhook(receiver.url)
        delivery = queue_one(chika)
        deliver(delivery, {})
    with pytest.raises(DomainError) as refused:
        retry_delivery(delivery)
    assert refused.value.code == "not_resendable"


class Broken(DestinationKind):
    """A third party's plug-in that repeats its secret in whatever it raises."""

    title = "Broken"

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def send(self, message, settings):
        raise self.fault


def with_kind(monkeypatch, plugin):
    monkeypatch.setattr(deliver_module, "KINDS", {"webhook": plugin})


def test_no_secret_is_written_down_even_if_the_plug_in_repeats_it(chika, to_webhook, monkeypatch):
    allow(chika)
    to_webhook("http://example.com")
    plugin = Broken(deliver_module.SendFailed("refused", f"401 for {SECRET}", permanent=True))
    plugin.fields = deliver_module.KINDS["webhook"].fields
    with_kind(monkeypatch, plugin)
    delivery = queue_one(chika)
    deliver(delivery, {})
    assert delivery.last_error.startswith("401 for")
    assert SECRET not in delivery.last_error


def test_a_plug_in_that_breaks_is_tried_again_and_its_words_are_not_trusted(chika, to_webhook, monkeypatch):
    allow(chika)
    to_webhook("http://example.com")
    with_kind(monkeypatch, Broken(KeyError("very private")))
    delivery = queue_one(chika)
    with pytest.raises(Retry):
        deliver(delivery, {})
    assert (delivery.state, delivery.error) == ("pending", "plugin_failed")
    assert "very private" not in delivery.last_error


def test_a_plug_in_that_is_gone_fails_by_name(chika, to_webhook):
    allow(chika)
    destination = to_webhook("http://example.com")
    destination.kind = "sold"
    destination.save()
    delivery = queue_one(chika)
    deliver(delivery, {})
    assert (delivery.state, delivery.error) == ("failed", "unknown_plugin")


def test_a_customer_without_what_the_destination_needs_is_left_out(chika, to_webhook, monkeypatch):
    allow(chika)
    to_webhook("http://example.com")
    plugin = Broken(AssertionError("must not be called"))
    plugin.needs = ("email",)
    with_kind(monkeypatch, plugin)
    delivery = queue_one(chika)
    deliver(delivery, {})
    assert (delivery.state, delivery.error) == ("dropped", "nothing_to_match")


def test_only_enabled_destinations_that_list_the_segment_receive_it(chika, to_webhook):
    destination = to_webhook("http://example.com")
    assert queue_changes(chika, [entered("shoes")]) == []
    destination.enabled = False
    destination.save()
    assert queue_changes(chika, [entered("jackets")]) == []
