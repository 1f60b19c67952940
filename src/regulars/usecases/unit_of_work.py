"""The unit of work: every change to customers, and what follows from it once, in the same transaction.

    with changes(profile, "question") as c:
        consent = c.decide(Decision("personalise", "given", "question"))
        c.learn([NewFact("gender", "female", "declared", source, consents=[consent.pk])])
        c.record_event(OwnEvent.QUESTION_ANSWERED, {"question": "gender"})

At the end, for all profiles of the unit together: facts → permitted views → every segment once → memberships →
deliveries and deletion requests → lake. No other module calls these steps (a contract in pyproject.toml and
tests/test_architecture.py), so no caller of `learn`, `record_event` or `decide` has to remember them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Unpack

from django.db import transaction
from django.db.models import QuerySet

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import NotFound
from regulars.base.jobs.tasks import enqueue
from regulars.consent.arrived_contacts import is_own_refusal, refusals_due, refused_themselves, restrict_arrived
from regulars.consent.journal import JournalDraft, new_entry
from regulars.consent.models import ConsentEvent, JournalEntry
from regulars.consent.record import Decision, append_copies
from regulars.consent.record import record_all as record_decisions
from regulars.consent.record import repeat_all as repeat_decisions
from regulars.consent.refresh import refresh_all_views
from regulars.consent.view import has_outdated_views
from regulars.destinations.follow import follow_disclosures
from regulars.destinations.manual_requests import follow_rule_calls
from regulars.destinations.queue import MembershipChange, queue_changes
from regulars.events.models import Event
from regulars.events.own_events import OwnEvent
from regulars.events.record import EventDetails, append, new_event
from regulars.events.record import record_all as record_events
from regulars.oauth.sessions import forget_rule_claims
from regulars.profiles.assertions import PROOFS
from regulars.profiles.contacts import typed_before
from regulars.profiles.document import rebuild_all
from regulars.profiles.learn import NewFact, conclude_again, learn_all, retract
from regulars.profiles.models import Fact, Profile
from regulars.profiles.row_locks import copy_columns, holding
from regulars.segments.evaluate import Change, evaluate_all, evaluate_segment
from regulars.segments.models import Membership, Segment

from .clear_closed import queue_clearing
from .decision_evidence import with_evidence
from .lake import queue_lake_fill

Who = Profile | int
SPREAD = "consent.same_person"  # the job of `usecases.same_person`
SPREAD_AT_ONCE = 20
PORTION = 500  # profiles whose deliveries are queued together after a segment was evaluated for every customer


class _Unit:
    """The state of one unit: locked rows by id, and the ids for which something has to follow."""

    def __init__(self) -> None:
        self.rows: dict[int, Profile] = {}
        self.changed: set[int] = set()  # facts or consents changed: views, segments, deletion requests
        self.stale_views: set[int] = set()  # of these, the views are not refreshed yet
        self.stale_documents: set[int] = set()  # of these, the document is out of date too
        self.happened: set[int] = set()  # an event was recorded: segments
        self.closed: set[int] = set()  # a view lost an attribute: raw stores are cleared of it
        self.to_spread: set[int] = set()  # customers whose refusals may hold for other profiles of theirs too
        self.lake_is_behind = False
        self.first_of: dict[int, int] = {}  # consent of this unit → the one that it repeats: facts name that
        self.journal = JournalDraft()
        self.is_journalled = False

    def lock(self, who: Iterable[Who]) -> set[int]:
        """Lock rows in ascending order of their ids. Returns ids of merge targets that have to be locked as well.

        The caller's own objects are brought up to date, and are those that the unit works with.
        """
        given = {each.pk: each for each in who if isinstance(each, Profile)}
        ids = {_id(each) for each in who} | {each.merged_into_id for each in given.values() if each.merged_into_id}
        rows: Iterable[Profile] = ()
        if len(missing := ids - self.rows.keys()) == 1:
            rows = _one.all(id=min(missing))
        elif missing:
            rows = _locked().filter(pk__in=missing).order_by("pk")
        for row in rows:
            if getattr(row, _OUTDATED):
                self.mark_changed({row.pk})
            mine = self.rows[row.pk] = given.get(row.pk, row)
            copy_columns(row, mine)
        targets = {row.merged_into_id for row in self.rows.values() if row.merged_into_id}
        return targets - self.rows.keys()

    def find(self, who: Who) -> Profile:
        """The customer that this profile is by now. Raises `NotFound("customer_erased")`."""
        row = self.rows.get(_id(who))
        if row is None:
            raise NotFound("customer_erased", "This customer was erased.")
        return self.find(row.merged_into_id) if row.merged_into_id else row

    def mark_changed(self, profile_ids: set[int]) -> None:
        self.changed |= profile_ids
        self.stale_views |= profile_ids

    def refresh_views(self) -> None:
        if stale := self._customers(self.stale_documents):
            rebuild_all(stale)
        if stale := self._customers(self.stale_views):
            rows, too_young = refresh_all_views(stale)
            self.journal.decisions += too_young
            self.lake_is_behind |= bool(rows)
            self.closed |= {row.profile_id for row in rows if row.has_lost}
            if ended := [row.profile_id for row in rows if row.ends_rule_claims]:
                forget_rule_claims(ended)
        self.stale_documents, self.stale_views = set(), set()

    def follow(self) -> None:
        """Carry out what follows from everything that was written."""
        self.refresh_views()
        if not self.is_journalled:
            self.journal.save()
        if self.lake_is_behind or self.happened:
            queue_lake_fill()
        affected = self._customers(self.changed | self.happened)
        _queue_deliveries(affected, evaluate_all(affected))
        queue_clearing(self.closed)
        if self.to_spread:
            self._queue_spread()
        if changed := self._customers(self.changed):
            follow_disclosures(changed)
            if self.journal.decisions or self.closed:  # only these close a purpose
                follow_rule_calls(changed)

    def _queue_spread(self) -> None:
        """Queue `usecases.same_person` for customers with anything to carry on: mostly one read, of few profiles."""
        customers = self._customers(self.to_spread)
        due = {each.pk for each in customers if each.restricted_at} | refused_themselves(customers)
        ids = sorted(due)
        for start in range(0, len(ids), SPREAD_AT_ONCE):
            enqueue(SPREAD, {"profiles": ids[start : start + SPREAD_AT_ONCE]})

    def _customers(self, profile_ids: set[int]) -> list[Profile]:
        """The locked rows of these ids in ascending order. Merged profiles have no views and no memberships."""
        return [self.rows[pk] for pk in sorted(profile_ids) if not self.rows[pk].merged_into_id]


class Changes:
    """What may be written in a unit. `of` names one of several profiles; left out, it is the first that was given."""

    def __init__(self, unit: _Unit, who: Sequence[Who], reason: str) -> None:
        self._unit = unit
        self._who = who
        self.reason = reason

    @property
    def profile(self) -> Profile:
        """The customer, locked: of a profile that was merged meanwhile, the one it was merged into."""
        return self._unit.find(self._who[0])

    @property
    def profiles(self) -> list[Profile]:
        """All customers of this unit that still exist, each once, in the order given."""
        found = (self._unit.find(each) for each in self._who if _id(each) in self._unit.rows)
        return list({each.pk: each for each in found}.values())

    def find(self, who: Who) -> Profile:
        """The locked customer that this profile of the unit is by now. Raises `NotFound("customer_erased")`."""
        return self._unit.find(who)

    def locked(self, who: Who) -> Profile | None:
        """The locked row itself, even of a profile that was merged into another; None when it was erased."""
        return self._unit.rows.get(_id(who))

    def learn(self, facts: Iterable[NewFact], of: Who | None = None) -> list[Fact]:
        """Append the facts that bring something new. Returns what was written, conclusions included."""
        return self.learn_all([(self._find(of), list(facts))])

    def learn_all(self, facts: Sequence[tuple[Profile, list[NewFact]]]) -> list[Fact]:
        """Append facts of many customers in as many queries as for one. What is only confirmed is not returned."""
        found = [(self.find(profile), news) for profile, news in facts]
        learned = learn_all(found, self._unit.first_of)
        self._unit.mark_changed({fact.profile_id for fact in learned.written + learned.confirmed})
        self._unit.journal.written += learned.written
        came = {fact.profile_id for fact in learned.written if fact.contact}
        proved = {fact.profile_id for fact in learned.written if fact.attribute in PROOFS and fact.value is True}
        if came or proved:
            self.decide_all(refusals_due([self.find(each) for each in sorted(came | proved)]))
            for restriction in restrict_arrived(learned.written + typed_before(proved), self._unit.rows):
                self.note(JournalEntry.Kind.RESTRICTED, restriction.said(), of=restriction.profile)
                self.refresh(restriction.profile)
        self._unit.to_spread |= came | proved
        return learned.written

    def retract(self, facts: Sequence[Fact], why: str = "", of: Who | None = None) -> None:
        """Mark facts of one customer, and their conclusions, as retracted: `why` is the reason of the unit if left out."""
        if facts:
            profile = self._find(of)
            retract(profile, facts, why or self.reason)
            self._unit.journal.retracted += [(fact, why or self.reason) for fact in facts]
            self._unit.mark_changed({profile.pk})

    def decide(self, decision: Decision, of: Who | None = None) -> ConsentEvent:
        """Append one decision to the customer's consent ledger."""
        return self.decide_all([(self._find(of), [decision])])[0]

    def decide_all(self, decisions: Sequence[tuple[Profile, list[Decision]]]) -> list[ConsentEvent]:
        """Append decisions of many customers in as many queries as for one."""
        found = [(self.find(profile), with_evidence(each)) for profile, each in decisions if each]
        self._unit.mark_changed({profile.pk for profile, _ in found})
        if not found:
            return []
        self._unit.to_spread |= {profile.pk for profile, listed in found if any(map(is_own_refusal, listed))}
        recorded = record_decisions(found)
        self._unit.first_of |= recorded.first_of
        self._unit.journal.decisions += recorded.events
        return recorded.events

    def copy_decisions(self, events: Iterable[ConsentEvent], to: Profile) -> None:
        """Append decisions of one customer's ledger to another's, each exactly as it was made."""
        self._unit.journal.decisions += append_copies(self.find(to), events).events
        self._unit.mark_changed({self.find(to).pk})

    def note(self, kind: JournalEntry.Kind, body: dict[str, Any], of: Who | None = None) -> None:
        """Write into the journal what a restored backup has to repeat, beside decisions and facts."""
        self._unit.journal.others.append(new_entry(kind, self._find(of).pk, body))

    def repeat_all(self, decisions: Sequence[ConsentEvent]) -> None:
        """Append decisions exactly as they were made once."""
        self._unit.mark_changed({event.profile_id for event in decisions})
        repeat_decisions(decisions)

    def record_event(
        self,
        name: OwnEvent,
        properties: dict[str, Any] | None = None,
        of: Who | None = None,
        **details: Unpack[EventDetails],
    ) -> Event:
        """Append one event of our own. A message id that is stored already adds nothing. The returned object has no id yet."""
        return self.record_message(name, properties, of, **details)

    def record_message(
        self,
        name: str,
        properties: dict[str, Any] | None = None,
        of: Who | None = None,
        **details: Unpack[EventDetails],
    ) -> Event:
        """Append an event that a source sent, as `record_event` does. Its name is not one of ours."""
        event = new_event(self._find(of).pk, name, properties, **details)
        append(event)
        self._unit.happened.add(event.profile_id)
        return event

    def record_events(self, events: Iterable[Event]) -> None:
        """Append many events of the unit's customers, made by `events.record.new_event`."""
        events = list(events)
        record_events(events)
        self._unit.happened |= {event.profile_id for event in events}

    def conclude_again(self) -> None:
        """Write what follows from the facts of all customers of this unit today, and recompute everything of them."""
        conclude_again(self.profiles)
        for profile in self.profiles:
            self.refresh(profile)

    def spread_earlier(self, of: Who | None = None) -> None:
        """Carry on what a customer refused before, after an address of theirs was proved or came: it holds for all who hold it."""
        self._unit.to_spread.add(self._find(of).pk)

    def has_spread(self) -> None:
        """Say that what the customer refused was carried on in this unit."""
        self._unit.to_spread.discard(self.profile.pk)

    def refresh(self, of: Who | None = None) -> None:
        """Recompute everything of a customer at the end: facts moved, ran out or were deleted, or a purpose changed."""
        profile = self._find(of)
        self._unit.mark_changed({profile.pk})
        self._unit.stale_documents.add(profile.pk)

    def refresh_views(self) -> None:
        """Bring documents and views up to date now, for code in this unit that reads them; the rest follows at the end."""
        self._unit.refresh_views()

    def repeats_journal(self) -> None:
        """Say that what this unit writes comes out of the journal, which has it already."""
        self._unit.is_journalled = True

    def include(self, profile: Profile) -> None:
        """Lock one more profile, for example one that was just created."""
        missing = self._unit.lock([profile])
        while missing:
            missing = self._unit.lock(missing)

    def _find(self, of: Who | None) -> Profile:
        return self.profile if of is None else self.find(of)


