"""Append decisions to the consent ledger and update the effective decisions."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from regulars.base import clock
from regulars.profiles.models import Profile

from .effective import YES, effective_decision
from .models import ConsentEvent, ConsentState, Notice, Purpose
from .notices import ShownNotice, store_notice
from .purposes import get_purpose
from .suppressions import suppressed

Action = ConsentEvent.Action


@dataclass(frozen=True)
class Decision:
    """One decision on one purpose, on the `notice` that the customer read: with its version, language and words.

    Without a notice, `words` and `locale` are of the purpose's version of now; no words: the purpose's own text.
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


@transaction.atomic
def record(profile: Profile, decision: Decision) -> ConsentEvent:
    """Append one decision. Use cases call `usecases.unit_of_work.changes`, which also refreshes views."""
    return record_all([(profile, [decision])])[0]


@transaction.atomic
def record_all(decisions_of_many: Sequence[tuple[Profile, list[Decision]]]) -> list[ConsentEvent]:
    """Append many decisions of many customers in as many queries as for one."""
    profiles = [profile.pk for profile, _ in decisions_of_many]
    list(
        Profile.objects.select_for_update().filter(pk__in=profiles).order_by("pk").values_list("pk")
    )  # one writer per chain
    before = list(ConsentEvent.objects.filter(profile__in=profiles).select_related("purpose").order_by("id"))
    ends = {event.profile_id: event.hash for event in before}
    imports = [profile for profile, each in decisions_of_many if any(one.action == Action.IMPORTED for one in each)]
    unwanted = suppressed(imports) if imports else {}
    notices = _Notices()
    events = []
    for profile, decisions in decisions_of_many:
        for decision in decisions:
            if decision.action == Action.IMPORTED and decision.purpose in unwanted.get(profile.pk, {}):
                decision = replace(decision, evidence={**decision.evidence, "suppressed": True})
            purpose, notice = notices.of(decision)
            event = ConsentEvent(
                profile=profile,
                purpose=purpose,
                purpose_version=notice.version,
                notice=notice,
                action=decision.action,
                explicit=decision.explicit,
                # As the database returns it: the hash covers its text.
                at=(decision.at or clock.now()).astimezone(dt.UTC),
                method=decision.method,
                evidence=decision.evidence,
                actor=decision.actor,
                prev_hash=ends.get(profile.pk, ""),
            )
            event.hash = digest(event)
            ends[profile.pk] = event.hash
            events.append(event)
    ConsentEvent.objects.bulk_create(events, batch_size=500)
    _update_states(before + events, {(event.profile_id, event.purpose_id) for event in events})
    return events


def _update_states(events: list[ConsentEvent], moved: set[tuple[int, str]]) -> None:
    """Store the effective decision of every (profile, purpose) in `moved`."""
    histories: dict[tuple[int, str], list[ConsentEvent]] = {key: [] for key in moved}
    for event in events:
        if (event.profile_id, event.purpose_id) in histories:
            histories[event.profile_id, event.purpose_id].append(event)
    effective = [found for history in histories.values() if (found := effective_decision(history))]
    ConsentState.objects.bulk_create(
        [
            ConsentState(
                profile_id=event.profile_id,
                purpose=event.purpose,
                status=event.action,
                since=event.at,
                expires_at=event.at + dt.timedelta(days=days)
                if event.action in YES and (days := event.purpose.expires_days)
                else None,
                event=event,
            )
            for event in effective
        ],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["profile", "purpose"],
        update_fields=["status", "since", "expires_at", "event"],
    )


class _Notices:
    """The purpose and the notice of each decision, looked up once for equal decisions."""

    def __init__(self) -> None:
        self.found: dict[tuple[object, ...], tuple[Purpose, Notice]] = {}

    def of(self, decision: Decision) -> tuple[Purpose, Notice]:
        key = (decision.purpose, decision.words, decision.locale, decision.notice)
        if key not in self.found:
            purpose = get_purpose(decision.purpose)
            words = decision.words or purpose.text
            shown = decision.notice or ShownNotice(purpose.key, purpose.version, decision.locale, words)
            self.found[key] = purpose, store_notice(shown, purpose)
        return self.found[key]


def digest(event: ConsentEvent) -> str:
    """Return sha256(prev_hash || canonical JSON of the row): a changed row breaks every link after it."""
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
    }
    return sha256(f"{event.prev_hash}{json.dumps(row, sort_keys=True)}".encode()).hexdigest()


def first_broken_link(profile: Profile) -> ConsentEvent | None:
    """Return the first row that was changed or whose predecessor was, or None when the chain is intact."""
    previous = ""
    for event in profile.consent_events.order_by("id"):
        if event.prev_hash != previous or event.hash != digest(event):
            return event
        previous = event.hash
    return None


def verify_ledgers() -> Iterator[tuple[str, ConsentEvent | None]]:
    """Yield (user id, first broken link or None) for every customer with a decision, oldest first."""
    decided = ConsentEvent.objects.filter(profile=OuterRef("pk"))
    for profile in Profile.objects.filter(Exists(decided)).order_by("pk").iterator(chunk_size=500):
        yield profile.user_id, first_broken_link(profile)
