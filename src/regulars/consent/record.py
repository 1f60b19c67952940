"""Append decisions to the consent ledger and fold them into the consent states."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from babel import Locale, UnknownLocaleError
from django.db import connection, transaction
from django.db.models import Exists, Max, OuterRef

from regulars.base import clock
from regulars.base.errors import Invalid, NotFound
from regulars.profiles.models import Profile

from .fold import PIECES, YES, Folded, about_what, follows, step
from .ledger import fold_ledgers, save_states
from .models import ConsentEvent, ConsentState, Notice, Purpose
from .notices import ShownNotice, store_notice
from .status import ADVERTISING
from .suppressions import suppressed

Action = ConsentEvent.Action
Key = tuple[int, str]  # a profile and a purpose
CLOCKS_DIFFER = dt.timedelta(minutes=5)  # those of two machines, one of which stored a decision


@dataclass(frozen=True)
class Decision:
    """One decision on one purpose, on the `notice` that the customer read: with its version, language, words and pieces.

    Without a notice, `words` and `locale` are of the purpose's version of now; no words: the purpose's own text. `pieces`
    are what was asked about, claims or attributes; none: a decision about the whole purpose.
    """

    purpose: str
    action: str
    method: str
    words: str = ""
    locale: str = "en"
    explicit: bool = False
    evidence: dict[str, Any] = field(default_factory=dict)
    actor: str = "customer"
    at: dt.datetime | None = None  # imports know when; otherwise now
    notice: ShownNotice | None = None
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """The rows that were appended. `first_of`: id of a yes → the decision that it repeats, or its own; facts name that."""

    events: list[ConsentEvent]
    first_of: dict[int, int]


def wait_for_decisions() -> None:
    """Wait until the decisions that are being recorded are committed; others wait for the end of this transaction.

    Who changes what every decision means sees all that were made before. On SQLite one transaction writes at a time.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f'LOCK TABLE "{ConsentEvent._meta.db_table}" IN SHARE MODE')


@transaction.atomic
def record(profile: Profile, decision: Decision) -> ConsentEvent:
    """Append one decision. Use cases call `usecases.unit_of_work.changes`, which also refreshes views."""
    return record_all([(profile, [decision])]).events[0]


@transaction.atomic
def record_all(decisions_of_many: Sequence[tuple[Profile, list[Decision]]]) -> Recorded:
    """Append many decisions of many customers in as many queries as for one, however long their ledgers are.

    Raises `DomainError` before anything is written: `customer_erased`, `unknown_purpose`, `unknown_action`, `unknown_version`,
    `unknown_language`, `time_to_come`.
    """
    profiles = _locked([profile for profile, _ in decisions_of_many])
    decisions = [(profile.pk, each) for profile, listed in decisions_of_many for each in listed]
    texts = _Texts([each for _, each in decisions])
    unwanted = suppressed([profiles[pk] for pk, each in decisions if each.action == Action.IMPORTED])
    # Of those who objected to any advertising, also to a purpose that came later, and without a contact to suppress.
    objections = ConsentState.objects.filter(profile__in=profiles, event__evidence__has_key=ADVERTISING)
    is_import = any(each.action == Action.IMPORTED for _, each in decisions)
    objected = set(objections.values_list("profile", flat=True)) if is_import else set()
    states = _states({(pk, each.purpose) for pk, each in decisions})
    latest = {key: state.as_of for key, state in states.items()}
    events = []
    for pk, decision in decisions:
        purpose, notice = texts.of(decision)
        evidence = {**decision.evidence, **({PIECES: notice.pieces} if notice.pieces else {})}
        is_unwanted = decision.purpose in unwanted.get(pk, {}) or (purpose.is_direct_marketing and pk in objected)
        if decision.action == Action.IMPORTED and is_unwanted:
            evidence["suppressed"] = True
        # A clock that was set back does not put a decision before those that were made before it.
        at = decision.at or max(clock.now(), latest.get((pk, decision.purpose), clock.now()))
        if decision.at is None:
            latest[pk, decision.purpose] = at
        lasts = purpose.expires_days if decision.action in YES else None
        event = ConsentEvent(
            profile_id=pk,
            purpose=purpose,
            purpose_version=notice.version,
            notice=notice,
            action=decision.action,
            explicit=decision.explicit,
            # As the database returns it: the hash covers its text.
            at=at.astimezone(dt.UTC),
            method=decision.method,
            evidence=evidence,
            actor=decision.actor,
        )
        event.expires_at = event.at + dt.timedelta(days=lasts) if lasts else None
        events.append(event)
    return _append(events, states)


