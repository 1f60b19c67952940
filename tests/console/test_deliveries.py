"""Deliveries of a destination, retries, backfills and deletion requests, in the console."""

from __future__ import annotations

import datetime as dt
import json
from uuid import uuid4

import pytest
from tests.receivers import receiving

from regulars.base import clock
from regulars.base.jobs.models import Job, Queue
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision, record
from regulars.destinations.calls import SendFailed
from regulars.destinations.circuit_breaker import record_failure
from regulars.destinations.models import Delivery, Destination, Disclosure
from regulars.destinations.queue import JOB
from regulars.destinations.save import save_destination
from regulars.interfaces.console.models import AuditEntry
from regulars.segments.models import Membership, Segment
from regulars.usecases.deliver import is_replaying

SECRET = "whsec_" + "QUFB" * 10
BASE = "/console/destinations/mailer"
PAGE, AGAIN, EVERYBODY = f"{BASE}/deliveries", f"{BASE}/deliveries/replay", f"{BASE}/deliveries/backfill"
ALL = ["sent", "failed", "dropped"]
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def vip(standard_setup) -> Segment:
    return Segment.objects.create(slug="vip", name="VIP", text="country:PT", purpose_id="message")


@pytest.fixture
def mailer(vip) -> Destination:
    return mailer_at("https://mailer.example/hooks")


@pytest.fixture
def open_chika(chika):
    record(chika, Decision("message", "given", "test"))
    return chika


def mailer_at(url: str) -> Destination:
    settings = {"url": url, "secret": SECRET}
    return save_destination("Mailer", "webhook", settings, purpose="message", segment_slugs=["vip"])


def delivery(mailer, profile, state="failed", **more) -> Delivery:
    words = {"segment_slug": "vip", "segment_name": "VIP", "entered": True, "at": clock.now(), "message_id": uuid4()}
    return Delivery.objects.create(destination=mailer, profile=profile, state=state, **{**words, **more})


def test_the_page_shows_the_state_of_queue_and_breaker(console, mailer, chika):
    for _ in range(8):
        record_failure(mailer, SendFailed("http_503"))
    delivery(mailer, chika)
    page = console.get(PAGE)

    queue = page.context["queue"]
    assert queue.paused_until
    assert page.context["counts"]["failed"] == 1
    assert "8 failures in a row" in page.content.decode()
    assert "not answering" in console.get("/console/destinations").content.decode()


def test_ana_does_not_wait_for_the_breaker(mia_console, mailer, chika):
    for _ in range(3):
        record_failure(mailer, SendFailed("http_503"))
    dead = Job.objects.create(
        kind=JOB,
        queue=mailer.queue,
        state="failed",
        due_at=clock.now(),
        finished_at=clock.now(),
        payload={"delivery": 0},
    )

    mia_console.post(PAGE + "/resume")

    mailer.refresh_from_db()
    dead.refresh_from_db()
    assert (mailer.failures, mailer.broken_until, dead.state) == (0, None, "waiting")
    assert Queue.objects.get(name=mailer.queue).paused_until is None


def test_all_dead_letters_are_counted_and_then_sent_again(mia_console, vip, open_chika):
    with receiving() as receiver:
        mailer = mailer_at(receiver.url)
        for state in ("failed", "failed", "sent", "dropped"):
            delivery(mailer, open_chika, state)
        asked = mia_console.post(AGAIN, {"states": ["failed"]})
        assert "Send 2 messages?" in asked.content.decode()
        assert not Job.objects.exists()

        response = mia_console.post(AGAIN, {"states": ["failed"], "do": "send"})
        run_due()

    assert (response.status_code, response["Location"]) == (302, PAGE)
    assert len(receiver.received) == 2
    assert AuditEntry.objects.get().details == {"segment": "", "states": ["failed"], "count": 2}


def test_a_period_of_one_segment_is_sent_again_under_its_ids(mia_console, vip, open_chika):
    with receiving() as receiver:
        mailer = mailer_at(receiver.url)
        now = clock.now()
        inside = delivery(mailer, open_chika, "sent", at=now - HOUR)
        delivery(mailer, open_chika, "sent", at=now - 5 * HOUR)
        delivery(mailer, open_chika, "sent", at=now - HOUR, segment_slug="other")
        asked = {"since": f"{now - 2 * HOUR:%Y-%m-%dT%H:%M}", "until": "", "segment": "vip", "states": ALL}
        page = mia_console.post(AGAIN, asked).content.decode()
        mia_console.post(AGAIN, {**asked, "do": "send"})
        run_due()

    assert "Send 1 message?" in page
    assert "nothing is stored twice" in page
    assert [got.headers["webhook-id"] for got in receiver.received] == [f"msg_{inside.message_id.hex}"]


def test_of_a_destination_that_cannot_tell_repetitions_people_are_warned(mia_console, vip, chika):
    save_destination("Mailer", "slack", {"url": "https://x.example"}, purpose="message", segment_slugs=["vip"])
    delivery(Destination.objects.get(), chika, "sent")

    assert "does not recognise repeated messages" in mia_console.post(AGAIN, {"states": ALL}).content.decode()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"states": []}, "Only sent, failed and dropped"),
        ({"states": ["pending"]}, "Only sent, failed and dropped"),
        ({"states": ALL, "since": "yesterday"}, "a date and a time"),
        ({"states": ALL, "since": "2026-11-02T00:00", "until": "2026-11-01T00:00"}, "before it begins"),
        ({"states": ALL, "since": "2031-01-01T00:00", "do": "send"}, "nothing to send"),
    ],
)
def test_an_invalid_period_or_state_shows_an_error_and_sends_nothing(mia_console, mailer, chika, asked, words):
    delivery(mailer, chika)
    response = mia_console.post(AGAIN, asked)

    assert response.status_code == 400
    assert words in response.content.decode()
    assert not Job.objects.exists()


