"""What a destination was sent follows the customer: changed and removed facts, closed purposes, places it has left."""

from __future__ import annotations

import hashlib
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.receivers import Answer, receiving
from tests.usecases.conftest import SECRET, learns, tell

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision
from regulars.destinations.disclosures import disclosures_of, retry_deletion_request
from regulars.destinations.follow import follow_disclosures
from regulars.destinations.kind import KINDS, DestinationKind
from regulars.destinations.models import Destination, Disclosure
from regulars.destinations.save import save_destination
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Profile
from regulars.usecases import deliver  # noqa: F401 - registers its handlers
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.erase import erase_customer
from regulars.usecases.merge import merge
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.usefixtures("lake")


@pytest.fixture
def city(french):
    """A fact that may be used for messages, beside the country that the segment looks at."""
    Attribute.objects.filter(key="city").update(purposes=["serve", "message", "share"])


def decides(profile, action, purpose="message"):
    with changes(profile, "test") as c:
        c.decide(Decision(purpose, action, "test"))


def learns_city(profile, value):
    with changes(profile, "test") as c:
        c.learn([NewFact("city", value, "declared", "test")])


def disclose(profile, url, **more):
    destination = tell(url)
    decides(profile, "given")
    learns_city(profile, "Lyon")
    learns(profile, "FR")
    run_due()
    return destination


def move(destination, url, purpose="message", name="Shop"):
    settings = {"url": url, "secret": SECRET}
    return save_destination(
        name, "webhook", settings, purpose=purpose, segment_slugs=["french"], destination=destination
    )


def bodies(receiver, since=0):
    return [
        (body["type"], body["data"].get("traits"))
        for body in (json.loads(each.body) for each in receiver.received[since:])
    ]


def state_of(profile):
    return [line.state for line in disclosures_of(profile)]


def test_corrected_fact_reaches_the_destination_that_was_sent_it(chika, city):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        correct(chika, "city", "Paris")
        assert state_of(chika) == ["updating"]
        run_due()

    assert bodies(receiver, 1) == [("customer.updated", {"city": "Paris"})]
    assert state_of(chika) == ["sent"]
    assert disclosures_of(chika)[0].confirmed_at is not None


def test_removed_fact_is_removed_at_the_destination(chika, city):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        remove(chika, "city")
        run_due()

    assert bodies(receiver, 1) == [("customer.updated", {"city": None})]
    assert "city" not in disclosures_of(chika)[0].attributes


def test_fact_whose_own_consent_was_withdrawn_is_removed_and_the_rest_stays(chika, city):
    """The purpose of the destination stays open: only what was given under another decision goes."""
    with changes(chika, "test") as c:
        shared = c.decide(Decision("share", "given", "test"))
        c.learn([NewFact("city", "Lyon", "declared", "test", basis="consent", consents=[shared.pk])])
    with receiving() as receiver:
        tell(receiver.url)
        decides(chika, "given")
        learns(chika, "FR")
        run_due()
        decides(chika, "withdrawn", "share")
        run_due()

    assert bodies(receiver, 1) == [("customer.updated", {"city": None})]
    assert state_of(chika) == ["sent"]


def test_attribute_that_is_closed_to_the_purpose_is_removed(chika, city):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        Attribute.objects.filter(key="city").update(purposes=["serve"])
        with changes(chika, "test") as c:
            c.refresh()
        run_due()

    assert bodies(receiver, 1) == [("customer.updated", {"city": None})]


def test_same_value_of_another_source_sends_nothing(chika, city):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        with changes(chika, "test") as c:
            c.learn([NewFact("city", "Lyon", "verified", "elsewhere")])
        run_due()

    assert len(receiver.received) == 1
    assert state_of(chika) == ["sent"]


def test_changes_while_the_destination_is_down_arrive_as_the_last_value(chika, city):
    with receiving(Answer(), Answer(503), Answer()) as receiver:
        disclose(chika, receiver.url)
        correct(chika, "city", "Paris")
        run_due()
        correct(chika, "city", "Nice")
        assert state_of(chika) == ["updating"]
        Job.objects.filter(state="waiting").update(due_at=timezone.now())
        run_due()

    assert bodies(receiver, 2) == [("customer.updated", {"city": "Nice"})]
    assert state_of(chika) == ["sent"]


