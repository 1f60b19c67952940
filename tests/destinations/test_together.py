"""Waiting messages go in one call to a receiver that takes many; each keeps its order, consent and failure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.db.models import Count

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision, record
from regulars.destinations.calls import SendFailed
from regulars.destinations.kinds.hubspot import hubspot
from regulars.destinations.kinds.meta import meta
from regulars.destinations.models import Delivery, Disclosure
from regulars.destinations.queue import queue_changes
from regulars.destinations.save import save_destination
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.usecases import deliver  # noqa: F401 - its handlers register themselves
from tests.receivers import Answer, receiving

from .conftest import AT, entered


@pytest.fixture
def people(standard_setup):
    """Twelve customers; all but the third allow messages."""
    made = [get_or_create_by_identity("google-oauth2", str(number))[0] for number in range(12)]
    for number, person in enumerate(made):
        learn(person, [NewFact("email", f"p{number}@example.com", "declared", "test")])
        if number != 2:
            record(person, Decision("message", "given", "test"))
    return made


def to_segment(url: str):
    return save_destination(
        "Segment", "segment", {"write_key": "k", "base_url": url}, purpose="message", segment_slugs=["jackets"]
    )


def left():
    return replace(entered(), entered=False, at=AT.replace(hour=11))


def test_what_waits_goes_in_one_call_and_consent_is_asked_for_each(people):
    with receiving() as receiver:
        to_segment(receiver.url)
        deliveries = [queue_changes(person, [entered()])[0] for person in people]
        run_due()

    (call,) = receiver.received
    sent = [each["messageId"] for each in json.loads(call.body)["batch"]]
    allowed = [each for each in deliveries if each.profile_id != people[2].pk]
    assert call.path == "/v1/batch"
    assert sorted(sent) == sorted(f"msg_{each.message_id.hex}" for each in allowed)
    assert dict(Delivery.objects.values_list("state").annotate(Count("id"))) == {"sent": 11, "dropped": 1}
    assert set(Delivery.objects.filter(state="sent").values_list("attempts", flat=True)) == {1}
    assert Disclosure.objects.filter(state="sent").count() == 11
    assert not Job.objects.exclude(state="done").exists()


def test_one_customers_news_stays_in_order_over_two_calls(people):
    with receiving() as receiver:
        to_segment(receiver.url)
        for person in people[:2]:
            queue_changes(person, [entered(), left()])
        run_due()

    sent = [[each["traits"]["jackets"] for each in json.loads(call.body)["batch"]] for call in receiver.received]
    assert sent == [[True, True], [False, False]]


def test_a_single_message_goes_as_it_always_did(people):
    with receiving() as receiver:
        to_segment(receiver.url)
        queue_changes(people[0], [entered()])
        run_due()

    assert [call.path for call in receiver.received] == ["/v1/identify"]


def test_refused_batch_delays_no_other_message(people):
    with receiving(Answer(400), Answer(200)) as receiver:
        to_segment(receiver.url)
        for person in people[:2]:
            queue_changes(person, [entered()])
        run_due()

    assert [call.path for call in receiver.received] == ["/v1/batch", "/v1/identify", "/v1/identify"]
    assert set(Delivery.objects.values_list("state", "attempts")) == {("sent", 1)}


def test_a_receiver_in_trouble_leaves_them_all_waiting(people):
    with receiving(Answer(503, headers={"retry-after": "60"})) as receiver:
        to_segment(receiver.url)
        for person in people[:2]:
            queue_changes(person, [entered()])
        run_due(limit=1)

    assert len(receiver.received) == 1
    assert list(Delivery.objects.order_by("id").values_list("state", "attempts")) == [("pending", 1), ("pending", 0)]
    assert not Disclosure.objects.filter(state="sent").exists()


def test_meta_receives_entered_and_left_in_two_calls_of_equal_columns(partners):
    from .test_partners import LEFT, MESSAGE

    settings = {"access_token": "token", "audience_id": "7", "base_url": f"{partners.at('meta')}/v25.0"}
    other = replace(MESSAGE, match={"email": "bruno@example.com", "country": "PT"})
    meta.send_batch([MESSAGE, other, LEFT], settings)
    joined, parted = partners.calls("meta")

    assert (joined["method"], parted["method"]) == ("POST", "DELETE")
    assert joined["body"]["payload"]["schema"] == ["EMAIL", "COUNTRY"]
    assert [row[1] == "" for row in joined["body"]["payload"]["data"]] == [True, False]
    assert len(parted["body"]["payload"]["data"]) == 1
    with pytest.raises(SendFailed):
        meta.send_batch([MESSAGE, other], {**settings, "access_token": "wrong"})


def test_hubspot_finds_each_contact_again_whatever_their_order(partners):
    from .test_partners import LEFT, MESSAGE

    settings = {"token": "t", "list_id": "42", "base_url": partners.at("hubspot")}
    others = [replace(MESSAGE, match={"email": f"P{number}@example.com"}) for number in range(2)]
    hubspot.send_batch([MESSAGE, *others, replace(LEFT, match={"email": "dov@example.com"})], settings)
    upsert, joined, parted = partners.calls("hubspot")

    assert [each["id"] for each in upsert["body"]["inputs"]][1:] == [
        "P0@example.com",
        "P1@example.com",
        "dov@example.com",
    ]
    assert (joined["path"], joined["body"]) == ("/crm/v3/lists/42/memberships/add", ["512", "513", "514"])
    assert (parted["path"], parted["body"]) == ("/crm/v3/lists/42/memberships/remove", ["515"])

    with pytest.raises(SendFailed) as failed:
        hubspot.send_batch([MESSAGE, replace(MESSAGE, match={"email": "x+reject@example.com"})], settings)

    assert failed.value.permanent
