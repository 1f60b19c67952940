"""Ask a customer the next question, once a day however many logins race; and write down why, or why not."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Count

from regulars.base import clock
from regulars.profiles.models import Profile

from .appraise import Appraisal, appraise
from .choose import (
    Candidate,
    Caps,
    Choice,
    Dice,
    NotShown,
    Option,
    Policy,
    choose,
    eligible,
    refusal_of,
    score,
    silence,
)
from .customer import Customer
from .mind import Mind, get_mind
from .models import Impression, Question, QuestionSettings, SelectionDecision
from .propensity import Rate, chance_of_answer, person_effect
from .settings import how_we_ask
from .wording import choose_wording

__all__ = ["NotShown", "next_question", "words_of"]

log = logging.getLogger("regulars.questions")
Kept = TypeVar("Kept", Impression, NotShown)

# What an answer is worth by itself, per weight, whatever segments it serves: the price of two passes, so that a question
# the marketer switched on is asked while more than a third would answer; and a little where no segment makes a pass dear.
OWN_PASSES, OWN_LEAST = 2.0, 0.1
CROWDED, FEW_ASKS = 0.4, 50  # share of a day's asks above which a question gives way to one nearly as good
SAME_NO = dt.timedelta(days=1)  # for which an app hears it without another line in the book
SERVED = 3  # segments an explanation names


@dataclass(frozen=True)
class Place:
    """Where she is: in which app, reading which language. `in_app`: the app itself asks, at any page, not a login."""

    locale: str = "en"
    client_id: str = ""
    in_app: bool = False


def next_question(
    profile: Profile,
    *,
    locale: str = "en",
    client_id: str = "",
    caps: Caps | None = None,
    interactive: bool = True,
    in_app: bool = False,
) -> Impression | NotShown:
    """The question to show her now, written down as shown; or why none. Never raises: a login must not fail by it.

    A question shown earlier today and still open is the one to show again. Two logins at once get the same ask.
    `interactive=False` for `prompt=none`, a step-up, a checkout or `ask=0`. `caps` win over the operator's settings.
    `in_app`: an app asks by itself; the rules are the same, and the same "no" to it is written down once a day.
    """
    try:
        with transaction.atomic():
            return _decide(profile, Place(locale, client_id[:64], in_app), caps, interactive)
    except Exception:
        log.exception("no question could be chosen for profile %s", profile.pk)
        return NotShown("unavailable")


def words_of(question: Question, text: str = "", why: str = "", use: str = "") -> str:
    """What the page says of one question, as it goes into the ledger."""
    return f"{text or question.text}\n{why or question.why}\n{use or question.purpose.text}"


def _decide(profile: Profile, place: Place, caps: Caps | None, interactive: bool) -> Impression | NotShown:
    settings = how_we_ask()
    customer = Customer.of(profile)
    if not settings.asking:
        return _note(profile, place, NotShown("switched_off"))
    if interactive and (open_ask := customer.still_open()):
        return open_ask
    caps = caps or settings.caps()
    stopped = stopped_by(customer, caps, interactive)
    if stopped:
        return _note(profile, place, stopped)
    free, refusals = eligible(customer.candidates(), clock.today(), caps)
    if not free:
        return _note(profile, place, silence(refusals))
    return Choosing(customer, settings, refusals).ask_one_of(free, place)


def stopped_by(
    customer: Customer, caps: Caps, interactive: bool = True, *, wants_more: bool = False
) -> NotShown | None:
    """Her age is looked up only for somebody who would be asked. `wants_more`: her own word lifts the pause, nothing else."""
    history = customer.history(interactive)
    history = replace(history, last_asked=None) if wants_more else history
    stopped = refusal_of(history, clock.today(), caps)
    young = stopped is None and customer.is_under(caps.adult_age)
    return NotShown("under_age") if young else stopped


class Choosing:
    """From the questions that may be asked to the one that is."""

    def __init__(self, customer: Customer, settings: QuestionSettings, refusals: dict[str, str]) -> None:
        self.customer, self.settings, self.refusals = customer, settings, refusals
        self.mind = get_mind(customer.questions, customer.attributes, settings)
        self.price = settings.pace * self.mind.doubt
        customer.watch(frozenset(self.mind.world.events))

    def ask_one_of(self, free: list[Candidate], place: Place, after: Impression | None = None) -> Impression | NotShown:
        """`after`: she wanted one more after that answer, so nothing is left to chance."""
        profile = self.customer.profile
        questions = {each.key: each for each in self.customer.questions}
        options, appraised = self.weigh(free)
        policy = Policy(self.price) if after else _policy(self.settings, self.mind, self.price)
        choice = choose(options, policy, dice_of(profile), crowded_today() if policy.explore else frozenset())
        told = {each.key: _rounded(value=each.value, chance=each.chance, score=each.score) for each in options}
        if isinstance(choice, NotShown):
            return _note(profile, place, choice, self, told)
        return self._show(questions[choice.key], choice, appraised[choice.key], told, place, after)

    def weigh(self, free: list[Candidate]) -> tuple[list[Option], dict[str, Appraisal]]:
        """What each question that may be asked is worth now, and what that stands on."""
        asked_about = [each for each in self.customer.questions if each.key in {one.key for one in free}]
        known = replace(self.customer.known, offers=self.customer.offers)
        seed, attributes = self.customer.profile.pk, self.customer.attributes
        appraised = appraise(asked_about, attributes, self.mind, known, clock.now(), seed=seed)
        return self._options(free, appraised), appraised

    def _options(self, free: list[Candidate], appraised: dict[str, Appraisal]) -> list[Option]:
        wishes = self.customer.wishes()
        person = person_effect([(ask.outcome == Impression.Outcome.ANSWERED, ask.chance) for ask in self.customer.asks])
        lately = self.customer.asks_lately(clock.today())
        own = max(OWN_PASSES * self.price, OWN_LEAST)
        options = []
        for each in free:
            value = appraised[each.key].value + own * (each.weight + wishes.get(each.key, 0.0))
            chance = chance_of_answer(self.mind.rates.get(each.key, Rate()), person, each.passed, lately)
            options.append(Option(each.key, value, chance, score(value, chance, self.price), each.may_explore))
        return options

    def _show(
        self,
        question: Question,
        choice: Choice,
        appraisal: Appraisal,
        told: dict[str, Any],
        place: Place,
        after: Impression | None,
    ) -> Impression | NotShown:
        profile = self.customer.profile
        offer = self.customer.offers.get(question.key)
        wording = choose_wording(question, place.locale, profile.pk)
        asking = wording.asking(question.label_of(offer.value) if offer else "")
        only_one = {"follows": after} if after else {"profile": profile, "day": clock.today(), "follows": None}
        ask, created = Impression.objects.get_or_create(
            **only_one,
            defaults={
                "profile": profile,
                "day": clock.today(),
                "question": question,
                "version": question.version,
                "variant": wording.variant,
                "shown_at": clock.now(),
                "words": words_of(question, asking, wording.why, wording.use),
                "offer": offer.value if offer else None,
                "locale": wording.locale,
                "client_id": place.client_id,
                "value": choice.value,
                "chance": choice.chance,
                "probability": choice.probability,
                "explored": choice.explored,
                "explanation": explain(choice, appraisal, self),
                "after": _rounded(before=appraisal.before, expected=appraisal.value, **appraisal.after),
            },
        )
        if created:
            _note(profile, place, ask, self, told)
        return ask if created or ask.outcome == Impression.Outcome.SHOWN else NotShown("asked_recently")


def explain(choice: Choice, appraisal: Appraisal, choosing: Choosing) -> dict[str, Any]:
    """Why this question: value and price in bits, chance of an answer, who came second, the segments it serves most."""
    served = sorted(appraisal.bits.items(), key=lambda each: -each[1])[:SERVED]
    return {
        **_rounded(value=choice.value, chance=choice.chance, price=choosing.price, score=choice.score),
        "runner_up": choice.runner_up,
        "segments": [slug for slug, bits in served if bits >= 0.005],
        "policy": choosing.mind.version,
        "probability": round(choice.probability, 4),
        "explored": choice.explored,
    }


def dice_of(profile: Profile) -> Dice:
    """The same for one customer all day: two logins at once decide alike, and a decision can be checked later."""
    thrown = sha256(f"{profile.pk}:{profile.user_id}:{clock.today()}".encode()).digest()
    return Dice(*(int.from_bytes(thrown[start : start + 8]) / 2**64 for start in (0, 8, 16)))


def crowded_today() -> frozenset[str]:
    """The questions that make up more than two fifths of today's asks."""
    rows = Impression.objects.filter(day=clock.today()).order_by().values_list("question__key").annotate(Count("id"))
    asks: dict[str, int] = dict(rows)
    everything = sum(asks.values())
    return frozenset(key for key, number in asks.items() if everything >= FEW_ASKS and number > CROWDED * everything)


