"""Disclosures are recorded, and withdrawal and erasure request deletion from every receiver."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.utils import timezone
from tests.receivers import Answer, receiving
from tests.usecases.conftest import learns, tell

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision
from regulars.destinations import deletion_requests as let_go_module
from regulars.destinations import deliver as deliver_module
from regulars.destinations.disclosures import disclosures_of, retry_deletion_request, retry_failed_deletion_requests
from regulars.destinations.kind import DestinationKind
from regulars.destinations.models import Disclosure
from regulars.usecases import deliver  # noqa: F401 - registers its handlers
from regulars.usecases.erase import erase_customer
from regulars.usecases.retention import apply_retention
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.usefixtures("lake")


def decides(profile, action):
    with changes(profile, "test") as c:
        c.decide(Decision("message", action, "test"))


def disclose(profile, url):
    tell(url)
    decides(profile, "given")
    learns(profile, "FR")
    run_due()


def due_now():
    Job.objects.filter(state="waiting").update(due_at=timezone.now())


def last(receiver):
    return json.loads(receiver.received[-1].body)


def test_disclosures_list_recipient_data_and_time(chika, french):
    with receiving() as receiver:
        disclose(chika, receiver.url)
    (line,) = disclosures_of(chika)

    assert (line.recipient, line.purpose, line.state) == ("Shop", "message", "sent")
    assert line.attributes == ("continent", "country")
    assert line.segments == ("french",)


def test_customer_without_disclosures_is_on_no_list(chika, french):
    tell("http://example.com")
    learns(chika, "FR")
    run_due()

    assert disclosures_of(chika) == []


def test_withdrawal_requests_deletion_and_records_the_confirmation(chika, french):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        decides(chika, "withdrawn")
        assert disclosures_of(chika)[0].state == "removing"
        run_due()

    assert last(receiver)["type"] == "customer.removed"
    assert last(receiver)["data"] == {"user_id": "google-oauth2|1001", "segments": ["french"]}
    assert "traits" not in last(receiver)["data"]
    assert disclosures_of(chika)[0].state == "removed"
    assert disclosures_of(chika)[0].confirmed_at is not None


def test_a_destination_that_is_down_is_asked_until_it_confirms(chika, french):
    with receiving(Answer(), Answer(503), Answer()) as receiver:
        disclose(chika, receiver.url)
        decides(chika, "withdrawn")
        run_due()
        assert disclosures_of(chika)[0].state == "removing"
        due_now()
        run_due()
    ids = {got.headers["webhook-id"] for got in receiver.received[1:]}

    assert disclosures_of(chika)[0].state == "removed"
    assert len(ids) == 1, "a receiver must be able to tell that it is the same removal"


def test_a_removal_that_is_refused_is_shown_as_failed_and_asked_for_again_by_hand(chika, french):
    with receiving(Answer(), Answer(400), Answer()) as receiver:
        disclose(chika, receiver.url)
        decides(chika, "withdrawn")
        run_due()
        row = Disclosure.objects.get()
        assert (row.state, row.error) == ("failed", "http_400")
        retry_deletion_request(row)
        run_due()

    assert disclosures_of(chika)[0].state == "removed"
    with pytest.raises(DomainError, match="Only failed deletion requests"):
        retry_deletion_request(Disclosure.objects.get())


def test_another_yes_after_a_removal_starts_anew(chika, french):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        decides(chika, "withdrawn")
        run_due()
        decides(chika, "given")
        run_due()

    assert last(receiver)["type"] == "segment.entered"
    assert disclosures_of(chika)[0].state == "sent"


def test_withdrawal_requests_deletion_once(chika, french):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        decides(chika, "withdrawn")
        learns(chika, "DE")
        run_due()

    types = [json.loads(got.body)["type"] for got in receiver.received]
    assert types == ["segment.entered", "customer.removed"]


def test_erasure_requests_deletion_and_leaves_no_trace(chika, french):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        erase_customer(chika)
        run_due()
    row = Disclosure.objects.get()

    assert (last(receiver)["type"], last(receiver)["data"]["user_id"]) == ("customer.deleted", "google-oauth2|1001")
    assert (row.state, row.profile, row.match, row.fields, row.segments) == ("removed", None, {}, {}, [])


def test_what_a_deletion_needs_is_kept_until_it_is_confirmed(chika, french):
    with receiving(Answer(), Answer(500), Answer()) as receiver:
        disclose(chika, receiver.url)
        erase_customer(chika)
        run_due()
        assert Disclosure.objects.get().match == {"user_id": "google-oauth2|1001"}
        due_now()
        run_due()

    assert last(receiver)["data"]["user_id"] == "google-oauth2|1001"
    assert Disclosure.objects.get().match == {}


def test_customer_erased_during_sending_is_deleted_there_afterwards(chika, french, monkeypatch):
    with receiving() as receiver:
        tell(receiver.url)
        decides(chika, "given")
        learns(chika, "FR")

        send = deliver_module.send

        def forgotten_meanwhile(kind, message, destination):
            send(kind, message, destination)
            erase_customer(chika)

        monkeypatch.setattr(deliver_module, "send", forgotten_meanwhile)
        run_due()

    types = [json.loads(got.body)["type"] for got in receiver.received]
    assert types == ["segment.entered", "customer.deleted"]
    assert Disclosure.objects.get().fields == {}


def test_withdrawal_while_a_message_is_composed_stops_it(chika, french, monkeypatch):
    with receiving() as receiver:
        tell(receiver.url)
        decides(chika, "given")
        learns(chika, "FR")

        compose = deliver_module.compose

        def withdrawn_meanwhile(*about):
            composed = compose(*about)
            decides(chika, "withdrawn")
            return composed

        monkeypatch.setattr(deliver_module, "compose", withdrawn_meanwhile)
        run_due()

    assert receiver.received == []
    assert not Disclosure.objects.exists()


def test_destination_without_deletion_is_reported(chika, french, monkeypatch):
    with receiving() as receiver:
        disclose(chika, receiver.url)

        class Simple(DestinationKind):
            title, fields = "Simple", ()

        monkeypatch.setattr(let_go_module, "KINDS", {"webhook": Simple()})
        decides(chika, "withdrawn")
        run_due()

    assert Disclosure.objects.get().error == "cannot_remove"


def test_what_an_unreachable_destination_knows_an_erased_customer_by_ends(chika, french, monkeypatch):
    with receiving(Answer(), Answer(status=400)) as receiver:
        disclose(chika, receiver.url)
        erase_customer(chika, "customer")
        due_now()
        run_due()
    (row,) = Disclosure.objects.all()
    assert (row.state, row.match["user_id"]) == ("failed", chika.user_id)
    assert apply_retention()["deletion_requests"] == 0
    monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=366))

    assert apply_retention()["deletion_requests"] == 1

    row.refresh_from_db()
    assert (row.state, row.error, row.match, row.fields, row.last_error) == ("failed", "given_up", {}, {}, "")
    with pytest.raises(DomainError, match="Ask its operator"):
        retry_deletion_request(row)
    assert retry_failed_deletion_requests(row.destination) == 0
    assert apply_retention()["deletion_requests"] == 0


@pytest.mark.parametrize(
    ("status", "state", "error"), [(503, "failed", "given_up"), (400, "failed", "given_up"), (200, "removed", "")]
)
def test_request_that_is_given_up_while_it_is_under_way_is_not_sent_again(
    chika, french, monkeypatch, status, state, error
):
    """Another attempt would name no one: what the customer was known by is deleted. A confirmation still counts."""
    really = let_go_module.call_where_sent

    def meanwhile(disclosure, call):
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=366))
        assert apply_retention()["deletion_requests"] == 1
        really(disclosure, call)

    with receiving(Answer(), Answer(status=status)) as receiver:
        disclose(chika, receiver.url)
        erase_customer(chika, "customer")
        monkeypatch.setattr(let_go_module, "call_where_sent", meanwhile)
        due_now()
        run_due()
        monkeypatch.setattr(let_go_module, "call_where_sent", really)
        due_now()
        run_due()

    (row,) = Disclosure.objects.all()
    assert (row.state, row.error, row.match, row.fields, row.last_error) == (state, error, {}, {}, "")
    assert len(receiver.received) == 2