def test_value_that_came_back_is_sent_again_when_the_other_may_have_arrived(chika, city):
    with receiving(Answer(), Answer(503), Answer()) as receiver:
        disclose(chika, receiver.url)
        correct(chika, "city", "Paris")
        run_due()
        correct(chika, "city", "Lyon")
        Job.objects.filter(state="waiting").update(due_at=timezone.now())
        run_due()

    assert bodies(receiver, 2) == [("customer.updated", {"city": "Lyon"})]


def test_refused_update_is_shown_as_failed_and_can_be_retried(chika, city):
    with receiving(Answer(), Answer(400), Answer()) as receiver:
        disclose(chika, receiver.url)
        remove(chika, "city")
        run_due()
        row = Disclosure.objects.get()
        assert (row.state, row.error, "city" in row.fields) == ("not_updated", "http_400", True)
        retry_deletion_request(row)
        run_due()

    assert state_of(chika) == ["sent"]
    assert bodies(receiver, 2) == [("customer.updated", {"city": None})]


def test_withdrawal_overtakes_an_update_that_waits(chika, city):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        correct(chika, "city", "Paris")
        decides(chika, "withdrawn")
        run_due()

    assert [kind for kind, _ in bodies(receiver, 1)] == ["customer.removed"]
    assert state_of(chika) == ["removed"]


def test_moved_destination_is_asked_to_delete_at_its_old_place(chika, city):
    with receiving() as old, receiving() as new:
        destination = disclose(chika, old.url)
        move(destination, new.url)
        decides(chika, "withdrawn")
        run_due()

    assert [kind for kind, _ in bodies(old)] == ["segment.entered", "customer.removed"]
    assert new.received == [], "it was sent nothing of this customer"
    assert state_of(chika) == ["removed"]


def test_moved_destination_that_was_sent_the_customer_too_deletes_at_both_places(chika, city):
    with receiving() as old, receiving() as new:
        destination = disclose(chika, old.url)
        move(destination, new.url)
        learns(chika, "DE")
        learns(chika, "FR")
        run_due()
        assert sorted(line.place for line in disclosures_of(chika)) == ["127.0.0.1", "127.0.0.1"]
        erase_customer(chika)
        run_due()

    assert bodies(old)[-1][0] == bodies(new)[-1][0] == "customer.deleted"
    assert {(row.state, str(row.match)) for row in Disclosure.objects.all()} == {("removed", "{}")}


def test_correction_reaches_the_old_place_too(chika, city):
    with receiving() as old, receiving() as new:
        destination = disclose(chika, old.url)
        move(destination, new.url)
        correct(chika, "city", "Paris")
        run_due()

    assert bodies(old, 1) == [("customer.updated", {"city": "Paris"})]
    assert new.received == []


def test_another_purpose_keeps_what_was_sent_under_the_old_one(chika, city):
    """The customer said yes to messages only: moving the destination to sharing must not lose them."""
    with receiving() as receiver:
        destination = disclose(chika, receiver.url)
        move(destination, receiver.url, purpose="share")
        with changes(chika, "test") as c:
            c.refresh()
        assert [(line.purpose, line.state) for line in disclosures_of(chika)] == [("message", "sent")]
        decides(chika, "withdrawn")
        run_due()

    assert bodies(receiver)[-1][0] == "customer.removed"
    assert state_of(chika) == ["removed"]


def test_renamed_destination_keeps_the_name_that_it_had(chika, city):
    with receiving() as receiver:
        destination = disclose(chika, receiver.url)
        move(destination, receiver.url, name="Another company")

    assert [line.recipient for line in disclosures_of(chika)] == ["Shop"]
    assert Destination.objects.get().name == "Another company"


def test_replaced_signing_secret_is_used_for_what_was_sent_before(chika, city):
    with receiving() as receiver:
        destination = disclose(chika, receiver.url)
        settings = {"url": receiver.url, "secret": "whsec_" + "QUFB" * 10}
        save_destination(
            "Shop", "webhook", settings, purpose="message", segment_slugs=["french"], destination=destination
        )

    assert destination.versions.count() == 1
    assert Disclosure.objects.get().version.settings["secret"] == "whsec_" + "QUFB" * 10


def test_key_of_another_account_is_another_place(standard_setup):
    def save(key, destination=None):
        settings = {"api_key": key, "list_id": ""}
        return save_destination(
            "News", "klaviyo", settings, purpose="message", segment_slugs=[], destination=destination
        )

    destination = save("pk_one")
    save("pk_two", destination)
    save("pk_one", destination)

    assert [each.settings["api_key"] for each in destination.versions.order_by("id")] == ["pk_one", "pk_two"]
    assert destination.current_version.settings["api_key"] == "pk_one"


