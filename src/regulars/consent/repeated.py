"""Decisions that only repeat an earlier one: the same words, accepted again while the first still counts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from regulars.profiles.models import Profile

from .effective import YES
from .models import ConsentEvent

COLUMNS = (
    *("id", "profile_id", "purpose_id", "purpose__expires_days", "at", "evidence"),
    *("action", "purpose_version", "notice_id", "explicit", "method"),  # equal in a decision and its repetition
)
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
    events = ConsentEvent.objects.filter(profile__in=profiles).order_by("at", "id")
    runs: dict[tuple[int, str], dict[tuple[object, ...], Run]] = {}
    found: dict[int, int] = {}
    # Rows, not objects: a customer of some years has thousands, and each login looks at all of them.
    for pk, profile, purpose, days, at, evidence, action, *wording in events.values_list(*COLUMNS):
        place = runs.setdefault((profile, purpose), {})
        if action not in YES:
            place.clear()
            continue
        about = {name: value for name, value in evidence.items() if name not in PER_ACT}
        words = (action, *wording, json.dumps(about, sort_keys=True))
        run = place.get(words)
        if run is None or (days and run.last_at + dt.timedelta(days=days) <= at):
            run = place[words] = Run(pk, at)
        run.last_at = at
        found[pk] = run.first
    return found