def _policy(settings: QuestionSettings, mind: Mind, price: float) -> Policy:
    """Nothing is left to chance before there are enough asks for its figures to say anything."""
    if mind.shown < settings.measure_from:
        return Policy(price)
    return Policy(price, settings.control_share, settings.explore_share)


def _note(
    profile: Profile,
    place: Place,
    came_of_it: Kept,
    choosing: Choosing | None = None,
    candidates: dict[str, Any] | None = None,
) -> Kept:
    """Every login's decision is kept, with its reason and its probability."""
    refused = came_of_it if isinstance(came_of_it, NotShown) else None
    if refused and place.in_app and _heard_today(profile, place, refused.name):
        return came_of_it
    SelectionDecision.objects.create(
        profile=profile,
        at=clock.now(),
        client_id=place.client_id,
        ask=came_of_it if isinstance(came_of_it, Impression) else None,
        reason=refused.name if refused else "asked",
        probability=came_of_it.probability,
        refusals=choosing.refusals if choosing else refused.refusals if refused else {},
        candidates=candidates or {},
        price=choosing.price if choosing else 0.0,
        policy=choosing.mind.version if choosing else "",
    )
    return came_of_it


def _heard_today(profile: Profile, place: Place, reason: str) -> bool:
    """An app may ask at every page it shows; a row for each would drown what happened."""
    today = SelectionDecision.objects.filter(profile=profile, client_id=place.client_id, reason=reason)
    return today.filter(at__gte=clock.now() - SAME_NO).exists()


def _rounded(**numbers: float) -> dict[str, float]:
    return {name: round(number, 5) for name, number in numbers.items()}
