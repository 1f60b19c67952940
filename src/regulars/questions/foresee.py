"""What would happen at her next login: who or what stops it, and every question by its score. Asks and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from regulars.base import clock
from regulars.profiles.models import Profile

from .ask import Choosing, stopped_by
from .choose import QUESTION_SENTENCES, SENTENCES, eligible
from .customer import Customer
from .settings import how_we_ask


@dataclass(frozen=True)
class Prospect:
    """One question as it stands for her. `value` and `score` in bits, `chance` of an answer in 0..1; `stopped` is the
    sentence of the rule that stops it, empty when none does."""

    key: str
    text: str
    value: float = 0.0
    chance: float = 0.0
    score: float = 0.0
    stopped: str = ""


@dataclass(frozen=True)
class Foresight:
    """`stopped` is why she would be asked nothing at all today, empty when nothing stops it; `again` the text of a
    question that was shown to her today and is still open: she would see it again."""

    stopped: str
    questions: tuple[Prospect, ...]
    again: str = ""

    @property
    def next(self) -> Prospect | None:
        """The one she would be asked (leaving aside what is drawn by lot)."""
        best = self.questions[0] if self.questions else None
        return best if best and not self.stopped and not best.stopped and best.score > 0 else None


def foresee(profile: Profile) -> Foresight:
    """The questions switched on, those that may be asked first, best first; then the others with what stops them."""
    settings, customer = how_we_ask(), Customer.of(profile)
    caps = settings.caps()
    stopped = "switched_off" if not settings.asking else getattr(stopped_by(customer, caps), "name", "")
    free, refusals = eligible(customer.candidates(), clock.today(), caps)
    text = {each.key: each.text for each in customer.questions}
    options = Choosing(customer, settings, refusals).weigh(free)[0] if free else []
    ranked = sorted(options, key=lambda each: (-each.score, each.key))
    open_to_her = [Prospect(each.key, text[each.key], each.value, each.chance, each.score) for each in ranked]
    closed = [Prospect(key, text[key], stopped=QUESTION_SENTENCES[rule]) for key, rule in sorted(refusals.items())]
    again = customer.still_open()
    if settings.asking and again:
        return Foresight("", (*open_to_her, *closed), again.question.text)
    return Foresight(SENTENCES.get(stopped, ""), (*open_to_her, *closed))
