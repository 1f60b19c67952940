"""How each question fares, whether asking is worth it, and whether it is asked of everybody alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from regulars.base import clock
from regulars.base.conditions import mentions, parse
from regulars.consent.models import PermittedView

from .evaluation import Estimate, Logged, doubly_robust, interval, snips
from .models import Impression, Question, SelectionDecision, Target

Outcome = Impression.Outcome
ENOUGH_SHOWINGS, POOR_RATE, UNUSED_DAYS = 500, 0.15, 60
FAIR_RATIO = 1.25
GROUPS = ("gender", "age_band", "country")


@dataclass(frozen=True)
class Fate:
    """One question (and one wording of it, when asked so). `rate` is answers per showing with its 95 % interval;
    `bits` the doubt settled per showing, None when its answers were not measured; `segments` how many live segments use its answers."""

    question: str
    variant: str = ""
    shown: int = 0
    answered: int = 0
    passed: int = 0
    never: int = 0
    declined: int = 0
    dont_know: int = 0
    closed: int = 0
    rate: float = 0.0
    rate_low: float = 0.0
    rate_high: float = 1.0
    bits: float | None = 0.0
    segments: int = 0
    retire: str = ""

    @property
    def is_to_retire(self) -> bool:
        return bool(self.retire)


def fates(
    *, since: dt.datetime | None = None, by_variant: bool = False, questions: Iterable[Question] | None = None
) -> list[Fate]:
    """Every question (or those given) that was ever shown (since then), by key; `by_variant`: every wording apart."""
    asks = Impression.objects.filter(shown_at__gte=since) if since else Impression.objects.all()
    asks = asks if questions is None else asks.filter(question__in=[each.pk for each in questions])
    keys = ["question__key", "question__attribute", "question__created_at"]
    keys += ["variant"] if by_variant else []
    counted = asks.order_by().values(*keys).annotate(shown=Count("id"), bits=Sum("bits"), **_outcomes())
    used = _segments_by_attribute()
    return sorted((_fate(row, used) for row in counted), key=lambda each: (each.question, each.variant))


def fates_of(questions: Sequence[Question]) -> dict[str, Fate]:
    """Key → how it fares, of these questions; one never shown has counts of nothing and a rate nobody knows yet."""
    found, used = {fate.question: fate for fate in fates(questions=questions)}, _segments_by_attribute()
    return {each.key: found.get(each.key) or Fate(each.key, segments=used.get(each.attribute, 0)) for each in questions}


def worth_of_another_policy(*, since: dt.datetime | None = None) -> Estimate:
    """Bits per ask had the best question always been asked, by SNIPS over the random asks and the others.

    Raises `Invalid("too_few_asks")` when fewer than thirty effective asks speak.
    """
    return snips(logged_asks(since))


def worth_of_another_policy_dr(*, since: dt.datetime | None = None) -> Estimate:
    """The same, doubly robust. Raises `Invalid("too_few_asks")`."""
    return doubly_robust(logged_asks(since))


def logged_asks(since: dt.datetime | None = None) -> list[Logged]:
    """Every closed ask with its probability then, and under "always the best score"."""
    decisions = SelectionDecision.objects.filter(reason="asked", ask__isnull=False).exclude(candidates={})
    decisions = decisions.exclude(ask__outcome=Outcome.SHOWN).select_related("ask__question")
    if since:
        decisions = decisions.filter(at__gte=since)
    return [_logged(decision) for decision in decisions.iterator()]


@dataclass(frozen=True)
class Burden:
    """Asks per customer in one group. `ratio` is the most burdened group's over the least's, of the same attribute."""

    attribute: str
    group: str
    customers: int
    asks_each: float
    ratio: float

    @property
    def is_fair(self) -> bool:
        return self.ratio <= FAIR_RATIO


def burdens(*, since: dt.datetime | None = None, groups: Iterable[str] = GROUPS, fewest: int = 30) -> list[Burden]:
    """Asks per customer by sex, age and country, as far as measuring may know them; groups under `fewest` left out."""
    asks: dict[int, int] = {}
    shown = Impression.objects.filter(shown_at__gte=since) if since else Impression.objects.all()
    for profile_id, number in shown.order_by().values_list("profile_id").annotate(number=Count("id")):
        asks[profile_id] = number
    found: dict[str, dict[str, list[int]]] = {attribute: {} for attribute in groups}
    views = PermittedView.objects.filter(purpose="measure", profile__merged_into=None)
    for profile_id, traits in views.values_list("profile_id", "traits").iterator(chunk_size=2000):
        for attribute, people in found.items():
            if (value := traits.get(attribute)) is not None:
                people.setdefault(str(value), []).append(asks.get(profile_id, 0))
    return [burden for attribute, people in found.items() for burden in _burdens(attribute, people, fewest)]


@dataclass(frozen=True)
class Control:
    """What asking changes: people asked and people of the no-ask control who came back within `days`, with intervals."""

    asked: int
    asked_returned: int
    control: int
    control_returned: int
    asked_interval: tuple[float, float]
    control_interval: tuple[float, float]


def asked_against_control(*, days: int = 30) -> Control:
    """Of decisions at least `days` old: how many came back after one that asked, and after one that held back."""
    old = SelectionDecision.objects.filter(at__lte=clock.now() - dt.timedelta(days=days))
    asked, control = _returned(old.filter(reason="asked"), days), _returned(old.filter(reason="control_group"), days)
    return Control(
        asked[0], asked[1], control[0], control[1], interval(asked[1], asked[0]), interval(control[1], control[0])
    )


def _outcomes() -> dict[str, Count]:
    names = {"answered", "passed", "never", "declined", "dont_know"}
    counts = {name: Count("id", filter=Q(outcome=name)) for name in names}
    return counts | {"closed": Count("id", filter=Q(outcome=Outcome.SHOWN))}


def _fate(row: dict[str, object], used: dict[str, int]) -> Fate:
    shown, answered = int(str(row["shown"])), int(str(row["answered"]))
    low, high = interval(answered, shown)
    segments = used.get(str(row["question__attribute"]), 0)
    counts = {name: int(str(row[name])) for name in ("passed", "never", "declined", "dont_know", "closed")}
    return Fate(
        question=str(row["question__key"]),
        variant=str(row.get("variant", "")),
        shown=shown,
        answered=answered,
        **counts,
        rate=answered / shown,
        rate_low=low,
        rate_high=high,
        bits=None if answered and row["bits"] is None else float(str(row["bits"] or 0.0)) / shown,
        segments=segments,
        retire=_why_retire(shown, answered, segments, row["question__created_at"]),
    )


def _why_retire(shown: int, answered: int, segments: int, created_at: object) -> str:
    """A reason to propose retiring it, never to do so: that is the marketer's to decide."""
    if shown <= ENOUGH_SHOWINGS:
        return ""
    if answered / shown < POOR_RATE:
        return "seldom_answered"
    old = isinstance(created_at, dt.datetime) and created_at <= clock.now() - dt.timedelta(days=UNUSED_DAYS)
    return "unused" if old and not segments else ""