def test_mail_tool_is_asked_under_the_old_address_when_the_address_changes(chika, city, partners):
    settings = {"api_key": "k-us21", "list_id": "42", "base_url": partners.at("mailchimp")}
    save_destination("News", "mailchimp", settings, purpose="message", segment_slugs=["french"])
    Attribute.objects.filter(key="email").update(purposes=["serve", "message"])
    with changes(chika, "test") as c:
        c.decide(Decision("message", "given", "test"))
        c.learn([NewFact("email", "old@example.com", "declared", "test"), NewFact("country", "FR", "declared", "test")])
    run_due()
    partners.calls()
    with changes(chika, "test") as c:
        c.learn([NewFact("email", "new@example.com", "declared", "test")])
    run_due()
    (call,) = partners.calls()

    assert (call["method"], call["body"]) == ("PATCH", {"email_address": "new@example.com"})
    assert call["path"].endswith("/members/" + hashlib.md5(b"old@example.com").hexdigest())
    assert Disclosure.objects.get().match["email"] == "new@example.com"


def test_mail_tool_removes_who_has_no_address_any_more(chika, city, partners):
    settings = {"api_key": "k-us21", "list_id": "42", "base_url": partners.at("mailchimp")}
    save_destination("News", "mailchimp", settings, purpose="message", segment_slugs=["french"])
    Attribute.objects.filter(key="email").update(purposes=["serve", "message"])
    with changes(chika, "test") as c:
        c.decide(Decision("message", "given", "test"))
        facts = c.learn(
            [NewFact("email", "a@example.com", "declared", "test"), NewFact("country", "FR", "declared", "test")]
        )
    run_due()
    partners.calls()
    with changes(chika, "test") as c:
        c.retract([fact for fact in facts if fact.attribute == "email"])
    run_due()

    assert partners.calls("mailchimp")[0]["body"]["status"] == "unsubscribed"
    assert state_of(chika) == ["removed"]


class ListOnly(DestinationKind):
    """A plug-in of a third party, as it was written before single fields could change."""

    title, fields, can_remove = "List", (), True

    def __init__(self):
        self.made = []

    def send(self, message, settings):
        self.made.append((message.type, dict(message.traits)))

    def remove(self, request, settings):
        self.made.append((request.type, request.fields))


def test_kind_without_single_fields_removes_and_sends_again(chika, city, monkeypatch):
    kind = ListOnly()
    monkeypatch.setitem(KINDS._all(), "list", kind)
    save_destination("List", "list", {}, purpose="message", segment_slugs=["french"])
    decides(chika, "given")
    learns_city(chika, "Lyon")
    learns(chika, "FR")
    run_due()
    remove(chika, "city")
    run_due()

    assert [name for name, _ in kind.made] == ["segment.entered", "customer.removed", "segment.entered"]
    assert "city" in kind.made[0][1]
    assert "city" not in kind.made[2][1]
    assert state_of(chika) == ["sent"]


def test_kind_that_can_do_neither_is_reported(chika, city, monkeypatch):
    kind = ListOnly()
    kind.can_remove = False
    monkeypatch.setitem(KINDS._all(), "list", kind)
    save_destination("List", "list", {}, purpose="message", segment_slugs=["french"])
    decides(chika, "given")
    learns_city(chika, "Lyon")
    learns(chika, "FR")
    run_due()
    remove(chika, "city")
    run_due()
    row = Disclosure.objects.get()

    assert (row.state, row.error) == ("not_updated", "cannot_update")


def test_merged_customer_carries_their_disclosures_along(chika, make_customer, city):
    with receiving() as receiver:
        disclose(chika, receiver.url)
        dov = make_customer(yes=("message",))
        merge(dov, chika)
        correct(Profile.objects.get(pk=dov.pk), "city", "Paris")
        run_due()

    assert ("customer.updated", {"city": "Paris"}) in bodies(receiver)


def test_many_customers_take_as_many_reads_as_one(chika, make_customer, city, django_assert_max_num_queries):
    profiles = [chika, make_customer(), make_customer()]
    with receiving() as receiver:
        tell(receiver.url)
        for each in profiles:
            decides(each, "given")
            learns(each, "FR")
        run_due()
    with CaptureQueriesContext(connection) as one:
        assert follow_disclosures([chika]) == []
    with django_assert_max_num_queries(len(one)):
        assert follow_disclosures(profiles) == []