@transaction.atomic
def append_copies(profile: Profile, events: Iterable[ConsentEvent]) -> Recorded:
    """Append decisions of another ledger to this customer's, each exactly as it was made."""
    _locked([profile])
    fields = ("purpose_id", "purpose_version", "notice_id", "action", "explicit", "at", "expires_at", "method")
    copies = [
        ConsentEvent(
            profile_id=profile.pk,
            evidence=event.evidence,
            actor=event.actor,
            copy_of=event.copy_of or event.pk,
            **{name: getattr(event, name) for name in fields},
        )
        for event in events
    ]
    return _append(copies, _states({(profile.pk, each.purpose_id) for each in copies}))


@transaction.atomic
def repeat_all(decisions: Sequence[ConsentEvent]) -> None:
    """Append decisions exactly as they were made, in the order of their times; those that the ledger has are left out."""
    ids = {event.profile_id for event in decisions}
    _locked(Profile.objects.filter(pk__in=ids))
    before = ConsentEvent.objects.filter(profile__in=ids)
    known = set(before.values_list("profile_id", "purpose_id", "action", "at"))
    events = []
    for event in sorted(decisions, key=lambda event: event.at):
        what = (event.profile_id, event.purpose_id, event.action, event.at)
        if what not in known:
            known.add(what)
            events.append(event)
    if events:
        _append(events, _states({(event.profile_id, event.purpose_id) for event in events}))


def _append(events: list[ConsentEvent], states: dict[Key, ConsentState]) -> Recorded:
    """Chain and store rows, and fold them into the states."""
    last = ConsentEvent.objects.filter(profile__in={event.profile_id for event in events}).order_by()
    ids = last.values("profile").annotate(last=Max("pk")).values("last")
    ends = dict(ConsentEvent.objects.filter(pk__in=ids).values_list("profile_id", "hash"))
    for event in events:
        event.prev_hash = ends.get(event.profile_id, "")
        ends[event.profile_id] = event.hash = digest(event)
    ConsentEvent.objects.bulk_create(events, batch_size=500)
    folded: dict[Key, Folded] = {key: state.folded for key, state in states.items()}
    late: set[Key] = set()
    for event in events:
        key = event.profile_id, event.purpose_id
        if follows(folded.get(key), event):
            folded[key] = step(folded.get(key), event)
        else:
            late.add(key)
    folded |= fold_ledgers(late)
    moved = {(event.profile_id, event.purpose_id) for event in events}
    save_states({key: folded[key] for key in moved})
    return Recorded(events, _first_of(events, folded))


def _first_of(events: Iterable[ConsentEvent], folded: dict[Key, Folded]) -> dict[int, int]:
    first = {event.pk: event.pk for event in events if event.action in YES}
    for event in events:
        for each in folded[event.profile_id, event.purpose_id].standing:
            if event.pk in first and each.about == about_what(event):
                first[event.pk] = each.first
    return first


def _locked(profiles: Iterable[Profile]) -> dict[int, Profile]:
    """Lock the rows, so that each chain has one writer. Raises `NotFound("customer_erased")`."""
    given = {profile.pk: profile for profile in profiles}
    rows = Profile.objects.select_for_update().filter(pk__in=given).order_by("pk")
    if given.keys() - set(rows.values_list("pk", flat=True)):
        raise NotFound("customer_erased", "This customer was erased.")
    return given


