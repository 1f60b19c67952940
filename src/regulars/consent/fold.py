"""The decisions on one purpose, folded into those that stand. Plain functions: the order of a history does not matter.

A yes stands until a no, its own expiry, or wider words of the purpose. Accepted again while it stands, in the same words and
about the same things, it is renewed: the first of such decisions is the one that facts name. After a no, an equal yes is
another decision, and what was given under the earlier one stays closed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Protocol

YES = frozenset({"given", "imported"})
NO = frozenset({"refused", "withdrawn", "objected", "expired", "gpc"})
CUSTOMER_NO = NO - {"expired"}
PIECES = "pieces"  # evidence: the attributes that were asked about; a decision without them is about the whole purpose
# Evidence of one act, and of what was configured then: it differs from act to act, while the words are the same.
PER_ACT = ("provider_answer", "impression", "page", "controller", "categories")
# Of two merged profiles the stricter decision counts. What ran out is no word of the customer's.
STRICTNESS = {**dict.fromkeys(YES, 0), "expired": 0, "objection_lifted": 1, "objected": 3}
OTHER_NO = 2


class Decided(Protocol):
    """What is read of a row of the ledger."""

    id: int
    action: str
    at: dt.datetime
    purpose_version: int
    notice_id: str | None
    explicit: bool
    method: str
    evidence: Mapping[str, Any]
    expires_at: dt.datetime | None


@dataclass(frozen=True)
class Yes:
    """A yes that stands. `first` is the id of the decision, `last` that of its last repetition, whose expiry is `until`.

    `about` is equal in a decision and its repetitions. `whole`: about everything that the purpose covers, not single
    attributes.
    """

    first: int
    last: int
    about: str
    version: int
    until: dt.datetime | None
    whole: bool
    explicit: bool

    def has_run_out(self, now: dt.datetime) -> bool:
        return self.until is not None and self.until <= now

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "until": self.until and self.until.isoformat()}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Yes:
        until = stored["until"]
        return cls(**{**stored, "until": dt.datetime.fromisoformat(until) if until else None})


@dataclass(frozen=True)
class Folded:
    """The effective decision (`event`, its `status` and time), and every yes that stands. `as_of`: the last thing folded in."""

    event: int
    status: str
    since: dt.datetime
    as_of: dt.datetime
    standing: tuple[Yes, ...] = ()

    @property
    def next_expiry(self) -> dt.datetime | None:
        return min((each.until for each in self.standing if each.until), default=None)

    def without_expired(self, now: dt.datetime) -> Folded:
        return replace(self, standing=tuple(each for each in self.standing if not each.has_run_out(now)))


@dataclass(frozen=True)
class Joined:
    """A merge, as part of the history of the profile that stays: the other's decision at that time."""

    at: dt.datetime
    other: Folded


def fold(history: Iterable[Decided], merges: Iterable[Joined] = ()) -> Folded | None:
    """Fold a whole history; None when it is empty. The later decision counts; of two at one instant the no does."""
    folded: Folded | None = None
    moments: list[Decided | Joined] = [*sorted(history, key=_order), *merges]
    for each in sorted(moments, key=lambda each: each.at):  # stable: a merge comes after the decisions of its instant
        folded = join(folded, each) if isinstance(each, Joined) else step(folded, each)
    return folded


def follows(folded: Folded | None, event: Decided) -> bool:
    """Return whether `step` may add an event to what is folded; otherwise its history has to be folded anew."""
    return folded is None or event.at > folded.as_of or (event.at == folded.as_of and event.action in NO)


def step(before: Folded | None, event: Decided) -> Folded:
    """Add the next decision of a history. An imported list never reverses a no, and without evidence it is no yes."""
    if event.action not in YES:
        return Folded(event.id, event.action, event.at, event.at)
    as_of = max(event.at, before.as_of) if before else event.at
    if before and event.action == "imported" and before.status in CUSTOMER_NO:
        return replace(before, as_of=as_of)
    standing = before.without_expired(event.at).standing if before else ()
    if not is_proven(event):
        if before and standing:
            return replace(before, standing=standing, as_of=as_of)
        return Folded(event.id, event.action, event.at, as_of)
    about, found = about_what(event), False
    renewed = []
    for each in standing:
        found = found or each.about == about
        same = each.about == about
        renewed.append(replace(each, last=event.id, until=event.expires_at) if same else each)
    if not found:
        whole = is_about_whole_purpose(event)
        new = Yes(event.id, event.id, about, event.purpose_version, event.expires_at, whole, event.explicit)
        renewed.append(new)
    return Folded(event.id, event.action, event.at, as_of, tuple(renewed))


def join(before: Folded | None, merge: Joined) -> Folded:
    """Add what another profile decided, when it is merged: the stricter counts, and each yes stays exactly what it was."""
    other = replace(merge.other.without_expired(merge.at), as_of=merge.at)
    if before is None:
        return other
    before = replace(before.without_expired(merge.at), as_of=merge.at)
    mine, theirs = (STRICTNESS.get(each.status, OTHER_NO) for each in (before, other))
    if mine or theirs:
        return before if mine >= theirs else other
    counts = max((before, other), key=lambda each: (bool(each.standing), each.since))
    known = {each.first for each in before.standing}
    return replace(counts, standing=before.standing + tuple(each for each in other.standing if each.first not in known))


def about_what(event: Decided) -> str:
    """Return what is equal in a decision and its repetitions: the words, their version, and what they were about."""
    about = {name: value for name, value in event.evidence.items() if name not in PER_ACT}
    same = [event.action, event.purpose_version, event.notice_id, event.explicit, event.method, about]
    return sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]


def is_about_whole_purpose(event: Decided) -> bool:
    """Return whether a decision is not about single attributes: of questions, only one that asks for nothing else.

    Earlier versions wrote no `pieces` with a claim.
    """
    if "question" in event.evidence:
        return event.explicit
    return PIECES not in event.evidence and "claim" not in event.evidence


def is_proven(event: Decided) -> bool:
    """An imported consent counts with evidence only, and never after the address was suppressed.

    Earlier versions repeated a yes at a merge and a split, in words that were not shown: these are none.
    """
    if event.method in ("merge", "split"):
        return False
    return event.action != "imported" or (bool(event.evidence) and not event.evidence.get("suppressed"))


def _order(event: Decided) -> tuple[dt.datetime, bool, int]:
    return event.at, event.action in NO, event.id
