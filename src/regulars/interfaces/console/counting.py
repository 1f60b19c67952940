"""A count as the console tells it: in words when it cannot be made, and with what it does not include yet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from regulars.base import clock
from regulars.base.conditions import ConditionError, parse, to_text
from regulars.base.conditions.tree import And
from regulars.base.errors import DomainError
from regulars.consent.models import PermittedView
from regulars.events.models import Event
from regulars.profiles.find import ANONYMOUS
from regulars.profiles.models import Profile
from regulars.segments.count import Count, Drop, count

from .people import by_number, name_of
from .sentences import Vocabulary

FEW = 10  # fewer than these are not counted out to whoever may not see people


@dataclass(frozen=True)
class DropLine:
    """One condition: how many are left after it, and how many more there would be without it."""

    said: str
    remaining: int
    gain: int


@dataclass(frozen=True)
class Counted:
    """Either `count` or `problem` (with `spot`, the text before and from where it does not fit)."""

    at: dt.datetime
    count: Count | None = None
    drops: list[DropLine] = field(default_factory=list)
    sample: list[tuple[Profile, str]] = field(default_factory=list)
    behind: bool = False
    problem: str = ""
    spot: tuple[str, str] | None = None

    @property
    def strictest(self) -> DropLine | None:
        """The condition that keeps everybody out, when nobody is in."""
        nobody = self.count is not None and self.count.inside == 0
        return max(self.drops, key=lambda line: line.gain) if nobody and self.drops else None


def counted(text: str, purpose: str, vocabulary: Vocabulary) -> Counted:
    """Count a condition for a page; whatever is wrong with it or with the lake is said, not raised."""
    now = clock.now()
    try:
        found = count(text, purpose)
    except ConditionError as bad:
        at = bad.position
        return Counted(now, problem=bad.message, spot=None if at is None else (text[:at], text[at:]))
    except DomainError as refused:
        return Counted(now, problem=refused.message)
    behind = lake_is_behind()
    if not found.everybody:
        return Counted(now, problem=_empty(behind))
    lines = [
        DropLine(vocabulary.text(part), drop.remaining, max(drop.without - found.inside, 0))
        for part, drop in zip(_parts(text, found.drops), found.drops, strict=True)
    ]
    people = by_number(found.sample)
    sample = [(people[number], name_of(people[number])) for number in found.sample if number in people]
    return Counted(now, found, lines, sample, behind)


def _parts(text: str, drops: list[Drop]) -> list[str]:
    """The conditions as they were written: `segment:"vip"`, not what that stands for."""
    condition = parse(text)
    written = condition.parts if isinstance(condition, And) else (condition,)
    return [to_text(part) for part in written] if len(written) == len(drops) else [drop.text for drop in drops]


def lake_is_behind() -> bool:
    """Whether something happened that counts do not include yet."""
    views = PermittedView.objects.filter(lake_at=None, profile__merged_into=None)
    views = views.exclude(profile__user_id__startswith=ANONYMOUS)
    return views.exists() or Event.objects.filter(lake_at=None).exists()


def _empty(behind: bool) -> str:
    if behind:
        return (
            "Nothing can be counted yet: the first customers are on their way to the lake. Try again in a few seconds."
        )
    return "Nothing can be counted yet: there are no customers."
