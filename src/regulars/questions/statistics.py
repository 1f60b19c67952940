"""Statistics of questions: outcomes per question, effect of asking against the control group, fairness of load."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from regulars.base import clock
from regulars.base.conditions import mentions, parse
from regulars.consent.view import current_views

from .evaluation import Estimate, LoggedImpression, doubly_robust, interval, snips
from .models import Impression, Question, SelectionDecision, Target

Outcome = Impression.Outcome
RETIRE_FROM, POOR_RATE, UNUSED_DAYS = 500, 0.15, 60
FAIR_RATIO = 1.25
GROUPS = ("gender", "age_band", "country")


@dataclass(frozen=True)
class QuestionStats:
    """Outcomes of one question (and of one variant, when asked so).

    `rate` is answers per impression with its 95 % interval; `bits` the entropy settled per impression, None when its
    answers were not measured; `segments` how many live segments use its answers.
    """

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


def question_stats(
    *, since: dt.datetime | None = None, by_variant: bool = False, questions: Iterable[Question] | None = None
) -> list[QuestionStats]:
    """Return every question (or those given) that was ever shown (since then), by key; `by_variant`: each variant apart."""
    impressions = Impression.objects.filter(shown_at__gte=since) if since else Impression.objects.all()
    if questions is not None:
        impressions = impressions.filter(question__in=[each.pk for each in questions])
    keys = ["question__key", "question__attribute", "question__created_at", *(["variant"] if by_variant else [])]
    names = ("answered", "passed", "never", "declined", "dont_know")
    outcomes = {name: Count("id", filter=Q(outcome=name)) for name in names}
    outcomes["closed"] = Count("id", filter=Q(outcome=Outcome.SHOWN))
    counted = impressions.order_by().values(*keys).annotate(shown=Count("id"), bits=Sum("bits"), **outcomes)
    used = _segments_by_attribute()
    return sorted((_stats_of_row(row, used) for row in counted), key=lambda each: (each.question, each.variant))


def stats_by_question(questions: Sequence[Question]) -> dict[str, QuestionStats]:
    """Return key → statistics of these questions; one never shown has zero counts and an unknown rate."""
    found, used = {each.question: each for each in question_stats(questions=questions)}, _segments_by_attribute()
    return {
        each.key: found.get(each.key) or QuestionStats(each.key, segments=used.get(each.attribute, 0))
        for each in questions
    }


def estimate_greedy_policy(*, since: dt.datetime | None = None) -> Estimate:
    """Estimate the bits per impression had the best question always been shown, by SNIPS over all closed impressions.

    Raises `Invalid("too_few_asks")` below thirty effective impressions.
    """
    return snips(logged_impressions(since))


def estimate_greedy_policy_doubly_robust(*, since: dt.datetime | None = None) -> Estimate:
    """Return the same, doubly robust. Raises `Invalid("too_few_asks")`."""
    return doubly_robust(logged_impressions(since))


def logged_impressions(since: dt.datetime | None = None) -> list[LoggedImpression]:
    """Return every closed impression with its probability then, and under "always the best score"."""
    decisions = SelectionDecision.objects.filter(reason="asked", impression__isnull=False).exclude(candidates={})
    decisions = decisions.exclude(impression__outcome=Outcome.SHOWN).select_related("impression__question")
    if since:
        decisions = decisions.filter(at__gte=since)
    logged = []
    for decision in decisions.iterator():
        impression, candidates = decision.impression, decision.candidates
        assert impression is not None
        best = max(sorted(candidates), key=lambda key: candidates[key]["score"])
        answered = impression.outcome == Outcome.ANSWERED
        logged.append(
            LoggedImpression(
                probability=decision.probability,
                probability_new=float(impression.question.key == best),
                # The entropy settled, less the price of a pass; expected rewards are those recorded at that time.
                reward=(impression.bits or 0.0) if answered else -decision.price,
                expected=candidates.get(impression.question.key, {}).get("score", 0.0),
                expected_new=candidates[best]["score"],
            )
        )
    return logged


@dataclass(frozen=True)
class AskLoad:
    """Impressions per customer in one group. `ratio` is the highest group's over the lowest's, of the same attribute."""

    attribute: str
    group: str
    customers: int
    impressions_each: float
    ratio: float

    @property
    def is_fair(self) -> bool:
        return self.ratio <= FAIR_RATIO


def ask_loads(*, since: dt.datetime | None = None, groups: Iterable[str] = GROUPS, fewest: int = 30) -> list[AskLoad]:
    """Return impressions per customer by sex, age and country, as far as measuring may use them.

    Groups of fewer than `fewest` customers are left out.
    """
    shown = Impression.objects.filter(shown_at__gte=since) if since else Impression.objects.all()
    counts = dict(shown.order_by().values_list("profile_id").annotate(number=Count("id")))
    found: dict[str, dict[str, list[int]]] = {attribute: {} for attribute in groups}
    views = current_views().filter(purpose="measure", profile__merged_into=None)
    for profile_id, traits in views.values_list("profile_id", "traits").iterator(chunk_size=2000):
        for attribute, people in found.items():
            if (value := traits.get(attribute)) is not None:
                people.setdefault(str(value), []).append(counts.get(profile_id, 0))
    loads = []
    for attribute, people in found.items():
        means = {group: sum(each) / len(each) for group, each in people.items() if len(each) >= fewest}
        lowest = min(means.values(), default=0.0)
        ratio = max(means.values(), default=0.0) / lowest if lowest else float(bool(means)) or 1.0
        loads += [AskLoad(attribute, group, len(people[group]), mean, ratio) for group, mean in sorted(means.items())]
    return loads


@dataclass(frozen=True)
class ControlComparison:
    """The effect of asking: customers asked and customers of the control group who returned, with intervals."""

    asked: int
    asked_returned: int
    control: int
    control_returned: int
    asked_interval: tuple[float, float]
    control_interval: tuple[float, float]


def compare_with_control_group(*, days: int = 30) -> ControlComparison:
    """Compare decisions at least `days` old: how many customers returned after a question, and after none."""
    old = SelectionDecision.objects.filter(at__lte=clock.now() - dt.timedelta(days=days))
    asked, control = _returned(old.filter(reason="asked"), days), _returned(old.filter(reason="control_group"), days)
    intervals = interval(asked[1], asked[0]), interval(control[1], control[0])
    return ControlComparison(*asked, *control, *intervals)


def segments_using(question: Question) -> list[str]:
    """Return the slugs of the segments that use the answers of a question."""
    targets = Target.objects.order_by("slug").values_list("slug", "text")
    return [slug for slug, text in targets if question.attribute in mentions(parse(text)).fields]


def _stats_of_row(row: dict[str, object], used: dict[str, int]) -> QuestionStats:
    counts = {name: int(str(row[name])) for name in ("shown", "answered", "passed", "never", "declined", "dont_know")}
    shown, answered = counts["shown"], counts["answered"]
    low, high = interval(answered, shown)
    segments = used.get(str(row["question__attribute"]), 0)
    created_at, retire = row["question__created_at"], ""  # a reason to propose retiring it; the marketer decides
    if shown > RETIRE_FROM:
        old = isinstance(created_at, dt.datetime) and created_at <= clock.now() - dt.timedelta(days=UNUSED_DAYS)
        if answered / shown < POOR_RATE:
            retire = "seldom_answered"
        elif old and not segments:
            retire = "unused"
    return QuestionStats(
        question=str(row["question__key"]),
        variant=str(row.get("variant", "")),
        **counts,
        closed=int(str(row["closed"])),
        rate=answered / shown,
        rate_low=low,
        rate_high=high,
        bits=None if answered and row["bits"] is None else float(str(row["bits"] or 0.0)) / shown,
        segments=segments,
        retire=retire,
    )


def _segments_by_attribute() -> dict[str, int]:
    used: dict[str, int] = {}
    for text in Target.objects.values_list("text", flat=True):
        for name in mentions(parse(text)).fields:
            used[name] = used.get(name, 0) + 1
    return used


def _returned(decisions: QuerySet[SelectionDecision], days: int) -> tuple[int, int]:
    """Return (customers, those with a later decision within `days`), from the first of these decisions of each."""
    first: dict[int, dt.datetime] = {}
    for profile_id, at in decisions.order_by("at").values_list("profile_id", "at"):
        first.setdefault(profile_id, at)
    later: set[int] = set()
    for profile_id, at in SelectionDecision.objects.filter(profile__in=first).values_list("profile_id", "at"):
        if dt.timedelta(hours=1) < at - first[profile_id] <= dt.timedelta(days=days):
            later.add(profile_id)
    return len(first), len(later)
