"""Decide which question to show next, or why none.

The order of the reasons is fixed: first those about the customer, then those about each question. The first that holds is
the one that people read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class Caps:
    """Limits of frequency. One question per login follows from one per `days_between`, which is at least a day."""

    days_between: int = 1
    min_logins: int = 0
    most_in_30_days: int = 3  # 0: no such cap
    quiet_after_passes: int = 2  # passes in a row after which no question is shown for `quiet_days`; 0: never
    quiet_days: int = 60
    pass_days: int = 30  # rest of a question after its first pass; doubles with every further one
    shows: int = 3  # impressions without an answer after which a question is never shown to the customer again
    declined_days: int = 365  # rest of a question after "prefer not to say" or "don't know"
    adult_age: int = 16  # below it there is no profiling, and so no question


CAPS = Caps()
NEAREST, NEARLY = 3, 0.95  # among how many, and how close to the best, an alternative to a crowded question is sought


@dataclass(frozen=True)
class QuestionExposure:
    """One question as this customer has met it so far, with everything that may stop it."""

    key: str
    attribute: str
    weight: float = 1.0  # what an answer is worth to the business; 0 or less is never shown
    shown: int = 0
    passed: int = 0
    last_passed: dt.date | None = None
    last_declined: dt.date | None = None
    is_known: bool = False
    purpose_is_open: bool = True  # the customer neither withdrew from the purpose nor objected
    may_be_asked: bool = True  # False: a special category without the customer's explicit consent
    is_due: bool = True  # enough logins and days since sign-up
    has_quota: bool = True
    in_audience: bool | None = True  # None: unknown, which is no match
    may_explore: bool = True  # False for sensitive questions: never shown at random


@dataclass(frozen=True)
class CustomerExposure:
    """What this customer has met of all questions."""

    last_shown: dt.date | None = None
    opted_out: bool = False
    recent_impressions: int = 0  # in the last 30 days
    passes_in_a_row: int = 0
    last_passed: dt.date | None = None
    logins: int = 1
    objected: bool = False
    under_age: bool = False
    interactive: bool = True  # False: prompt=none, step-up, a checkout, an application that sent ask=0


@dataclass(frozen=True)
class Candidate:
    """One question that no rule stops. `value` and `score` in bits, `chance` of an answer in 0..1."""

    key: str
    value: float
    chance: float
    score: float
    may_explore: bool = True


@dataclass(frozen=True)
class Policy:
    """`price` of one expected pass in bits; shares of eligible logins without a question, and of random questions."""

    price: float = 0.0
    control: float = 0.0
    explore: float = 0.0


@dataclass(frozen=True)
class RandomDraw:
    """Three numbers in 0..1, derived from customer and day, so that two logins at once decide alike."""

    control: float = 1.0
    explore: float = 1.0
    pick: float = 0.0


@dataclass(frozen=True)
class Selection:
    """The question to show. `probability` is how likely this policy was to show it to this customer now."""

    key: str
    value: float
    chance: float = 1.0
    score: float = 0.0
    probability: float = 1.0
    explored: bool = False
    runner_up: str = ""


class NotShownReason(StrEnum):
    """Why a login shows no question; stable names for programs."""

    SWITCHED_OFF = "switched_off"
    NOT_INTERACTIVE = "not_interactive"
    OPTED_OUT = "opted_out"
    UNDER_AGE = "under_age"
    OBJECTED = "objected"
    TOO_NEW = "too_new"
    ASKED_RECENTLY = "asked_recently"
    ASKED_OFTEN = "asked_often"
    QUIET = "quiet"
    NOTHING_TO_ASK = "nothing_to_ask"
    ALL_KNOWN = "all_known"
    RESTING = "resting"
    NOT_WORTH_ASKING = "not_worth_asking"
    CONTROL_GROUP = "control_group"
    SITTING_OVER = "sitting_over"
    UNAVAILABLE = "unavailable"


class RejectionRule(StrEnum):
    """The rule that stops one question."""

    WORTH_NOTHING = "worth_nothing"
    PURPOSE_CLOSED = "purpose_closed"
    NEEDS_EXPLICIT_CONSENT = "needs_explicit_consent"
    NOT_YET = "not_yet"
    QUOTA_REACHED = "quota_reached"
    NOT_IN_AUDIENCE = "not_in_audience"
    KNOWN = "known"
    DECLINED = "declined"
    SHOWN_ENOUGH = "shown_enough"
    RESTING = "resting"


Rejections = Mapping[str, RejectionRule]  # question key → the rule that stopped it


@dataclass(frozen=True)
class NotShown:
    """No question is shown: the reason, and for each question the rule that stopped it."""

    reason: NotShownReason
    rejections: Rejections = field(default_factory=dict, compare=False)
    probability: float = field(default=1.0, compare=False)

    @property
    def sentence(self) -> str:
        return SENTENCES[self.reason]


SENTENCES: Mapping[str, str] = {
    NotShownReason.SWITCHED_OFF: "Questions are switched off for all customers.",
    NotShownReason.NOT_INTERACTIVE: "No page could be shown, or the customer was in the middle of something else.",
    NotShownReason.OPTED_OUT: "The customer asked not to be asked again.",
    NotShownReason.UNDER_AGE: "The customer is too young to be profiled.",
    NotShownReason.OBJECTED: "The customer objected to being profiled.",
    NotShownReason.TOO_NEW: "The customer has not signed in often enough yet.",
    NotShownReason.ASKED_RECENTLY: "The customer was asked a short while ago.",
    NotShownReason.ASKED_OFTEN: "The customer was asked often enough this month.",
    NotShownReason.QUIET: "The customer passed several times in a row; no question is shown for a while.",
    NotShownReason.NOTHING_TO_ASK: "No question is switched on for this customer.",
    NotShownReason.ALL_KNOWN: "Every answer is known already.",
    NotShownReason.RESTING: "The customer passed or left every open question; the questions rest.",
    NotShownReason.NOT_WORTH_ASKING: "No answer would settle enough to be worth the interruption.",
    NotShownReason.CONTROL_GROUP: "This login belongs to the control group, which shows the effect of asking.",
    NotShownReason.SITTING_OVER: "The customer answered as many questions as one session may have.",
    NotShownReason.UNAVAILABLE: "The questions could not be read; the login went on without one.",
}

# Rules that stop all questions, in this order.
CUSTOMER_RULES: tuple[tuple[NotShownReason, Callable[[CustomerExposure, dt.date, Caps], bool]], ...] = (
    (NotShownReason.NOT_INTERACTIVE, lambda customer, today, caps: not customer.interactive),
    (NotShownReason.OPTED_OUT, lambda customer, today, caps: customer.opted_out),
    (NotShownReason.UNDER_AGE, lambda customer, today, caps: customer.under_age),
    (NotShownReason.OBJECTED, lambda customer, today, caps: customer.objected),
    (NotShownReason.TOO_NEW, lambda customer, today, caps: customer.logins < caps.min_logins),
    (
        NotShownReason.ASKED_RECENTLY,
        lambda customer, today, caps: _within(customer.last_shown, today, caps.days_between),
    ),
    (NotShownReason.ASKED_OFTEN, lambda customer, today, caps: 0 < caps.most_in_30_days <= customer.recent_impressions),
    (
        NotShownReason.QUIET,
        lambda customer, today, caps: (
            0 < caps.quiet_after_passes <= customer.passes_in_a_row
            and _within(customer.last_passed, today, caps.quiet_days)
        ),
    ),
)

# Rules that stop one question, in this order.
QUESTION_RULES: tuple[tuple[RejectionRule, Callable[[QuestionExposure, dt.date, Caps], bool]], ...] = (
    (RejectionRule.WORTH_NOTHING, lambda each, today, caps: each.weight <= 0),
    (RejectionRule.PURPOSE_CLOSED, lambda each, today, caps: not each.purpose_is_open),
    (RejectionRule.NEEDS_EXPLICIT_CONSENT, lambda each, today, caps: not each.may_be_asked),
    (RejectionRule.NOT_YET, lambda each, today, caps: not each.is_due),
    (RejectionRule.QUOTA_REACHED, lambda each, today, caps: not each.has_quota),
    (RejectionRule.NOT_IN_AUDIENCE, lambda each, today, caps: each.in_audience is not True),
    (RejectionRule.KNOWN, lambda each, today, caps: each.is_known),
    (RejectionRule.DECLINED, lambda each, today, caps: _within(each.last_declined, today, caps.declined_days)),
    (RejectionRule.SHOWN_ENOUGH, lambda each, today, caps: each.shown >= caps.shows),
    (RejectionRule.RESTING, lambda each, today, caps: _within(each.last_passed, today, rest_days(each, caps))),
)
# The reason of a login whose every question was stopped, by the rejection of the question that got furthest.
REASONS = {
    RejectionRule.KNOWN: NotShownReason.ALL_KNOWN,
    RejectionRule.DECLINED: NotShownReason.RESTING,
    RejectionRule.SHOWN_ENOUGH: NotShownReason.RESTING,
    RejectionRule.RESTING: NotShownReason.RESTING,
}

REJECTION_SENTENCES: Mapping[str, str] = {
    RejectionRule.WORTH_NOTHING: "Its weight is 0.",
    RejectionRule.PURPOSE_CLOSED: "The customer withdrew from its purpose or objected to it.",
    RejectionRule.NEEDS_EXPLICIT_CONSENT: "It is about a special category, and the customer has not consented explicitly.",
    RejectionRule.NOT_YET: "The customer is too new for it.",
    RejectionRule.QUOTA_REACHED: "Enough customers have answered it this month.",
    RejectionRule.NOT_IN_AUDIENCE: "The customer is not in its audience, as far as is known.",
    RejectionRule.KNOWN: "The answer is known.",
    RejectionRule.DECLINED: "The customer preferred not to say, or did not know.",
    RejectionRule.SHOWN_ENOUGH: "It was shown to the customer often enough.",
    RejectionRule.RESTING: "The customer passed; it rests.",
}


def reason_for_customer(customer: CustomerExposure, today: dt.date, caps: Caps = CAPS) -> NotShown | None:
    """Return why this customer is shown no question at all, or None."""
    return next((NotShown(reason) for reason, stops in CUSTOMER_RULES if stops(customer, today, caps)), None)


def eligible(
    questions: Sequence[QuestionExposure], today: dt.date, caps: Caps = CAPS
) -> tuple[list[QuestionExposure], dict[str, RejectionRule]]:
    """Return the questions that no rule stops, and for the others the rule that stopped each."""
    rejected: dict[str, RejectionRule] = {}
    for each in questions:
        if stopped := next((rule for rule, stops in QUESTION_RULES if stops(each, today, caps)), None):
            rejected[each.key] = stopped
    return [each for each in questions if each.key not in rejected], rejected


def reason_for_rejections(rejections: Rejections) -> NotShown:
    """Return the reason when every question was stopped: that of the question which got furthest."""
    order = [rule for rule, _ in QUESTION_RULES]
    furthest = max(rejections.values(), key=order.index, default=None)
    reason = REASONS.get(furthest) if furthest else None
    return NotShown(reason or NotShownReason.NOTHING_TO_ASK, rejections)


def select(
    candidates: Sequence[Candidate],
    policy: Policy,
    draw: RandomDraw = RandomDraw(),
    crowded: AbstractSet[str] = frozenset(),
) -> Selection | NotShown:
    """Select the question with the highest score above zero; equal ones in the order of their keys.

    A question shown to too many customers today (`crowded`) gives way to one nearly as good. A share of logins is shown
    nothing and a share of questions is random, each with a recorded probability: both are needed to measure the effect
    of asking, and of asking this question.
    """
    ranked = sorted(candidates, key=lambda each: (-each.score, each.key))
    if not ranked or ranked[0].score <= 0:
        return NotShown(NotShownReason.NOT_WORTH_ASKING)
    if draw.control < policy.control:
        return NotShown(NotShownReason.CONTROL_GROUP, probability=policy.control)
    near = [each for each in ranked[:NEAREST] if each.score >= NEARLY * ranked[0].score]
    best = next((each for each in near if each.key not in crowded), ranked[0])
    explorable = [each for each in ranked if each.may_explore]
    share = policy.explore if explorable else 0.0
    explored = draw.explore < share
    chosen = explorable[min(int(draw.pick * len(explorable)), len(explorable) - 1)] if explored else best
    at_random = share / len(explorable) if chosen.may_explore and explorable else 0.0
    return Selection(
        chosen.key,
        chosen.value,
        chosen.chance,
        chosen.score,
        (1 - policy.control) * (at_random + (1 - share) * (chosen is best)),
        explored,
        next((each.key for each in ranked if each is not chosen), ""),
    )


def rest_days(question: QuestionExposure, caps: Caps) -> int:
    """Return how long a question rests: 30 days after one pass, 60 after two."""
    days: int = caps.pass_days * 2 ** max(question.passed - 1, 0)
    return days


def _within(day: dt.date | None, today: dt.date, days: int) -> bool:
    return day is not None and (today - day).days < days
