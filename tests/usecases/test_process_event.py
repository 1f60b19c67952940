"""A message becomes an event of a customer: whose it is, which facts it brings, when it happened."""

from __future__ import annotations

import datetime as dt
import itertools
import json

import pytest
from django.utils import timezone

from regulars.base.jobs.run_jobs import run_due
from regulars.base.lake.query import query
from regulars.consent.view import served_user
from regulars.events.event_time import corrected
from regulars.events.models import Event, InboxItem, Source, SourceCount
from regulars.events.own_events import OwnEvent
from regulars.operations.doctor import run_checks
from regulars.profiles.assertions import Place
from regulars.profiles.find import find_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, CrowdedProfile, Fact, Identity, Profile, RefusedGuess
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.browsers import release_crowded
from regulars.usecases.process_event import process_inbox

pytestmark = pytest.mark.django_db
NUMBERS = itertools.count(1)
NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


@pytest.fixture
def send(standard_setup):
    """Put messages into the inbox as the collector does, and let the worker take them."""
    source = Source.objects.create(name="Shop", slug="shop")

    def deliver(*messages: dict, sent_at: str = "") -> list[InboxItem]:
        items = [
            InboxItem.objects.create(
                source=source,
                message_id=message.get("messageId") or f"m-{next(NUMBERS)}",
                type=message["type"],
                body=json.dumps(message),
                sent_at=sent_at,
                received_at=timezone.now(),
            )
            for message in messages
        ]
        while process_inbox():
            pass
        for item in items:
            item.refresh_from_db()
        return items

    return deliver


def viewed(**who: str) -> dict:
    return {"type": "track", "event": "Product Viewed", "properties": {"category": "jackets"}, **who}


def events_of(profile: Profile) -> list[str]:
    return [event.name for event in Event.objects.filter(profile_id=profile.pk).order_by("id")]


def test_a_visitor_is_a_profile_without_an_account(send):
    send(viewed(anonymousId="a-1"), viewed(anonymousId="a-1"))
    visitor = find_by_identity("anonymous", "a-1")

    assert visitor is not None
    assert visitor.account is None
    assert events_of(visitor) == ["Product Viewed", "Product Viewed"]


def test_events_of_a_visitor_become_the_customers(send, chika):
    send(viewed(anonymousId="a-1"))
    visitor = find_by_identity("anonymous", "a-1")
    send({"type": "identify", "anonymousId": "a-1", "userId": chika.user_id, "traits": {}})
    visitor.refresh_from_db()

    assert visitor.merged_into == chika
    assert events_of(chika) == ["Product Viewed", "Identified"]
    assert find_by_identity("anonymous", "a-1") == chika


def test_events_of_a_merged_visitor_move_in_the_lake_too(send, chika, lake):
    send(viewed(anonymousId="a-1"))
    while run_due():
        pass
    Event.objects.update(lake_at=None, lake_batch=None)  # whether or not the gathering pause is over
    from regulars.usecases.lake import fill_lake

    fill_lake({})
    send(viewed(anonymousId="a-1", userId=chika.user_id))
    from regulars.base.jobs.models import Job

    Job.objects.update(due_at=timezone.now())
    while run_due():
        pass

    assert query("SELECT DISTINCT profile_id, count(*) FROM events GROUP BY profile_id") == [(chika.pk, 2)]


def test_a_browser_that_belongs_to_another_customer_changes_nothing_between_them(send, chika):
    send(viewed(anonymousId="a-1", userId=chika.user_id))
    send(viewed(anonymousId="a-1", userId="dov-7"))
    dov = find_by_identity("external", "dov-7")

    assert find_by_identity("anonymous", "a-1") == chika
    assert events_of(chika) == ["Product Viewed"]
    assert events_of(dov) == ["Product Viewed"]


@pytest.mark.parametrize("placeholder", ["null", "undefined", "anonymous", "-1", "00000000-0000"])
def test_placeholder_ids_make_no_customer(send, placeholder):
    (item,) = send(viewed(userId=placeholder))

    assert item.rejected == "nobody"
    assert not Profile.objects.exists()


@pytest.mark.parametrize("missing", ["", " ", None])
def test_message_of_no_id_makes_no_customer(send, missing):
    (item,) = send(viewed(userId=missing))

    assert item.rejected == "no_id"
    assert not Profile.objects.exists()