_current: ContextVar[_Unit | None] = ContextVar("unit_of_work", default=None)


@contextmanager
def changes(who: Who | Iterable[Who], reason: str) -> Iterator[Changes]:
    """Change one customer or many in one transaction; everything that follows happens once, at the end.

    `who` are profiles or their ids. `reason` is written on facts that are retracted. The rows are locked in ascending
    order of ids, and `merged_into` is read again under the lock: what is written reaches the customer that a profile is
    by then. Raises `NotFound("customer_erased")` when the one customer was erased; of many, those are left out.

    A unit within a unit that shares a profile joins it: what follows then happens at the end of the outer one. Name all
    profiles at the outermost unit where you can: rows that join later are locked out of order.
    """
    given: list[Who] = [who] if isinstance(who, Profile | int) else list(who)
    outer = _current.get()
    if outer is not None and any(_id(each) in outer.rows for each in given):
        with _joined(outer, given, reason) as joined:
            yield joined
        return
    merged: set[int] = set()
    while True:
        with transaction.atomic():
            unit = _Unit()
            missing = unit.lock([*given, *merged])
            if not missing:
                if isinstance(who, Profile | int):
                    unit.find(who)
                with holding(unit.rows):
                    token = _current.set(unit)
                    try:
                        yield Changes(unit, given, reason)
                    finally:
                        _current.reset(token)
                    unit.follow()
                return
            # Merged between the caller's reading and the lock: give the locks back, so that the order stays ascending.
            transaction.set_rollback(True)
        merged |= missing


