"""What a destination missed is told again, and what it has, it recognises."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.db import transaction
from tests.receivers import Answer, receiving

from regulars.base.jobs.run import run_due
from regulars.base.kit import clock
from regulars.base.kit.errors import Refused
from regulars.consent.record import Decision, record
from regulars.destinations.models import Delivery
from regulars.destinations.queue import replay
from regulars.destinations.save import save_destination
from regulars.flows.deliver import tell_of_members
from regulars.flows.refresh import after_learning
from regulars.profiles.learn import NewFact, learn
from regulars.segments.save import save_segment

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
pytestmark = pytest.mark.usefixtures("lake")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def french(chika):
    record(chika, Decision("message", "given", "test"))
    return save_segment("French", "country:FR", "message")


def tell(url, **changes):
    settings = {"url": url, "secret": SECRET}
    given = {"purpose": "message", "segment_slugs": ["french"], **changes}
    return save_destination("Shop", "webhook", settings, **given)


@transaction.atomic
def learns(profile, country):
    learn(profile, [NewFact("country", country, "declared", "test")])
    after_learning(profile)


def ids(receiver):
    return [got.headers["webhook-id"] for got in receiver.received]


def test_a_period_is_sent_again_in_order_under_the_same_ids(chika, french):
    with receiving() as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        learns(chika, "DE")
        run_due()
        assert replay(destination, clock.now() - HOUR) == 2
        run_due()

    assert ids(receiver)[2:] == ids(receiver)[:2]
    assert json.loads(receiver.received[2].body)["type"] == "segment.entered"


def test_outside_the_period_and_of_other_segments_nothing_is_sent_again(chika, french):
    with receiving() as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        run_due()

    assert replay(destination, clock.now() - 2 * HOUR, clock.now() - HOUR) == 0
    assert replay(destination, clock.now() - HOUR, segment="german") == 0


def test_what_still_waits_is_not_queued_twice(chika, french):
    with receiving(Answer(503)) as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        run_due()

    assert replay(destination, clock.now() - HOUR) == 0


def test_a_period_that_ends_before_it_begins_is_refused(french):
    with pytest.raises(Refused) as refused:
        replay(tell("http://example.com"), clock.now(), clock.now() - HOUR)

    assert refused.value.name == "bad_period"


def test_consent_is_asked_again_for_a_replay(chika, french):
    with receiving() as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        run_due()
        record(chika, Decision("message", "withdrawn", "test"))
        replay(destination, clock.now() - HOUR)
        run_due()

    assert len(receiver.received) == 1
    assert Delivery.objects.get().error == "no_consent"


def test_a_new_destination_hears_of_everybody_who_is_in_already_and_twice_is_once(chika, french):
    learns(chika, "FR")
    with receiving() as receiver:
        destination = tell(receiver.url)
        assert tell_of_members(destination, "french") == 1
        run_due()
        assert tell_of_members(destination, "french") == 1
        run_due()

    assert len(receiver.received) == 2
    assert len(set(ids(receiver))) == 1
    assert Delivery.objects.count() == 1


def test_a_segment_that_is_unknown_or_not_followed_is_refused(french):
    destination = tell("http://example.com", segment_slugs=["other"])
    for slug, name in {"german": "unknown_segment", "french": "segment_not_followed"}.items():
        with pytest.raises(Refused) as refused:
            tell_of_members(destination, slug)

        assert refused.value.name == name