def test_traits_with_an_attribute_become_facts_with_their_source(send):
    traits = {"firstName": "Chika", "address": {"country": "JP"}, "favourite_colour": "pine"}
    send({"type": "identify", "userId": "c-1", "traits": traits})
    facts = {fact.attribute: fact for fact in Fact.objects.all()}

    assert facts["given_name"].value == "Chika"
    assert (facts["country"].value, facts["country"].source, facts["country"].source_kind) == (
        "JP",
        "app:shop",
        "observed",
    )
    assert facts["continent"].derived_from == [facts["country"].pk]
    assert "favourite_colour" not in facts
    assert Event.objects.get().properties["favourite_colour"] == "pine"


def test_event_changes_segments_at_once(send, chika):
    save_segment("Jackets", 'did("Product Viewed" where category:jackets):>=1', "measure")
    send(viewed(userId=chika.user_id))

    assert Membership.objects.get(profile=chika).state == "in"


def test_the_same_message_twice_happens_once(send, chika):
    message = viewed(userId=chika.user_id)
    first, _ = send(message, message)
    again = Event.objects.get(message_id=first.message_id)
    InboxItem.objects.filter(pk=first.pk).update(processed_at=None)
    process_inbox()

    assert Event.objects.filter(message_id=again.message_id).count() == 1


def test_unforeseen_message_is_kept_with_its_error_and_blocks_no_other(send, chika, monkeypatch):
    from regulars.usecases import process_event

    def unlucky(message, type_):
        raise ZeroDivisionError

    monkeypatch.setitem(process_event.NAMES, "page", "Page Viewed")
    monkeypatch.setattr(process_event, "properties_of", unlucky)
    (item,) = send(viewed(userId=chika.user_id))
    monkeypatch.undo()
    send(viewed(userId=chika.user_id))

    assert item.rejected == "failed:ZeroDivisionError"
    assert events_of(chika) == ["Product Viewed"]


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "happened"),
    [
        ("2026-11-24T11:00:00Z", "2026-11-24T11:00:10Z", NOON - dt.timedelta(seconds=10)),
        ("2026-11-24T11:00:00", "", NOON - dt.timedelta(hours=1)),
        ("2030-01-01T00:00:00Z", "", NOON),
        ("1969-01-01T00:00:00Z", "", NOON),
        ("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", NOON),
        ("yesterday", "", NOON),
        (None, "", NOON),
        (17, "x", NOON),
    ],
)
def test_only_differences_of_the_senders_clock_are_believed(timestamp, sent_at, happened):
    assert corrected(timestamp, sent_at, NOON) == happened


def test_public_write_key_verifies_nothing_and_writes_no_app_metadata(send, chika):
    Attribute.objects.create(key="role", label="Role", purposes=["serve"], metadata_path="app_metadata.role")
    traits = {
        "email": "ana@shop.example",
        "email_verified": True,
        "phone_verified": True,
        "username": "ana",
        "role": "admin",
    }
    send({"type": "identify", "userId": chika.user_id, "traits": traits})
    chika.refresh_from_db()

    for user in (chika.document, served_user(chika, Place.TOKEN)):
        assert not {"email", "email_verified", "phone_verified", "username", "app_metadata"} & user.keys()
    assert {(each.attribute, each.why) for each in RefusedGuess.objects.all()} == {
        *((key, "not_theirs_to_write") for key in ("email_verified", "phone_verified", "username", "role")),
        ("email", "of_known_customer"),
    }


def test_an_address_that_an_event_brings_replaces_no_address_of_a_provider(send, chika):
    proved = [
        NewFact("email", "chika@example.com", "social", "twitter"),
        NewFact("email_verified", True, "verified", "twitter"),
    ]
    learn(chika, proved)
    send({"type": "identify", "userId": chika.user_id, "traits": {"email": "ana@shop.example"}})
    chika.refresh_from_db()

    served = served_user(chika, Place.TOKEN)
    assert (chika.document["email"], chika.document["email_verified"]) == ("chika@example.com", True)
    assert (served["email"], served["email_verified"]) == ("chika@example.com", True)