@contextmanager
def _joined(unit: _Unit, given: list[Who], reason: str) -> Iterator[Changes]:
    before = set(unit.changed), set(unit.happened)
    journal = unit.journal.copy()
    try:
        with transaction.atomic():
            joined = Changes(unit, given, reason)
            missing = unit.lock(given)
            while missing:
                missing = unit.lock(missing)
            yield joined
    except BaseException:
        unit.changed, unit.happened = before
        unit.journal = journal
        unit.stale_views |= unit.changed  # they may have been refreshed by what is rolled back now
        raise
    for each in given:
        if isinstance(each, Profile) and (row := unit.rows.get(each.pk)) is not None and row is not each:
            copy_columns(row, each)


def evaluate_for_every_customer(segment: Segment, *, deliver_entered: bool) -> int:
    """Evaluate one segment for every customer. Returns how many customers moved.

    Destinations are always notified of those who left: they may have closed its purpose. Of those who entered if `deliver_entered`.
    """
    moved = evaluate_segment(segment)
    news = [change for change in moved if deliver_entered or change.was == Membership.State.IN]
    for start in range(0, len(news), PORTION):
        portion = news[start : start + PORTION]
        profiles = Profile.objects.filter(id__in=[change.profile_id for change in portion])
        _queue_deliveries(list(profiles.order_by("id")), portion)
    return len(moved)


def _queue_deliveries(profiles: Iterable[Profile], changed: Iterable[Change]) -> None:
    """Only entering and leaving is delivered: between unknown and out nothing changes for a destination."""
    news: dict[int, list[MembershipChange]] = {}
    for each in changed:
        if Membership.State.IN in (each.was, each.now):
            entered = each.now == Membership.State.IN
            change = MembershipChange(each.segment_slug, each.segment_name, entered=entered, at=each.at)
            news.setdefault(each.profile_id, []).append(change)
    for profile in profiles:
        if profile.pk in news:
            queue_changes(profile, news[profile.pk])


def _id(who: Who) -> int:
    return who if isinstance(who, int) else who.pk


# A purpose was widened, and its walk has not come to them: an event alone would move them through segments by old views.
_OUTDATED = "views_are_outdated"


def _locked() -> QuerySet[Profile]:
    return Profile.objects.select_for_update().annotate(**{_OUTDATED: has_outdated_views()})


_one = CompiledQuery(lambda: _locked().filter(pk=param("id")))
