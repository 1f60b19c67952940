"""How far a source can be believed: learned from how often it says what customers say of themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from regulars.base import clock
from regulars.profiles.models import Fact

from .models import Reliability, SourceDay, SourceSetting
from .source import SOURCES, EnrichmentSource, bound

WEIGHT = 4  # comparisons that the starting reliability counts for
DOUBTFUL, ENOUGH = 0.55, 50  # below this with so many comparisons, switching off is proposed
TELLING = 20  # below so many comparisons agreement says too little to be shown as a figure
HERSELF = (Fact.SourceKind.CORRECTED, Fact.SourceKind.DECLARED)


@dataclass(frozen=True)
class Agreement:
    """`reliability` is learned, 0..1; `is_doubtful` proposes not to take this attribute from the source any more."""

    attribute: str
    agree: int
    compared: int
    reliability: float

    @property
    def is_telling(self) -> bool:
        return self.compared >= TELLING

    @property
    def is_doubtful(self) -> bool:
        return self.compared >= ENOUGH and self.reliability < DOUBTFUL


@dataclass(frozen=True)
class Report:
    """What the Sources page says of one source over the last days. `hit_rate` is None while nothing was asked."""

    source_key: str
    calls: int
    hits: int
    hit_rate: float | None
    faults: int
    cost: Decimal
    agreements: tuple[Agreement, ...]

    @property
    def cost_per_hit(self) -> Decimal | None:
        return self.cost / self.hits if self.hits else None

    @property
    def proposes_switching_off(self) -> bool:
        """Whether what it says disagrees with customers too often, in whatever attribute was compared enough."""
        return any(each.is_doubtful for each in self.agreements)


def learned_reliability(agree: int, compared: int, start: float) -> float:
    """(agree + 4 m) / (n + 4): the starting value until there is evidence."""
    return (agree + WEIGHT * start) / (compared + WEIGHT)


def learn_reliabilities() -> None:
    """Count anew for every source that is set up. For the calendar of the worker: once a day is often enough."""
    for setting in SourceSetting.objects.order_by("key"):
        if setting.key in SOURCES:
            source = bound(SOURCES[setting.key], setting.settings)
            for attribute in source.gives:
                _learn(setting.key, attribute, source)


def confidences(source_key: str) -> dict[str, float]:
    """Attribute → learned reliability, where anything was compared: the confidence of the next facts."""
    rows = Reliability.objects.filter(source_key=source_key, compared__gt=0)
    return dict(rows.values_list("attribute", "reliability"))


def doubtful_sources() -> set[str]:
    """The sources that disagree with customers too often, in whatever attribute was compared enough."""
    doubted = Reliability.objects.filter(compared__gte=ENOUGH, reliability__lt=DOUBTFUL)
    return set(doubted.values_list("source_key", flat=True))


def report(source_key: str, days: int = 30) -> Report:
    """Calls, hits and cost of the last days, and agreement since the beginning."""
    since = clock.today() - dt.timedelta(days=days - 1)
    names = ("calls", "answers", "nothing", "faults", "cost")
    rows = SourceDay.objects.filter(source_key=source_key, day__gte=since)
    total = {name: value or 0 for name, value in rows.aggregate(**{name: Sum(name) for name in names}).items()}
    asked = total["answers"] + total["nothing"]
    agreements = Reliability.objects.filter(source_key=source_key).order_by("attribute")
    return Report(
        source_key=source_key,
        calls=total["calls"],
        hits=total["answers"],
        hit_rate=total["answers"] / asked if asked else None,
        faults=total["faults"],
        cost=Decimal(total["cost"]),
        agreements=tuple(Agreement(row.attribute, row.agree, row.compared, row.reliability) for row in agreements),
    )


def _learn(source_key: str, attribute: str, source: EnrichmentSource) -> None:
    agree, compared = _compared(f"source:{source_key}", attribute)
    found = {"agree": agree, "compared": compared, "counted_at": clock.now()}
    reliability = learned_reliability(agree, compared, source.confidence)
    Reliability.objects.update_or_create(
        source_key=source_key, attribute=attribute, defaults={**found, "reliability": reliability}
    )


def _compared(source: str, attribute: str) -> tuple[int, int]:
    """(agree, compared) over everybody of whom both the source and she herself say something now."""
    live = Fact.objects.filter(attribute=attribute, retracted_at=None).order_by("collected_at", "id")
    by_source = live.filter(source=source)
    theirs = _latest(by_source)
    hers = _latest(live.filter(source_kind__in=HERSELF, profile__in=by_source.order_by().values("profile")))
    pairs = [(theirs[profile], said) for profile, said in hers.items() if said is not None]
    told = [(one, other) for one, other in pairs if one is not None]
    return sum(_plain(one) == _plain(other) for one, other in told), len(told)


def _latest(facts: Iterable[Fact]) -> dict[int, Any]:
    return {fact.profile_id: fact.value for fact in facts}


def _plain(value: Any) -> Any:
    """Porto and PORTO are one place."""
    return value.strip().casefold() if isinstance(value, str) else value