def _states(keys: set[Key]) -> dict[Key, ConsentState]:
    rows = ConsentState.objects.filter(profile__in={pk for pk, _ in keys}, purpose__in={purpose for _, purpose in keys})
    return {(row.profile_id, row.purpose_id): row for row in rows if (row.profile_id, row.purpose_id) in keys}


class _Texts:
    """The purpose and the notice of each decision, looked up once for equal decisions. Raises as `record_all`."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.purposes = Purpose.objects.in_bulk({each.purpose for each in decisions})
        self.notices: dict[ShownNotice, Notice] = {}
        for each in decisions:
            _check(each, self.purposes.get(each.purpose))

    def of(self, decision: Decision) -> tuple[Purpose, Notice]:
        purpose = self.purposes[decision.purpose]
        words = decision.words or purpose.text
        shown = decision.notice or ShownNotice(
            purpose.key, purpose.version, decision.locale, words, pieces=decision.pieces
        )
        if shown not in self.notices:
            self.notices[shown] = store_notice(shown, purpose)
        return purpose, self.notices[shown]


def _check(decision: Decision, purpose: Purpose | None) -> None:
    # A purpose that is not used any more can still be refused and withdrawn.
    if purpose is None or (not purpose.active and decision.action in YES):
        raise Invalid("unknown_purpose", f"There is no active purpose called {decision.purpose!r}.")
    if decision.action not in Action:
        raise Invalid("unknown_action", f"There is no decision called {decision.action!r}.")
    if decision.notice is not None and not 1 <= decision.notice.version <= purpose.version:
        raise Invalid("unknown_version", f"The purpose {purpose.key!r} has no version {decision.notice.version}.")
    if decision.at is not None and decision.at > clock.now() + CLOCKS_DIFFER:
        raise Invalid("time_to_come", "A decision cannot have been made at a time to come.")
    locale = decision.notice.locale if decision.notice else decision.locale
    try:
        Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):
        raise Invalid("unknown_language", f"{locale!r} is no language.") from None


def digest(event: ConsentEvent) -> str:
    """Return sha256(prev_hash || canonical JSON of the row): a changed row breaks every link after it."""
    expires_at = event.expires_at and event.expires_at.isoformat()
    return _hash(event, {"expires_at": expires_at, "copy_of": event.copy_of})


def _hash(event: ConsentEvent, added: dict[str, Any]) -> str:
    row = {
        "profile": event.profile_id,
        "purpose": event.purpose_id,
        "purpose_version": event.purpose_version,
        "notice": event.notice_id,
        "action": str(event.action),
        "explicit": event.explicit,
        "at": event.at.isoformat(),
        "method": event.method,
        "evidence": event.evidence,
        "actor": event.actor,
        **added,
    }
    return sha256(f"{event.prev_hash}{json.dumps(row, sort_keys=True)}".encode()).hexdigest()


def first_broken_link(profile: Profile) -> ConsentEvent | None:
    """Return the first row that was changed or whose predecessor was, or None when the chain is intact."""
    previous = ""
    for event in profile.consent_events.order_by("id"):
        # Rows of earlier versions were hashed without what was added since.
        if event.prev_hash != previous or event.hash not in (digest(event), _hash(event, {})):
            return event
        previous = event.hash
    return None


def verify_ledgers() -> Iterator[tuple[str, ConsentEvent | None]]:
    """Yield (user id, first broken link or None) for every customer with a decision, oldest first."""
    decided = ConsentEvent.objects.filter(profile=OuterRef("pk"))
    for profile in Profile.objects.filter(Exists(decided)).order_by("pk").iterator(chunk_size=500):
        yield profile.user_id, first_broken_link(profile)
