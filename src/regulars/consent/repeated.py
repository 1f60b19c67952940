"""Decisions that only repeat an earlier one: the same words, accepted again while the first still counts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from regulars.profiles.models import Profile

from .effective import YES
from .models import ConsentEvent

PER_ACT = ("provider_answer", "impression")  # evidence of one act, which differs from act to act


@dataclass
class Run:
    """Equal decisions in a row: the id of the first, and when the last was made."""

    first: int
    last_at: dt.datetime


def first_of_equal(profiles: Sequence[Profile]) -> dict[int, int]:
    """Return, for every consent of these customers, the id of the decision that it repeats, or its own.

    A decision repeats another of the same purpose in the same version and words, about the same claim or question, if no
    refusal, withdrawal or objection and no expiry lies between them. Each is in the ledger; a fact names the first.
    """
    events = ConsentEvent.objects.filter(profile__in=profiles).select_related("purpose").order_by("at", "id")
    runs: dict[tuple[int, str], dict[tuple[object, ...], Run]] = {}
    found: dict[int, int] = {}
    for event in events.defer("hash", "prev_hash", "purpose__text", "purpose__translations"):
        place = runs.setdefault((event.profile_id, event.purpose_id), {})
        if event.action not in YES:
            place.clear()
            continue
        days, wording = event.purpose.expires_days, _wording(event)
        run = place.get(wording)
        if run is None or (days and run.last_at + dt.timedelta(days=days) <= event.at):
            run = place[wording] = Run(event.pk, event.at)
        run.last_at = event.at
        found[event.pk] = run.first
    return found


def _wording(event: ConsentEvent) -> tuple[object, ...]:
    about = {name: value for name, value in event.evidence.items() if name not in PER_ACT}
    return (
        event.purpose_version,
        event.notice_id,
        event.action,
        event.explicit,
        event.method,
        json.dumps(about, sort_keys=True),
    )
