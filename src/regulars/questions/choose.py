"""Which question to ask next, or why none. Plain functions.

The order of the reasons is fixed, first those about the customer, then those about each question: the first that holds
is the one a person reads.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Caps:
    """How seldom we ask. One per login follows from one per `days_between`, which is at least a day."""

    days_between: int = 1
    min_logins: int = 0
    most_in_30_days: int = 3  # 0: no such cap
    quiet_after_passes: int = 2  # passes in a row after which we are quiet; 0: never
    quiet_days: int = 60
    pass_days: int = 30  # rest of a question after its first pass; doubles with every further one
    shows: int = 3  # showings without an answer after which a question is never shown to her again
    declined_days: int = 365  # rest of a question after "prefer not to say" or "don't know"
    adult_age: int = 16  # below it there is no profiling, and so no question


CAPS = Caps()
NEAREST, NEARLY = 3, 0.95  # among how many, and how close to the best, a crowded question looks for another


@dataclass(frozen=True)
class Candidate:
    """One question as this customer has met it so far."""

    key: str
    attribute: str
    weight: float = 1.0  # what an answer is worth to the company; 0 or less is never asked
    shown: int = 0
    passed: int = 0
    last_passed: dt.date | None = None
    last_declined: dt.date | None = None
    is_known: bool = False
    purpose_is_open: bool = True  # she neither withdrew from the purpose nor objected
    may_be_asked: bool = True  # False: a special category without her explicit yes
    is_due: bool = True  # enough logins and days since she signed up
    has_quota: bool = True
    in_audience: bool | None = True  # None: we do not know, which is not a match
    may_explore: bool = True  # False for sensitive questions: never asked by chance


@dataclass(frozen=True)
class History:
    """What this customer has met of all questions."""

    last_asked: dt.date | None = None
    said_never: bool = False
    asks_lately: int = 0  # in the last 30 days
    passes_in_a_row: int = 0
    last_passed: dt.date | None = None
    logins: int = 1
    objected: bool = False
    under_age: bool = False
    interactive: bool = True  # False: prompt=none, step-up, a checkout, an application that sent ask=0


@dataclass(frozen=True)
class Option:
    """One question that may be asked now. `value` and `score` in bits, `chance` of an answer in 0..1."""

    key: str
    value: float
    chance: float
    score: float
    may_explore: bool = True


@dataclass(frozen=True)
class Policy:
    """`price` of one expected pass in bits; shares of eligible logins without a question, and of random asks."""

    price: float = 0.0
    control: float = 0.0
    explore: float = 0.0


@dataclass(frozen=True)
class Dice:
    """Three numbers in 0..1. They come from who she is and what day it is, so two logins at once decide alike."""

    control: float = 1.0
    explore: float = 1.0
    pick: float = 0.0


@dataclass(frozen=True)
class Choice:
    """`probability` is how likely this policy was to ask this question of her now."""

    key: str
    value: float
    chance: float = 1.0
    score: float = 0.0
    probability: float = 1.0
    explored: bool = False
    runner_up: str = ""


@dataclass(frozen=True)
class NotShown:
    """Why no question was asked: a stable name for machines, see `SENTENCES` for people.

    `refusals` says of each question which rule stopped it.
    """

    name: str
    refusals: dict[str, str] = field(default_factory=dict, compare=False)
    probability: float = field(default=1.0, compare=False)

    @property
    def sentence(self) -> str:
        return SENTENCES[self.name]


SENTENCES = {
    "switched_off": "Asking is switched off for everybody.",
    "not_interactive": "Nobody was there to answer, or she was busy with something else.",
    "said_never": "She asked us not to ask again.",
    "under_age": "She is too young to be profiled.",
    "objected": "She objected to being profiled.",
    "too_new": "She has not signed in often enough yet.",
    "asked_recently": "She was asked a short while ago.",
    "asked_often": "She was asked often enough this month.",
    "quiet": "She passed several times in a row; we leave her in peace for a while.",
    "nothing_to_ask": "No question is switched on for her.",
    "all_known": "We know every answer already.",
    "resting": "She passed or left every open question; they rest.",
    "not_worth_asking": "No answer would tell enough to be worth the interruption.",
    "control_group": "She belongs to the few who are not asked this time, so that we see what asking changes.",
    "sitting_over": "She answered as many as one sitting may have.",
    "unavailable": "The questions could not be read; the login went on without one.",
}

# What stops everything, in this order.
PERSON: tuple[tuple[str, Callable[[History, dt.date, Caps], bool]], ...] = (
    ("not_interactive", lambda history, today, caps: not history.interactive),
    ("said_never", lambda history, today, caps: history.said_never),
    ("under_age", lambda history, today, caps: history.under_age),
    ("objected", lambda history, today, caps: history.objected),
    ("too_new", lambda history, today, caps: history.logins < caps.min_logins),
    ("asked_recently", lambda history, today, caps: _within(history.last_asked, today, caps.days_between)),
    ("asked_often", lambda history, today, caps: 0 < caps.most_in_30_days <= history.asks_lately),
    ("quiet", lambda history, today, caps: _is_quiet(history, today, caps)),
)

# What stops one question, in this order.
QUESTION: tuple[tuple[str, Callable[[Candidate, dt.date, Caps], bool]], ...] = (
    ("worth_nothing", lambda each, today, caps: each.weight <= 0),
    ("purpose_closed", lambda each, today, caps: not each.purpose_is_open),
    ("needs_explicit_consent", lambda each, today, caps: not each.may_be_asked),
    ("not_yet", lambda each, today, caps: not each.is_due),
    ("quota_reached", lambda each, today, caps: not each.has_quota),
    ("not_in_audience", lambda each, today, caps: each.in_audience is not True),
    ("known", lambda each, today, caps: each.is_known),
    ("declined", lambda each, today, caps: _within(each.last_declined, today, caps.declined_days)),
    ("shown_enough", lambda each, today, caps: each.shown >= caps.shows),
    ("resting", lambda each, today, caps: _within(each.last_passed, today, rest_days(each, caps))),
)
# The silence that the refusal of the question which got furthest stands for.
SILENCE = {"known": "all_known", "declined": "resting", "shown_enough": "resting", "resting": "resting"}

QUESTION_SENTENCES = {
    "worth_nothing": "Its weight is 0.",
    "purpose_closed": "She withdrew from its purpose or objected to it.",
    "needs_explicit_consent": "It is about a special category, and she has not given her explicit yes.",
    "not_yet": "She is too new for it.",
    "quota_reached": "Enough customers have answered it this month.",
    "not_in_audience": "She is not in its audience, as far as we know.",
    "known": "We know the answer.",
    "declined": "She preferred not to say, or did not know.",
    "shown_enough": "It was shown to her often enough.",
    "resting": "She passed; it rests.",
}


def refusal_of(history: History, today: dt.date, caps: Caps = CAPS) -> NotShown | None:
    """Why this customer is asked nothing at all, or None."""
    return next((NotShown(name) for name, stops in PERSON if stops(history, today, caps)), None)


def eligible(
    candidates: Sequence[Candidate], today: dt.date, caps: Caps = CAPS
) -> tuple[list[Candidate], dict[str, str]]:
    """The questions no rule stops, and of the others the rule that stopped each."""
    refused: dict[str, str] = {}
    for each in candidates:
        if stopped := next((name for name, stops in QUESTION if stops(each, today, caps)), None):
            refused[each.key] = stopped
    return [each for each in candidates if each.key not in refused], refused


def silence(refusals: dict[str, str]) -> NotShown:
    """The reason of a customer whose every question was stopped: that of the question which got furthest."""
    order = [name for name, _ in QUESTION]
    furthest = max(refusals.values(), key=order.index, default="")
    return NotShown(SILENCE.get(furthest, "nothing_to_ask"), refusals)


def score(value: float, chance: float, price: float) -> float:
    """Bits to gain, less the price of a pass, each as likely as it is."""
    return chance * value - price * (1 - chance)


def choose(
    options: Sequence[Option], policy: Policy, dice: Dice = Dice(), crowded: AbstractSet[str] = frozenset()
) -> Choice | NotShown:
    """The question with the highest score above nothing; equal ones in the order of their keys. One asked of too many
    today (`crowded`) gives way to one nearly as good.

    A share of logins is asked nothing and a share of asks is random, each with a probability that is told: without
    both nobody could say what asking, or asking this, is good for.
    """
    ranked = sorted(options, key=lambda each: (-each.score, each.key))
    if not ranked or ranked[0].score <= 0:
        return NotShown("not_worth_asking")
    if dice.control < policy.control:
        return NotShown("control_group", probability=policy.control)
    best, explorable = _uncrowded(ranked, crowded), [each for each in ranked if each.may_explore]
    share = policy.explore if explorable else 0.0
    explored = dice.explore < share
    chosen = explorable[min(int(dice.pick * len(explorable)), len(explorable) - 1)] if explored else best
    by_chance = share / len(explorable) if chosen.may_explore and explorable else 0.0
    return Choice(
        chosen.key,
        chosen.value,
        chosen.chance,
        chosen.score,
        (1 - policy.control) * (by_chance + (1 - share) * (chosen is best)),
        explored,
        next((each.key for each in ranked if each is not chosen), ""),
    )


def _uncrowded(ranked: Sequence[Option], crowded: AbstractSet[str]) -> Option:
    near = [each for each in ranked[:NEAREST] if each.score >= NEARLY * ranked[0].score]
    return next((each for each in near if each.key not in crowded), ranked[0])


def rest_days(candidate: Candidate, caps: Caps) -> int:
    """How long a question rests: 30 days after one pass, 60 after two."""
    days: int = caps.pass_days * 2 ** max(candidate.passed - 1, 0)
    return days


def _is_quiet(history: History, today: dt.date, caps: Caps) -> bool:
    many = 0 < caps.quiet_after_passes <= history.passes_in_a_row
    return many and _within(history.last_passed, today, caps.quiet_days)


def _within(day: dt.date | None, today: dt.date, days: int) -> bool:
    return day is not None and (today - day).days < days