@pytest.mark.parametrize(
    "odd",
    [
        {"userId": "dov\x00"},
        {"anonymousId": "a-\x00"},
        {"userId": "dov", "traits": {"ci\x00ty": "Porto"}},
        {"userId": "dov", "traits": {"city": "\ud83d"}},
        {"userId": "dov", "traits": {"city": float("inf"), "x": float("nan")}},
        {"userId": "dov", "context": {"screen": {"density": float("-inf")}}},
    ],
    ids=["id", "visitor", "trait", "half-emoji", "endless", "context"],
)
def test_unstorable_message_blocks_no_other(send, odd):
    (item, after) = send({"type": "identify", **odd}, viewed(userId="fay"))

    assert item.processed_at
    assert not item.rejected
    assert after.processed_at


@pytest.mark.parametrize(
    "placeholder", ["[object Object]", "None", "NaN", "nil", "(null)", "true", "FALSE", "Guest", '"unknown"']
)
def test_placeholder_joins_no_browsers_and_the_event_stays_with_its_browser(send, placeholder):
    send(*(viewed(anonymousId=browser, userId=placeholder) for browser in ("b-1", "b-2")))
    one, other = find_by_identity("anonymous", "b-1"), find_by_identity("anonymous", "b-2")

    assert one != other
    assert [event.marks for event in Event.objects.all()] == [["user_id_placeholder"]] * 2


@pytest.mark.parametrize("name", ["userId", "anonymousId", "previousId"])
@pytest.mark.parametrize("placeholder", [True, 0, "undefined", "{{user.id}}", "00000000-0000-0000-0000-000000000000"])
def test_message_from_a_placeholder_is_set_aside_by_name(send, name, placeholder):
    (item,) = send(viewed(**{name: placeholder}))

    assert item.rejected == "nobody"
    assert not Profile.objects.exists()
    assert SourceCount.objects.get(reason="nobody").count == 1


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "group", "userId": "dov-1", "groupId": "null"}, "nobody"),
        ({"type": "group", "userId": "dov-1", "groupId": "g" * 300}, "id_too_long"),
        ({"type": "alias", "userId": "dov-1", "previousId": "undefined"}, "nobody"),
        ({"type": "alias", "userId": "guest", "previousId": "b-1"}, "nobody"),
        ({"type": "track", "event": "X", "userId": "u" * 300}, "id_too_long"),
    ],
)
def test_call_about_a_placeholder_is_set_aside(send, message, reason):
    (item,) = send(message)

    assert item.rejected == reason
    assert not Event.objects.exists()


def test_number_with_a_zero_fraction_is_the_whole_number(send):
    send(viewed(userId=123.0), viewed(userId="123"), viewed(userId="123.0"), viewed(userId=123))

    assert events_of(find_by_identity("external", "123")) == ["Product Viewed"] * 4


def test_id_as_long_as_an_id_may_be_fits_every_database(send):
    (item,) = send(viewed(userId="u" * 245, anonymousId="a" * 245))

    assert not item.rejected
    assert find_by_identity("anonymous", "a" * 245) == find_by_identity("external", "u" * 245)


def test_alias_of_a_mobile_sdk_brings_both_of_its_ids(send):
    send(viewed(anonymousId="a-old"), viewed(anonymousId="a-new"))
    send({"type": "alias", "userId": "dov-1", "previousId": "a-old", "anonymousId": "a-new"})
    dov = find_by_identity("external", "dov-1")

    assert find_by_identity("anonymous", "a-old") == find_by_identity("anonymous", "a-new") == dov
    assert events_of(dov) == ["Product Viewed", "Product Viewed", "Alias Given"]


def test_alias_from_one_known_customer_to_another_joins_nothing_and_says_so(send, chika):
    send(viewed(userId="dov-1"))
    (item, also) = send(
        {"type": "alias", "userId": "dov-1", "previousId": chika.user_id},
        {"type": "alias", "userId": chika.user_id, "previousId": "dov-1"},
    )
    chika.refresh_from_db()

    assert (item.rejected, also.rejected) == ("", "")
    assert chika.merged_into is None
    assert find_by_identity("external", "dov-1") != chika
    assert not chika.identities.filter(provider="anonymous").exists()
    assert [event.marks for event in Event.objects.filter(type="alias")] == [["id_of_known_customer"]] * 2


