"""One event, or one sign-in, of a customer who did a lot reads no more of their events than conditions look at."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.base.conditions.strategies import NOW, conditions, individuals

from regulars.base import clock
from regulars.base.conditions import EventSeen, NeededEvents, Person, event_terms, holds, needed_events, parse
from regulars.events import read
from regulars.events.models import Event, InboxItem, Source
from regulars.events.own_events import OwnEvent
from regulars.events.record import new_event, record_all
from regulars.profiles.models import Profile
from regulars.questions.customer_context import CustomerContext
from regulars.segments.evaluate import matching_now
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.process_event import process_inbox
from regulars.usecases.unit_of_work import changes

LOOKED, BOUGHT, MANY = "Product Viewed", "Order Completed", 500
# What is read at most of each: a window of ten days has 240 events, one an hour.
SEGMENTS = {
    'did("Product Viewed" in 90d):>=3': 4,
    'did("Order Completed")': 2,
    'NOT did("Order Completed" in 400d)': 2,
    'did(last of "Order Completed"):<=30': 1,
    'did(first of "Product Viewed"):>=3': 1,
    'did("Product Viewed" where category:jackets in 10d)': 241,
}


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(individuals(), st.lists(conditions(), min_size=1, max_size=3))
def test_needed_events_decide_as_all_events_do(person, together):
    events: dict[str, list[EventSeen]] = {}
    for name, at, properties in sorted(person.events, key=lambda each: each[1]):
        events.setdefault(name, []).append(EventSeen(at, event_terms(properties)))
    needed = needed_events(together, NOW)
    few = {name: chosen(found, needed[name]) for name, found in events.items() if name in needed}

    for condition in together:
        by_few = holds(condition, Person({}, lambda name: few.get(name, [])), NOW)
        assert by_few == holds(condition, Person({}, lambda name: events.get(name, [])), NOW)


def chosen(events: list[EventSeen], need: NeededEvents) -> list[EventSeen]:
    """Return what `read_needed` reads of the events of one name, which are in the order of time."""
    places = {place for place, event in enumerate(events) if need.since is not None and event.at >= need.since}
    places |= {len(events) - 1 - place for place in range(min(need.newest, len(events)))}
    places |= {0} if need.oldest else set()
    return [events[place] for place in sorted(places)]


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ('did("X"):>5000', NeededEvents(since=dt.datetime.min.replace(tzinfo=dt.UTC))),
        ('did("X"):>=-3', NeededEvents(newest=1)),
        ('did("X") OR did("X" in 5d):>7', NeededEvents(newest=8)),
        ('did("X" where a:b in 5d) OR did("X" where a:c in 9d)', NeededEvents(since=NOW - dt.timedelta(days=9))),
        ('did(days of "X" in 5d):>=2', NeededEvents(since=NOW - dt.timedelta(days=5))),
    ],
)
def test_conditions_of_one_name_are_read_together(text, needed):
    assert needed_events([parse(text)], NOW) == {"X": needed}


@pytest.fixture
def loyal(chika) -> Profile:
    """Chika, who looked and bought every hour of the last weeks."""
    now = clock.now()
    record_all(
        new_event(chika.pk, name, {"category": "jackets"}, at=now - dt.timedelta(hours=number))
        for number in range(MANY)
        for name in (LOOKED, BOUGHT)
    )
    return chika


@pytest.fixture
def rows(monkeypatch) -> list[int]:
    """How many events were read at once, each time."""
    read_at_once: list[int] = []
    real = Event.from_db.__func__

    def counted(cls, *args):
        read_at_once.append(1)
        return real(cls, *args)

    monkeypatch.setattr(Event, "from_db", classmethod(counted))
    return read_at_once


@pytest.mark.django_db
@pytest.mark.parametrize("text", SEGMENTS)
def test_one_event_or_sign_in_reads_what_the_window_needs(loyal, rows, text):
    save_segment("Loyal", text, "measure")
    source = Source.objects.create(name="Shop", slug="shop")
    message = {"type": "track", "event": LOOKED, "userId": loyal.user_id, "properties": {}}
    InboxItem.objects.create(
        source=source, message_id="m", type="track", body=json.dumps(message), received_at=clock.now()
    )
    rows.clear()

    assert process_inbox() == 1
    assert Event.objects.filter(message_id="m", profile_id=loyal.pk).exists()
    assert len(rows) <= SEGMENTS[text] + 1
    rows.clear()
    with changes(loyal, "login") as c:
        c.record_event(OwnEvent.SIGNED_IN, {})
    assert len(rows) <= SEGMENTS[text] + 1

    [row] = Membership.objects.filter(profile=loyal) or [None]
    is_in = text not in ('NOT did("Order Completed" in 400d)',)
    assert (row is not None and row.state == "in") == is_in
    rows.clear()
    assert matching_now(parse(text), "measure", [loyal.pk]) == ({loyal.pk} if is_in else set())
    assert len(rows) <= SEGMENTS[text] + 1


@pytest.mark.django_db
def test_questions_read_what_their_audiences_need(loyal, rows):
    customer = CustomerContext.load(loyal)
    data = customer.usable_data([parse('did("Order Completed"):>=3')])

    assert len(data.events(BOUGHT)) == len(rows) == 4
    assert len(customer.usable_data([parse('did("Product Viewed")')]).events(BOUGHT)) == 4


@pytest.mark.django_db
def test_many_customers_are_read_by_few_statements(loyal, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(read, "READ_TOGETHER", 10)
    needed = {LOOKED: NeededEvents(newest=2), BOUGHT: NeededEvents(since=clock.now() - dt.timedelta(hours=3))}

    with django_assert_num_queries(4):
        found = read.read_needed([*range(1_000_000, 1_000_019), loyal.pk], needed)

    assert {key: len(events) for key, events in found.items()} == {(loyal.pk, LOOKED): 2, (loyal.pk, BOUGHT): 3}