def test_backfill_counts_the_members_and_then_sends_them(mia_console, vip, open_chika):
    Membership.objects.create(segment=vip, profile=open_chika, state="in", since=clock.now())
    with receiving() as receiver:
        mailer = mailer_at(receiver.url)
        response = mia_console.post(EVERYBODY, {"segment": "vip"})
        asked, given = response.content.decode(), response.context["given"]
        mia_console.post(EVERYBODY, {"segment": "vip", "do": "send"})
        assert is_replaying(mailer)
        assert "being queued again" in mia_console.get(PAGE).content.decode()
        assert mia_console.post(EVERYBODY, {"segment": "vip", "do": "send"}).status_code == 400
        run_due()

    assert "Send 1 message?" in asked
    assert given == {"segment": "vip", "states": list(ALL)}, "the form beside it is as it was"
    assert [json.loads(got.body)["data"]["user_id"] for got in receiver.received] == [open_chika.user_id]
    assert mia_console.post(EVERYBODY, {"segment": "missing"}).status_code == 400


def test_deletion_requests_show_whether_they_were_confirmed(console, mailer, chika):
    asked = {"destination": mailer, "version": mailer.current_version, "asked_at": clock.now()}
    Disclosure.objects.create(profile=chika, state="sent", **asked)
    Disclosure.objects.create(state="removing", erase=True, **asked)
    Disclosure.objects.create(state="removed", confirmed_at=clock.now(), **asked)
    Disclosure.objects.create(state="failed", error="http_500", last_error="The receiver answered 500.", **asked)
    page = console.get(BASE + "/deletion-requests")
    text = page.content.decode()

    assert (len(page.context["rows"]), page.context["disclosed"]) == (3, 1)
    assert all(words in text for words in ("requested, not confirmed yet", "confirmed", "http_500", "erased customer"))
    assert len(console.get(BASE + "/deletion-requests?state=failed").context["rows"]) == 1


@pytest.mark.parametrize("kind", ["slack", "klaviyo", "segment"])
def test_a_deletion_request_that_is_only_received_is_not_called_confirmed(console, mailer, kind):
    Destination.objects.filter(pk=mailer.pk).update(kind=kind)
    asked = {"destination": mailer, "version": mailer.current_version, "asked_at": clock.now(), "erase": True}
    Disclosure.objects.create(state="removed", confirmed_at=clock.now(), **asked)

    [(_row, label, is_carried_out, _place)] = console.get(BASE + "/deletion-requests").context["rows"]

    assert (label, is_carried_out) == ("requested and received; it confirms no deletion", False)


def test_a_deletion_that_ended_unconfirmed_says_so_and_offers_no_retry(console, mailer):
    asked = {"destination": mailer, "version": mailer.current_version, "asked_at": clock.now(), "erase": True}
    Disclosure.objects.create(state="failed", error="given_up", **asked)

    text = console.get(BASE + "/deletion-requests").content.decode()

    assert "did not confirm in time" in text
    assert "/retry" not in text


def test_a_removal_that_failed_is_asked_for_again_until_it_is_acknowledged(mia_console, vip, chika):
    with receiving() as receiver:
        mailer = mailer_at(receiver.url)
        match = {"user_id": chika.user_id}
        failed = {"destination": mailer, "version": mailer.current_version, "state": "failed", "match": match}
        rows = [Disclosure.objects.create(**failed) for _ in range(2)]
        mia_console.post(f"{BASE}/deletion-requests/{rows[0].pk}/retry")
        mia_console.post(f"{BASE}/deletion-requests/retry")
        run_due()

    assert len(receiver.received) == 2
    assert {row.state for row in Disclosure.objects.all()} == {"removed"}
    assert all(row.confirmed_at for row in Disclosure.objects.all())
    assert mia_console.post(f"{BASE}/deletion-requests/{rows[0].pk}/retry").status_code == 400
    assert mia_console.post(f"{BASE}/deletion-requests/{10**30}/retry").status_code == 404


@pytest.mark.parametrize("address", [AGAIN, EVERYBODY, PAGE + "/resume", BASE + "/deletion-requests/retry"])
def test_bruno_neither_reads_nor_sends(bruno_console, mailer, chika, address):
    delivery(mailer, chika)
    payload = {"states": ["failed"], "segment": "vip", "do": "send"}

    assert bruno_console.get(PAGE).status_code == 403
    assert bruno_console.get(BASE + "/deletion-requests").status_code == 403
    assert bruno_console.post(address, payload).status_code == 403
    assert not Job.objects.exists()


def test_many_messages_cost_few_queries(console, mailer, chika, django_assert_max_num_queries):
    for number in range(30):
        delivery(mailer, chika)
        Disclosure.objects.create(destination=mailer, version=mailer.current_version, state="failed", attempts=number)

    with django_assert_max_num_queries(14):
        console.get(PAGE)
    with django_assert_max_num_queries(9):
        console.get(BASE + "/deletion-requests")