def test_traits_of_a_group_are_not_facts_of_the_customer(send):
    """Sent to `/v1/group`, a message needs no type of its own."""
    source = Source.objects.get()
    body = json.dumps({"userId": "dov-1", "groupId": "acme", "traits": {"email": "office@acme.example"}})
    InboxItem.objects.create(source=source, message_id="g-1", type="group", body=body, received_at=timezone.now())
    process_inbox()

    assert not Fact.objects.filter(attribute="email").exists()
    assert Event.objects.get().properties == {"groupId": "acme", "email": "office@acme.example"}


def test_identifier_that_suddenly_gathers_browsers_is_reported_and_joins_no_more(send, settings, caplog):
    settings.BROWSERS_PER_DAY = 5
    for number in range(8):
        send(viewed(anonymousId=f"b-{number}"), viewed(anonymousId=f"b-{number}", userId="shared"))
    shared = find_by_identity("external", "shared")
    joined = [number for number in range(8) if find_by_identity("anonymous", f"b-{number}") == shared]

    assert joined == [0, 1, 2, 3, 4]
    assert shared.crowd.browsers == 8
    assert SourceCount.objects.get(reason="too_many_browsers").count == 3
    assert "external|shared gathered 5 browsers within a day" in caplog.text
    assert Event.objects.filter(profile_id=shared.pk, marks=["too_many_browsers"]).count() == 3


def test_first_messages_of_many_browsers_are_a_crowd_too(send, settings):
    settings.BROWSERS_PER_DAY = 5
    send(*(viewed(anonymousId=f"b-{number}", userId="shared") for number in range(8)))

    assert Identity.objects.filter(provider="anonymous").count() == 5


def test_released_customer_gathers_browsers_again(send, settings):
    settings.BROWSERS_PER_DAY = 2
    send(*(viewed(anonymousId=f"b-{number}", userId="kiosk") for number in range(4)))
    release_crowded(CrowdedProfile.objects.get().pk)
    send(viewed(anonymousId="b-9", userId="kiosk"))

    assert find_by_identity("anonymous", "b-9") == find_by_identity("external", "kiosk")


def test_ids_that_a_server_invents_stay_on_their_events(send, settings):
    """RudderStack's Go SDK sends a new anonymous id with every message that has none."""
    settings.BROWSERS_PER_DAY = 3
    context = {"library": {"name": "analytics-go", "version": "1.0.0"}}
    send(*(viewed(anonymousId=f"u-{number}", userId="dov-1", context=context) for number in range(30)))
    dov = find_by_identity("external", "dov-1")

    assert dov.identities.count() == 1
    assert not CrowdedProfile.objects.exists()
    assert [event.message["anonymousId"] for event in Event.objects.order_by("id")] == [f"u-{n}" for n in range(30)]


def test_anonymous_id_that_repeats_the_user_id_is_no_browser(send):
    """Other versions of that SDK send the user id twice."""
    send(viewed(anonymousId="dov-1", userId="dov-1"))

    assert not Identity.objects.filter(provider="anonymous").exists()


def test_browser_that_a_server_names_is_joined_once_it_has_been_seen_itself(send):
    send(viewed(anonymousId="b-1", userId="dov-1", channel="server"))
    send(viewed(anonymousId="b-1"), viewed(anonymousId="b-1", userId="dov-1", channel="server"))

    assert find_by_identity("anonymous", "b-1") == find_by_identity("external", "dov-1")


def test_browsers_seen_once_are_bounded_and_those_seen_again_stay(send, settings, monkeypatch):
    settings.BROWSERS_PER_DAY = 0
    monkeypatch.setattr("regulars.usecases.browsers.MOST_SEEN_ONCE", 5)
    send(viewed(anonymousId="faithful", userId="dov-1"))
    Identity.objects.filter(provider="anonymous").update(
        first_seen_at=timezone.now() - dt.timedelta(days=9), last_seen_at=timezone.now() - dt.timedelta(days=8)
    )
    send(*(viewed(anonymousId=f"b-{number}", userId="dov-1") for number in range(12)))
    kept = Identity.objects.filter(provider="anonymous").order_by("pk").values_list("provider_user_id", flat=True)
    dov = find_by_identity("external", "dov-1")

    assert list(kept) == ["faithful", *(f"b-{number}" for number in range(7, 12))]
    assert len(dov.document["identities"]) == 7
    assert len(events_of(dov)) == 13


