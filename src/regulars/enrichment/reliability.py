"""Reliability of sources, learned from how often they agree with customers' own answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum

from regulars.base import clock
from regulars.profiles.models import Fact

from .models import Reliability, SourceDay, SourceSetting
from .source import SOURCES

WEIGHT = 4  # comparisons that the starting reliability counts for
DOUBTFUL, ENOUGH = 0.55, 50  # below this with so many comparisons, the console proposes to switch it off
MIN_COMPARED = 20  # below so many comparisons the agreement is not shown as a figure
OWN_ANSWERS = (Fact.SourceKind.CORRECTED, Fact.SourceKind.DECLARED)


@dataclass(frozen=True)
class Agreement:
    """`reliability` is learned, 0..1; `is_doubtful` proposes to stop using this attribute of the source."""

    attribute: str
    agree: int
    compared: int
    reliability: float

    @property
    def is_significant(self) -> bool:
        return self.compared >= MIN_COMPARED

    @property
    def is_doubtful(self) -> bool:
        return self.compared >= ENOUGH and self.reliability < DOUBTFUL


@dataclass(frozen=True)
class SourceReport:
    """The figures of one source over the last days. `hit_rate` is None without any call."""

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
        """Whether it disagrees with customers too often, in any attribute compared often enough."""
        return any(each.is_doubtful for each in self.agreements)


def learned_reliability(agree: int, compared: int, start: float) -> float:
    """Return (agree + 4 m) / (n + 4): the starting value until there is evidence."""
    return (agree + WEIGHT * start) / (compared + WEIGHT)


def learn_reliabilities() -> None:
    """Recount every source that is configured. The worker runs it once a day."""
    for setting in SourceSetting.objects.order_by("key"):
        if setting.key in SOURCES:
            source = SOURCES[setting.key].for_settings(setting.settings)
            for attribute in source.gives:
                agree, compared = _compare(f"source:{setting.key}", attribute)
                found = {"agree": agree, "compared": compared, "counted_at": clock.now()}
                reliability = learned_reliability(agree, compared, source.confidence)
                Reliability.objects.update_or_create(
                    source_key=setting.key, attribute=attribute, defaults={**found, "reliability": reliability}
                )


def confidences(source_key: str) -> dict[str, float]:
    """Return attribute → learned reliability, where anything was compared: the confidence of the next facts."""
    rows = Reliability.objects.filter(source_key=source_key, compared__gt=0)
    return dict(rows.values_list("attribute", "reliability"))


def doubtful_sources() -> set[str]:
    """Return the sources that disagree with customers too often, in any attribute compared often enough."""
    doubted = Reliability.objects.filter(compared__gte=ENOUGH, reliability__lt=DOUBTFUL)
    return set(doubted.values_list("source_key", flat=True))


def report(source_key: str, days: int = 30) -> SourceReport:
    """Return calls, hits and cost of the last days, and agreement since the beginning."""
    since = clock.today() - dt.timedelta(days=days - 1)
    names = ("calls", "answers", "nothing", "faults", "cost")
    rows = SourceDay.objects.filter(source_key=source_key, day__gte=since)
    total = {name: value or 0 for name, value in rows.aggregate(**{name: Sum(name) for name in names}).items()}
    asked = total["answers"] + total["nothing"]
    agreements = Reliability.objects.filter(source_key=source_key).order_by("attribute")
    return SourceReport(
        source_key=source_key,
        calls=total["calls"],
        hits=total["answers"],
        hit_rate=total["answers"] / asked if asked else None,
        faults=total["faults"],
        cost=Decimal(total["cost"]),
        agreements=tuple(Agreement(row.attribute, row.agree, row.compared, row.reliability) for row in agreements),
    )


def _compare(source: str, attribute: str) -> tuple[int, int]:
    """Return (agree, compared) over all customers with a current value from both the source and themselves."""
    live = Fact.objects.filter(attribute=attribute, retracted_at=None).order_by("collected_at", "id")
    by_source = live.filter(source=source)
    by_customer = live.filter(source_kind__in=OWN_ANSWERS, profile__in=by_source.order_by().values("profile"))
    from_source = {fact.profile_id: fact.value for fact in by_source}
    own = {fact.profile_id: fact.value for fact in by_customer}
    pairs = [(from_source[profile], value) for profile, value in own.items()]
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    return sum(_normalised(one) == _normalised(other) for one, other in known), len(known)


def _normalised(value: object) -> object:
    """Treat Porto and PORTO as the same."""
    return value.strip().casefold() if isinstance(value, str) else value
