"""Events do not make an erased customer anew: their ids are refused by fingerprint for a set time."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import threading
import time

import pytest
from django.contrib.auth.hashers import make_password
from django.db import OperationalError, connections
from tests.management_api.conftest import api_client, passwords

from regulars.base import clock
from regulars.consent.erasures import erased_among, fingerprint, refuse_identifiers
from regulars.consent.models import ErasedIdentifier, Erasure
from regulars.events.models import Event, InboxItem, Source, SourceCount
from regulars.profiles.find import find_by_identity, find_by_user_id, get_or_create_by_identity
from regulars.profiles.models import Profile
from regulars.usecases import erase as erase_module
from regulars.usecases.complete_social_login import sign_up
from regulars.usecases.erase import erase_customer
from regulars.usecases.process_event import process_inbox
from regulars.usecases.replay_erasures import replay_erasures
from regulars.usecases.retention import apply_retention, set_retention

__all__ = ["api_client", "passwords"]  # fixtures
pytestmark = pytest.mark.django_db
NUMBERS = itertools.count(1)
EMAIL = "dov@example.com"


@pytest.fixture
def send(standard_setup, settings, tmp_path):
    settings.HOME = tmp_path
    source = Source.objects.create(name="Shop", slug="shop")

    def deliver(**message) -> InboxItem:
        body = {"type": "identify", **message}
        item = InboxItem.objects.create(
            source=source,
            message_id=f"m-{next(NUMBERS)}",
            type=body["type"],
            body=json.dumps(body),
            received_at=clock.now(),
        )
        process_inbox()
        item.refresh_from_db()
        return item

    return deliver


@pytest.fixture
def erased(send) -> Erasure:
    """Dov is known to the shop as `dov-7`, with two browsers and an address; then Dov is erased."""
    send(anonymousId="b-0")
    send(userId="dov-7", anonymousId="b-0")
    send(userId="dov-7", anonymousId="b-1", traits={"email": EMAIL})
    return erase_customer(find_by_identity("external", "dov-7"), "customer")


@pytest.mark.parametrize(
    "message",
    [
        {"userId": "dov-7"},
        {"userId": " dov-7 ", "type": "track", "event": "Viewed"},
        {"userId": "external|dov-7"},
        {"anonymousId": "b-0"},
        {"anonymousId": "b-1", "type": "page"},
        {"previousId": "b-1", "anonymousId": "b-9", "type": "alias"},
        {"userId": "dov-7", "previousId": "b-9", "type": "alias"},
        {"userId": "dov-7", "groupId": "acme", "type": "group"},
        {"userId": EMAIL},
        {"userId": "Dov@Example.com", "type": "track", "event": "Viewed"},
        {"userId": "new", "traits": {"email": EMAIL}},
        {"userId": "new", "traits": {"email": "DOV@example.com "}},
        {"userId": "new", "traits": {"email": "dov@EXAMPLE.com"}},
        {"anonymousId": "b-9", "context": {"traits": {"email": EMAIL}}, "type": "track", "event": "Viewed"},
        {"userId": "new", "context": {"externalIds": [{"id": "dov-7", "type": "crm"}]}},
    ],
)
def test_message_about_an_erased_customer_is_set_aside_and_counted(send, erased, message):
    known = Profile.objects.count()
    item = send(**message)

    assert (item.rejected, item.body) == ("erased", "{}")
    assert Profile.objects.count() == known
    assert not Event.objects.filter(message_id=item.message_id).exists()
    assert SourceCount.objects.get(reason="erased").count == 1


def test_another_customer_in_the_same_browser_goes_on_without_its_id(send, erased):
    item = send(userId="fay-1", anonymousId="b-1", traits={"plan": "gold"})
    event = Event.objects.get(message_id=item.message_id)

    assert find_by_identity("external", "fay-1").pk == event.profile_id
    assert event.marks == ["anonymous_id_erased"]
    assert "anonymousId" not in event.message
    assert find_by_identity("anonymous", "b-1") is None


def test_person_who_came_back_by_their_own_will_is_a_customer_again(send, erased):
    back, _ = get_or_create_by_identity("external", "dov-7")
    item = send(userId="dov-7")

    assert Event.objects.get(message_id=item.message_id).profile_id == back.pk


def test_names_are_kept_as_fingerprints_only(erased):
    kept = [*ErasedIdentifier.objects.values_list("hash", flat=True), *erased.identifiers]

    assert len(kept) >= 8
    assert all(len(each) == 64 and "dov" not in each for each in kept)


def test_after_the_set_time_the_id_is_taken_again(send, erased):
    ErasedIdentifier.objects.update(at=clock.now() - dt.timedelta(days=91))
    apply_retention()

    assert not send(userId="dov-7").rejected


def test_operator_may_set_the_time_and_switch_it_off(send):
    set_retention("erased_ids", 0)
    send(userId="dov-7")
    erase_customer(find_by_identity("external", "dov-7"))

    assert not send(userId="dov-7").rejected


def test_visitor_whom_the_retention_erased_may_come_again(send):
    send(anonymousId="b-1")
    erase_customer(find_by_identity("anonymous", "b-1"), "retention")

    assert not send(anonymousId="b-1").rejected


def test_address_that_another_customer_has_is_not_refused(send):
    send(userId="fay-1", traits={"email": EMAIL})
    send(userId="dov-7", traits={"email": EMAIL})
    erase_customer(find_by_identity("external", "dov-7"))

    assert not send(userId="fay-1", traits={"email": EMAIL}).rejected


def test_ids_stay_refused_after_a_restore_of_an_older_backup(send, django_capture_on_commit_callbacks):
    send(userId="dov-7", anonymousId="b-0")
    with django_capture_on_commit_callbacks(execute=True):
        erase_customer(find_by_identity("external", "dov-7"))
    ErasedIdentifier.objects.all().delete()
    Erasure.objects.all().delete()
    replay_erasures()

    assert send(userId="dov-7").rejected == "erased"
    assert send(anonymousId="b-0").rejected == "erased"


def test_creating_a_customer_under_an_erased_id_says_why(send, api_client, passwords):
    api_client.call("POST", "/v2/users", new_user("5f3c"))
    erase_customer(find_by_user_id("auth0|5f3c"), "api")
    answer = api_client.call("POST", "/v2/users", new_user("5f3c"))
    other = api_client.call("POST", "/v2/users", new_user("5f3d"))

    assert (answer.status_code, answer.json()["errorCode"]) == (409, "erased_identifier")
    assert other.status_code == 201


@pytest.mark.parametrize("email", [EMAIL, "Dov@Example.COM"])
def test_application_does_not_bring_an_erased_address_back(erased, api_client, passwords, email):
    created = api_client.call("POST", "/v2/users", new_user("5f3d") | {"email": email})
    api_client.call("POST", "/v2/users", new_user("5f3e"))
    moved = api_client.call("PATCH", "/v2/users/auth0%7C5f3e", {"email": email})
    metadata = api_client.call("PATCH", "/v2/users/auth0%7C5f3e", {"user_metadata": {"shoe": "43"}})

    for answer in (created, moved):
        assert (answer.status_code, answer.json()["errorCode"]) == (409, "erased_identifier")
    assert metadata.status_code == 200
    assert not Profile.objects.filter(document__email__iexact=EMAIL).exists()


def test_person_who_signs_up_again_is_welcome_and_their_address_is_free(erased, api_client, passwords):
    account = sign_up(EMAIL, make_password("a few words in a row"), "Username-Password-Authentication")
    user = Profile.objects.get(account=account).user_id.replace("|", "%7C")
    api_client.call("POST", "/v2/users", new_user("5f3e"))

    assert api_client.call("PATCH", f"/v2/users/{user}", {"email": EMAIL, "name": "Dov"}).status_code == 200
    taken = api_client.call("PATCH", "/v2/users/auth0%7C5f3e", {"email": EMAIL})
    assert (taken.status_code, taken.json()["errorCode"]) == (409, "auth0_idp_error")


def test_customer_whose_own_address_was_shared_with_the_erased_one_is_written_on(erased, api_client, passwords):
    """The e-mail of this user is what it was before: nothing is brought back."""
    api_client.call("POST", "/v2/users", new_user("5f3e"))
    refuse_identifiers([fingerprint("email|5f3e@example.com")], clock.now())
    answer = api_client.call("PATCH", "/v2/users/auth0%7C5f3e", {"email": "5f3e@example.com", "name": "Fay"})
    assert answer.status_code == 200


def new_user(user_id: str) -> dict[str, object]:
    return {
        "connection": "Username-Password-Authentication",
        "email": f"{user_id}@example.com",
        "password": "a few words in a row",
        "user_id": user_id,
    }


def test_customer_whose_ids_differ_in_case_alone_is_erased(send):
    """PostgreSQL refuses one statement that writes a row twice."""
    send(userId="dov-7", anonymousId="B-1", traits={"email": "Dov@example.com"})
    send(userId="dov-7", anonymousId="b-1", traits={"email": EMAIL})

    erasure = erase_customer(find_by_identity("external", "dov-7"), "customer")

    assert len(erasure.identifiers) == len(set(erasure.identifiers))
    assert erased_among(["anonymous|B-1", "anonymous|b-1"]) == {"anonymous|B-1", "anonymous|b-1"}


@pytest.mark.django_db(transaction=True)
def test_erasure_beside_a_message_about_the_customer_is_carried_out(send, monkeypatch):
    """The erasure holds the customer and wants the message; the worker holds the message and wants the customer."""
    send(userId="dov-0007", anonymousId="b-1")
    body = json.dumps({"type": "identify", "userId": "dov-0007", "anonymousId": "b-1"})
    InboxItem.objects.create(
        source=Source.objects.get(), message_id="late", type="identify", body=body, received_at=clock.now()
    )
    has_lock, find_names = threading.Event(), erase_module.names_of

    def find_names_slowly(profiles):
        has_lock.set()
        time.sleep(0.5)
        return find_names(profiles)

    def process():
        try:
            has_lock.wait(10)
            process_inbox()
        except OperationalError as fault:
            assert "deadlock" in str(fault)  # noqa: PT017 - either of the two may be ended
        finally:
            connections.close_all()

    monkeypatch.setattr(erase_module, "names_of", find_names_slowly)
    worker = threading.Thread(target=process)
    worker.start()
    erase_customer(find_by_identity("external", "dov-0007"), "customer")
    worker.join()
    process_inbox()  # again, if PostgreSQL ended the worker's transaction

    assert find_by_identity("external", "dov-0007") is None
    assert Event.objects.count() == 0
    assert "dov" not in "".join(InboxItem.objects.values_list("body", flat=True))
