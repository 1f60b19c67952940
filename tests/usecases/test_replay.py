"""Missed deliveries are replayed, and a receiver recognises those it has."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from tests.receivers import Answer, receiving

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision, record
from regulars.destinations.models import Delivery, Destination
from regulars.destinations.queue import ReplayFilter, replay_batch
from regulars.destinations.save import save_destination
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.segments.save import save_segment
from regulars.usecases import deliver as flow
from regulars.usecases.deliver import is_replaying, queue_backfill, queue_replay
from regulars.usecases.unit_of_work import changes

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
pytestmark = pytest.mark.usefixtures("lake")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def french(chika):
    record(chika, Decision("message", "given", "test"))
    learn(chika, [NewFact("email", "chika@example.com", "declared", "test")])
    return save_segment("French", "country:FR", "message")


def tell(url, **changes):
    settings = {"url": url, "secret": SECRET}
    given = {"purpose": "message", "segment_slugs": ["french"], **changes}
    return save_destination("Shop", "webhook", settings, **given)


def tell_list(url):
    settings = {"api_key": "key", "base_url": url}
    return save_destination("News", "klaviyo", settings, purpose="message", segment_slugs=["french"])


def learns(profile, country):
    with changes(profile, "test") as c:
        c.learn([NewFact("country", country, "declared", "test")])


def ids(receiver):
    return [got.headers["webhook-id"] for got in receiver.received]


def test_a_period_is_sent_again_in_order_under_the_same_ids(chika, french):
    with receiving() as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        learns(chika, "DE")
        run_due()
        assert queue_replay(destination, ReplayFilter(clock.now() - HOUR)) == 2
        run_due()

    assert ids(receiver)[2:] == ids(receiver)[:2]
    assert json.loads(receiver.received[2].body)["type"] == "segment.entered"


def test_outside_the_period_and_of_other_segments_nothing_is_sent_again(chika, french):
    with receiving() as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        run_due()

    now = clock.now()
    assert ReplayFilter(now - 2 * HOUR, now - HOUR).of(destination).count() == 0
    assert ReplayFilter(now - HOUR, segment="german").of(destination).count() == 0
    assert ReplayFilter(states=("failed",)).of(destination).count() == 0
    assert refusal(lambda: queue_replay(destination, ReplayFilter(now - 2 * HOUR, now - HOUR))) == "nothing_to_send"


def test_what_still_waits_is_not_queued_twice(chika, french):
    with receiving(Answer(503)) as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        run_due()

    assert refusal(lambda: queue_replay(destination, ReplayFilter())) == "nothing_to_send"


def test_what_makes_no_sense_is_refused_by_name(chika, french):
    with receiving() as receiver:
        off = tell(receiver.url)
        learns(chika, "FR")
        run_due()
    off.enabled = False
    off.save()

    assert refusal(lambda: ReplayFilter(clock.now(), clock.now() - HOUR)) == "bad_period"
    assert refusal(lambda: ReplayFilter(states=("pending",))) == "bad_state"
    assert refusal(lambda: queue_replay(off, ReplayFilter())) == "switched_off"
    assert refusal(lambda: queue_backfill(off, "french")) == "switched_off"


def test_one_replay_at_a_time(chika, french):
    with receiving() as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        run_due()
        queue_replay(destination, ReplayFilter())

        assert is_replaying(destination)
        assert refusal(lambda: queue_replay(destination, ReplayFilter())) == "under_way"
        assert refusal(lambda: queue_backfill(destination, "french")) == "under_way"
        run_due()

    assert not is_replaying(destination)
    assert len(receiver.received) == 2


def test_a_long_replay_goes_on_turn_by_turn_in_order(chika, french, monkeypatch):
    monkeypatch.setattr(flow, "replay_batch", lambda *given: replay_batch(*given, limit=2))
    with receiving() as receiver:
        destination = tell(receiver.url)
        for country in ("FR", "DE", "FR", "DE", "FR"):
            learns(chika, country)
        run_due()
        assert queue_replay(destination, ReplayFilter()) == 5
        run_due()

    assert ids(receiver)[5:] == ids(receiver)[:5]
    assert not is_replaying(destination)


def test_consent_is_asked_again_for_a_replay(chika, french):
    with receiving() as receiver:
        destination = tell(receiver.url)
        learns(chika, "FR")
        run_due()
        record(chika, Decision("message", "withdrawn", "test"))
        queue_replay(destination, ReplayFilter(clock.now() - HOUR))
        run_due()

    assert len(receiver.received) == 1
    assert Delivery.objects.get().error == "no_consent"


def test_backfill_sends_all_members_and_a_second_one_repeats_ids(chika, french):
    learns(chika, "FR")
    with receiving() as receiver:
        destination = tell(receiver.url)
        assert queue_backfill(destination, "french") == 1
        run_due()
        assert queue_backfill(destination, "french") == 1
        run_due()

    assert len(receiver.received) == 2
    assert len(set(ids(receiver))) == 1
    assert Delivery.objects.count() == 1


def test_backfill_continues_in_chunks(db, french, monkeypatch):
    monkeypatch.setattr(flow, "CHUNK", 2)
    people = [get_or_create_by_identity("google-oauth2", str(number))[0] for number in range(5)]
    with receiving() as receiver:
        destination = tell(receiver.url)
        Destination.objects.update(enabled=False)
        for person in people:
            record(person, Decision("message", "given", "test"))
            learns(person, "FR")
        Destination.objects.update(enabled=True)
        destination.refresh_from_db()
        assert queue_backfill(destination, "french") == 5
        run_due()

    delivered = [json.loads(got.body)["data"]["user_id"] for got in receiver.received]
    assert sorted(delivered) == sorted(person.user_id for person in people)
    assert not is_replaying(destination)


def test_a_segment_that_is_unknown_or_not_followed_is_refused(french):
    destination = tell("http://example.com", segment_slugs=["other"])

    assert refusal(lambda: queue_backfill(destination, "german")) == "unknown_segment"
    assert refusal(lambda: queue_backfill(destination, "french")) == "segment_not_followed"


def test_old_news_never_overtakes_newer_in_a_list(chika, french):
    """An "entered" that failed and is sent again after the customer left would put them back on the list."""
    with receiving(Answer(404)) as receiver:
        listed = tell_list(receiver.url)
        learns(chika, "FR")
        run_due()
    with receiving(Answer(body=b'{"data": {"id": "k1"}}')) as receiver:
        listed.settings |= {"base_url": receiver.url}
        listed.save()
        learns(chika, "DE")
        run_due()
        calls = len(receiver.received)
        queue_replay(listed, ReplayFilter(states=("failed",)))
        run_due()

        assert len(receiver.received) == calls

    assert list(Delivery.objects.order_by("id").values_list("state", "error")) == [
        ("dropped", "overtaken"),
        ("sent", ""),
    ]


def refusal(act) -> str:
    with pytest.raises(DomainError) as refused:
        act()
    return refused.value.code