def test_browser_seen_again_counts_as_such(send):
    send(viewed(anonymousId="b-1", userId="dov-1"))
    browser = Identity.objects.get(provider="anonymous")
    Identity.objects.update(
        first_seen_at=browser.first_seen_at - dt.timedelta(minutes=5),
        last_seen_at=browser.last_seen_at - dt.timedelta(minutes=5),
    )
    send(viewed(anonymousId="b-1", userId="dov-1"))
    browser.refresh_from_db()

    assert browser.last_seen_at - browser.first_seen_at > dt.timedelta(minutes=4)


@pytest.mark.parametrize(
    ("times", "at", "marks"),
    [
        ({"timestamp": 1795514400}, NOON - dt.timedelta(hours=2), []),
        ({"timestamp": "1795514400000"}, NOON - dt.timedelta(hours=2), []),
        ({"timestamp": "Tue, 24 Nov 2026 10:00:00 GMT"}, NOON - dt.timedelta(hours=2), []),
        (
            {"originalTimestamp": "2026-11-24T10:00:00.123456789Z"},
            NOON - dt.timedelta(hours=2, microseconds=-123456),
            [],
        ),
        (
            {"timestamp": "soon", "originalTimestamp": "2026-11-24T10:00:00Z"},
            NOON - dt.timedelta(hours=2),
            ["timestamp_unreadable"],
        ),
        ({"timestamp": "2026-11-24T10:00:00Z", "sentAt": 1795514460}, NOON - dt.timedelta(minutes=1), []),
        (
            {"timestamp": "2026-11-24T10:00:00Z", "sentAt": "later"},
            NOON - dt.timedelta(hours=2),
            ["sent_at_unreadable"],
        ),
        ({"timestamp": "yesterday"}, NOON, ["timestamp_unreadable"]),
        ({"timestamp": {"$date": 1}}, NOON, ["timestamp_unreadable"]),
        ({"originalTimestamp": "0001-01-01T00:00:00Z"}, NOON, ["timestamp_before_1970"]),
        ({"timestamp": "2030-01-01T00:00:00Z"}, NOON, ["timestamp_in_future"]),
        ({"timestamp": "2026-11-24T12:00:03Z"}, NOON, []),
        ({"timestamp": None, "sentAt": ""}, NOON, []),
    ],
)
def test_times_are_read_however_they_are_written_and_marked_when_not(standard_setup, times, at, marks):
    source = Source.objects.create(name="Shop", slug="shop")
    body = json.dumps({**viewed(userId="dov-1"), **times})
    InboxItem.objects.create(source=source, message_id="t-1", type="track", body=body, received_at=NOON)
    process_inbox()
    event = Event.objects.get()

    assert (event.at, event.marks) == (at, marks)
    assert [each.reason for each in SourceCount.objects.all()] == marks


def test_message_that_an_older_version_took_in_too_deep_is_set_aside_by_name(send):
    source = Source.objects.get()
    body = '{"type":"track","event":"X","userId":"u","properties":' + '{"a":' * 500 + "1" + "}" * 501
    item = InboxItem.objects.create(
        source=source, message_id="d-1", type="track", body=body, received_at=timezone.now()
    )
    process_inbox()
    item.refresh_from_db()

    assert item.rejected == "too_deep"
    assert all(check.passed for check in run_checks() if check.message.startswith("inbox"))


@pytest.mark.parametrize("name", OwnEvent)
@pytest.mark.parametrize(
    "spelt", [str, str.upper, lambda name: f"  {name.replace(' ', '  ')} ", lambda name: name.replace("i", "і")]
)
def test_no_collector_writes_the_history_that_regulars_records(send, name, spelt):
    (item,) = send({"type": "track", "event": spelt(name), "userId": "dov-1"})

    assert item.rejected == "name_is_ours"
    assert not Event.objects.exists()


def test_huge_number_is_kept_and_compared(send, chika):
    save_segment("Large", 'did("Order Completed" where total:[50 TO *]):>=1', "measure")
    send({"type": "track", "event": "Order Completed", "userId": chika.user_id, "properties": {"total": 10**400}})

    assert Event.objects.get().properties == {"total": 10**400}
    assert Membership.objects.get(profile=chika).state == "in"