def _segments_by_attribute() -> dict[str, int]:
    used: dict[str, int] = {}
    for text in Target.objects.values_list("text", flat=True):
        for name in mentions(parse(text)).fields:
            used[name] = used.get(name, 0) + 1
    return used


def _logged(decision: SelectionDecision) -> Logged:
    """The reward is the doubt settled, less the price of a pass. The model's words are those of that time."""
    ask, candidates = decision.ask, decision.candidates
    assert ask is not None
    best = max(sorted(candidates), key=lambda key: candidates[key]["score"])
    answered = ask.outcome == Outcome.ANSWERED
    return Logged(
        probability=decision.probability,
        probability_new=float(ask.question.key == best),
        reward=(ask.bits or 0.0) if answered else -decision.price,
        expected=candidates.get(ask.question.key, {}).get("score", 0.0),
        expected_new=candidates[best]["score"],
    )


def _burdens(attribute: str, people: dict[str, list[int]], fewest: int) -> list[Burden]:
    large = {group: asks for group, asks in people.items() if len(asks) >= fewest}
    means = {group: sum(asks) / len(asks) for group, asks in large.items()}
    least = min(means.values(), default=0.0)
    ratio = max(means.values(), default=0.0) / least if least else float(bool(means)) or 1.0
    return [Burden(attribute, group, len(large[group]), mean, ratio) for group, mean in sorted(means.items())]


def _returned(decisions: QuerySet[SelectionDecision], days: int) -> tuple[int, int]:
    """(people, those with a later decision within `days`): each by her first of these decisions."""
    first: dict[int, dt.datetime] = {}
    for profile_id, at in decisions.order_by("at").values_list("profile_id", "at"):
        first.setdefault(profile_id, at)
    later: set[int] = set()
    for profile_id, at in SelectionDecision.objects.filter(profile__in=first).values_list("profile_id", "at"):
        if dt.timedelta(hours=1) < at - first[profile_id] <= dt.timedelta(days=days):
            later.add(profile_id)
    return len(first), len(later)


def used_by(question: Question) -> list[str]:
    """The slugs of the segments that use its answers."""
    targets = Target.objects.order_by("slug").values_list("slug", "text")
    return [slug for slug, text in targets if question.attribute in mentions(parse(text)).fields]
