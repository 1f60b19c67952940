"""Show a customer the next question, once a day however many logins race; record why, or why not."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TypedDict, TypeVar

from django.db import transaction
from django.db.models import Count

from regulars.base import clock
from regulars.consent.status import purposes_closed_to_questions
from regulars.profiles.models import Profile

from .answer_model import get_model_bundle
from .customer_context import CustomerContext, values_to_confirm
from .model import ModelBundle, ResponseRate, chance_of_answer, person_effect
from .models import Impression, Question, QuestionSettings, SelectionDecision
from .policy import (
    Candidate,
    Caps,
    NotShown,
    NotShownReason,
    Policy,
    QuestionExposure,
    RandomDraw,
    Rejections,
    Selection,
    eligible,
    reason_for_customer,
    reason_for_rejections,
    select,
)
from .scoring import QuestionValue, score, value_questions
from .settings import get_question_settings
from .wording import QuestionWording, choose_wording

__all__ = [
    "NotShown",
    "as_of_now",
    "ask_one_more",
    "may_offer_more",
    "next_question",
    "notice_of",
    "show_again",
    "show_in",
]

log = logging.getLogger("regulars.questions")
Result = TypeVar("Result", Impression, NotShown)

# The value of an answer by itself, per weight, whatever segments it serves: the price of two passes, so that a question
# the marketer switched on is shown while more than a third would answer; and a little where no segment makes a pass dear.
OWN_VALUE_IN_PASSES, MIN_OWN_VALUE = 2.0, 0.1
CROWDED_SHARE, CROWDED_FROM = 0.4, 50  # share of a day's impressions above which a question gives way to a close one
REPEATED_REFUSAL = dt.timedelta(days=1)  # within which an app gets the same "no" without another decision recorded
SESSION = dt.timedelta(minutes=15)  # after which an answer is no longer a reason to offer another question
EXPLAINED_SEGMENTS = 3


class Explanation(TypedDict):
    """`Impression.explanation`: why this question was selected."""

    value: float
    chance: float
    price: float
    score: float
    runner_up: str
    segments: list[str]
    policy: str
    probability: float
    explored: bool


@dataclass(frozen=True)
class SelectionRequest:
    """Where the question is shown. `in_app`: the app itself asks, at any page, not a login."""

    locale: str = "en"
    client_id: str = ""
    in_app: bool = False


@dataclass(frozen=True)
class ScoredQuestions:
    """The questions that may be shown, scored for one customer, and the inputs of the scores."""

    candidates: list[Candidate]
    values: dict[str, QuestionValue]
    rejections: Rejections
    price: float
    bundle: ModelBundle


@dataclass(frozen=True)
class DecisionDetails:
    """The figures of a decision that `SelectionDecision` records."""

    rejections: Rejections = field(default_factory=dict)
    candidates: dict[str, dict[str, float]] = field(default_factory=dict)
    price: float = 0.0
    policy: str = ""


def next_question(
    profile: Profile,
    *,
    locale: str = "en",
    client_id: str = "",
    caps: Caps | None = None,
    interactive: bool = True,
    in_app: bool = False,
) -> Impression | NotShown:
    """Return the impression to show now, recorded as shown; or why none. Never raises: a login must not fail by it.

    A question shown earlier today and still open is shown again. Two logins at once get the same impression.
    `interactive=False` for `prompt=none`, a step-up, a checkout or `ask=0`. `caps` override the operator's settings.
    `in_app`: an app asks by itself; the rules are the same, and the same "no" to it is recorded once a day.
    """
    try:
        with transaction.atomic():
            return _decide(profile, SelectionRequest(locale, client_id[:64], in_app), caps, interactive)
    except Exception:
        log.exception("no question could be selected for profile %s", profile.pk)
        return NotShown(NotShownReason.UNAVAILABLE)


def notice_of(question: Question, text: str = "", why: str = "", use: str = "") -> str:
    """Return the text that the page shows with one question, as the consent ledger stores it."""
    return f"{text or question.text}\n{why or question.why}\n{use or question.purpose.text}"


def _decide(profile: Profile, request: SelectionRequest, caps: Caps | None, interactive: bool) -> Impression | NotShown:
    settings = get_question_settings()
    customer = CustomerContext.load(profile)
    if not settings.asking:
        return _record(profile, request, NotShown(NotShownReason.SWITCHED_OFF))
    if interactive and (shown_today := customer.open_impression()) and (again := as_of_now(shown_today)):
        return again
    caps = caps or settings.caps()
    if stopped := stopped_by(customer, caps, interactive):
        return _record(profile, request, stopped)
    free, rejections = eligible(customer.question_exposures(), clock.today(), caps)
    if not free:
        return _record(profile, request, reason_for_rejections(rejections))
    return _select_and_show(customer, score_questions(customer, settings, free, rejections), settings, request)


def stopped_by(
    customer: CustomerContext, caps: Caps, interactive: bool = True, *, wants_more: bool = False
) -> NotShown | None:
    """Return why this customer is shown no question, or None.

    The age is read only when nothing else stops. `wants_more`: the customer's wish lifts the pause and no other rule.
    """
    exposure = customer.exposure(interactive)
    exposure = replace(exposure, last_shown=None) if wants_more else exposure
    stopped = reason_for_customer(exposure, clock.today(), caps)
    young = stopped is None and customer.is_under(caps.adult_age)
    return NotShown(NotShownReason.UNDER_AGE) if young else stopped


def score_questions(
    customer: CustomerContext, settings: QuestionSettings, free: Sequence[QuestionExposure], rejections: Rejections
) -> ScoredQuestions:
    """Score the questions that no rule stops, for this customer now. Writes nothing."""
    bundle = get_model_bundle(customer.questions, customer.attributes, settings)
    price = settings.pace * bundle.entropy
    data = customer.usable_data(bundle.space.conditions)
    scorable = customer.scorable((each.key for each in free), data)
    values = value_questions(scorable, bundle, data, clock.now(), seed=customer.profile.pk)
    boosts, recent = customer.boosts(), customer.recent_impressions()
    answered = [(each.outcome == Impression.Outcome.ANSWERED, each.chance) for each in customer.impressions]
    person = person_effect(answered)
    own_value = max(OWN_VALUE_IN_PASSES * price, MIN_OWN_VALUE)
    candidates = []
    for each in free:
        value = values[each.key].value + own_value * (each.weight + boosts.get(each.key, 0.0))
        chance = chance_of_answer(bundle.rates.get(each.key, ResponseRate()), person, each.passed, recent)
        candidates.append(Candidate(each.key, value, chance, score(value, chance, price), each.may_explore))
    return ScoredQuestions(candidates, values, rejections, price, bundle)


def _select_and_show(
    customer: CustomerContext,
    scored: ScoredQuestions,
    settings: QuestionSettings,
    request: SelectionRequest,
    after: Impression | None = None,
) -> Impression | NotShown:
    """Select one of the scored questions and record it as shown.

    `after`: the customer wanted one more after that answer, so nothing is random. Nothing is random either before there
    are enough impressions for the figures of control and exploration to mean anything.
    """
    measures = after is None and scored.bundle.shown >= settings.measure_from
    control, explore = (settings.control_share, settings.explore_share) if measures else (0.0, 0.0)
    policy = Policy(scored.price, control, explore)
    crowded = crowded_today() if explore else frozenset()
    selected = select(scored.candidates, policy, random_draw(customer.profile), crowded)
    figures = {each.key: _rounded(value=each.value, chance=each.chance, score=each.score) for each in scored.candidates}
    details = DecisionDetails(scored.rejections, figures, scored.price, scored.bundle.version)
    if isinstance(selected, NotShown):
        return _record(customer.profile, request, selected, details)
    impression, created = _get_or_create_impression(customer, scored, selected, request, after)
    if created:
        _record(customer.profile, request, impression, details)
    if created:
        return impression
    again = as_of_now(impression) if impression.outcome == Impression.Outcome.SHOWN else None
    return again or NotShown(NotShownReason.ASKED_RECENTLY)


def _get_or_create_impression(
    customer: CustomerContext,
    scored: ScoredQuestions,
    selected: Selection,
    request: SelectionRequest,
    after: Impression | None,
) -> tuple[Impression, bool]:
    """Record the selected question as shown; of two logins at once both get the first's impression."""
    profile, value = customer.profile, scored.values[selected.key]
    question = next(each for each in customer.questions if each.key == selected.key)
    to_confirm = customer.to_confirm.get(question.key)
    wording = choose_wording(question, request.locale, profile.pk)
    text = wording.text_for(question.label_of(to_confirm.value) if to_confirm else "")
    unique = {"follows": after} if after else {"profile": profile, "day": clock.today(), "follows": None}
    return Impression.objects.get_or_create(
        **unique,
        defaults={
            "profile": profile,
            "day": clock.today(),
            "question": question,
            "version": question.version,
            "variant": wording.variant,
            "shown_at": clock.now(),
            "words": notice_of(question, text, wording.why, wording.use),
            "to_confirm": to_confirm.value if to_confirm else None,
            "locale": wording.locale,
            "client_id": request.client_id,
            "value": selected.value,
            "chance": selected.chance,
            "probability": selected.probability,
            "explored": selected.explored,
            "explanation": explain(selected, scored),
            "after": _rounded(before=value.before, expected=value.value, **value.after),
        },
    )


def explain(selected: Selection, scored: ScoredQuestions) -> Explanation:
    """Explain a selection: value and price in bits, chance of an answer, the runner-up, the segments served most."""
    served_user = sorted(scored.values[selected.key].bits.items(), key=lambda each: -each[1])[:EXPLAINED_SEGMENTS]
    return {
        "value": round(selected.value, 5),
        "chance": round(selected.chance, 5),
        "price": round(scored.price, 5),
        "score": round(selected.score, 5),
        "runner_up": selected.runner_up,
        "segments": [slug for slug, bits in served_user if bits >= 0.005],
        "policy": scored.bundle.version,
        "probability": round(selected.probability, 4),
        "explored": selected.explored,
    }


def random_draw(profile: Profile) -> RandomDraw:
    """Return the same draw for one customer all day: two logins at once decide alike, and decisions can be checked."""
    digest = sha256(f"{profile.pk}:{profile.user_id}:{clock.today()}".encode()).digest()
    return RandomDraw(*(int.from_bytes(digest[start : start + 8]) / 2**64 for start in (0, 8, 16)))


def crowded_today() -> frozenset[str]:
    """Return the questions that make up more than two fifths of today's impressions."""
    rows = Impression.objects.filter(day=clock.today()).order_by().values_list("question__key").annotate(Count("id"))
    counts: dict[str, int] = dict(rows)
    total = sum(counts.values())
    crowded = (key for key, number in counts.items() if number > CROWDED_SHARE * total)
    return frozenset(crowded) if total >= CROWDED_FROM else frozenset()


def _record(
    profile: Profile, request: SelectionRequest, result: Result, details: DecisionDetails | None = None
) -> Result:
    """Record the decision of a login, with its reason and its probability.

    An app may ask at every page it shows; the same refusal is recorded once a day, so that the others stay visible.
    """
    not_shown = result if isinstance(result, NotShown) else None
    if not_shown and request.in_app:
        same = SelectionDecision.objects.filter(
            profile=profile,
            client_id=request.client_id,
            reason=not_shown.reason,
            at__gte=clock.now() - REPEATED_REFUSAL,
        )
        if same.exists():
            return result
    details = details or DecisionDetails(not_shown.rejections if not_shown else {})
    SelectionDecision.objects.create(
        profile=profile,
        at=clock.now(),
        client_id=request.client_id,
        impression=result if isinstance(result, Impression) else None,
        reason=not_shown.reason if not_shown else "asked",
        probability=result.probability,
        rejections=details.rejections,
        candidates=details.candidates,
        price=details.price,
        policy=details.policy,
    )
    return result


def may_offer_more(after: Impression) -> bool:
    """Return whether another question may be offered after this answer: one is worth asking. Writes nothing."""
    try:
        found = _score_one_more(after)
        return not isinstance(found, NotShown) and any(each.score > 0 for each in found[1].candidates)
    except Exception:
        log.exception("could not decide whether to offer another question after impression %s", after.pk)
        return False


def ask_one_more(after: Impression, locale: str) -> Impression | NotShown:
    """Return one more question that the customer wants, recorded as shown. Two clicks get the same. Never raises."""
    try:
        with transaction.atomic():
            found = _score_one_more(after)
            if isinstance(found, NotShown):
                return found
            customer, scored = found
            request = SelectionRequest(locale, after.client_id)
            return _select_and_show(customer, scored, get_question_settings(), request, after)
    except Exception:
        log.exception("no further question could be selected after impression %s", after.pk)
        return NotShown(NotShownReason.UNAVAILABLE)


def show_in(impression: Impression, locale: str) -> Impression:
    """Return the open impression in the language of the page, and record the words as shown. A closed one stays as it was.

    A question is shown once a day. The customer may have begun in another language or chosen one since, and the text of the
    purpose may have changed.
    """
    question = impression.question
    if impression.outcome != Impression.Outcome.SHOWN or impression.version != question.version:
        return impression
    current = as_of_now(impression) or impression
    return _record_shown(current, choose_wording(question, locale, impression.profile_id))


def as_of_now(impression: Impression) -> Impression | None:
    """Return an open impression without a value to confirm that may not be used any more; None: the value was all it asked about.

    The value was read when the question was chosen. The customer may have withdrawn, deleted or corrected it since.
    """
    question, offered = impression.question, impression.to_confirm
    if offered is None:
        return impression
    current = values_to_confirm(impression.profile, [question]).get(question.key)
    if current is not None and current.value == offered:
        return impression
    if question.kind.confirms:
        return None
    impression.to_confirm = None
    Impression.objects.filter(pk=impression.pk, outcome=Impression.Outcome.SHOWN).update(to_confirm=None)
    return _record_shown(impression, choose_wording(question, impression.locale, impression.profile_id))


def show_again(impression: Impression, locale: str) -> Impression | None:
    """Return the open impression in the words of now, recorded as shown: the question changed after its page was shown.

    None when it is not for this customer any more, or asks about a value that may be another attribute's by now.
    """
    question = impression.question
    if impression.outcome != Impression.Outcome.SHOWN or not question.enabled:
        return None
    if question.purpose_id in purposes_closed_to_questions(impression.profile):
        return None
    if impression.version != question.version and (question.kind.confirms or impression.to_confirm is not None):
        return None
    return _record_shown(impression, choose_wording(question, locale, impression.profile_id))


def _record_shown(impression: Impression, wording: QuestionWording) -> Impression:
    """Record the wording of now as shown, if that is new and the impression is still open."""
    question = impression.question
    offered = question.label_of(impression.to_confirm) if impression.to_confirm is not None else ""
    shown = {
        "version": question.version,
        "locale": wording.locale,
        "variant": wording.variant,
        "words": notice_of(question, wording.text_for(offered), wording.why, wording.use),
        # what each answer would settle is of the attribute that the question was about
        "after": impression.after if impression.version == question.version else {},
    }
    new = any(getattr(impression, name) != value for name, value in shown.items())
    still_open = Impression.objects.filter(pk=impression.pk, outcome=Impression.Outcome.SHOWN)
    if new and still_open.update(**shown):
        for name, value in shown.items():
            setattr(impression, name, value)
    return impression


def _score_one_more(after: Impression) -> tuple[CustomerContext, ScoredQuestions] | NotShown:
    settings = get_question_settings()
    if not settings.asking:
        return NotShown(NotShownReason.SWITCHED_OFF)
    answered = after.outcome == Impression.Outcome.ANSWERED and after.closed_at is not None
    place, first = 0, after
    while first.follows is not None:
        first, place = first.follows, place + 1
    if not answered or clock.now() - (after.closed_at or clock.now()) >= SESSION or place >= settings.one_more:
        return NotShown(NotShownReason.SITTING_OVER)
    customer, caps = CustomerContext.load(after.profile), settings.caps()
    if stopped := stopped_by(customer, caps, wants_more=True):
        return stopped
    free, rejections = eligible(customer.question_exposures(), clock.today(), caps)
    if not free:
        return reason_for_rejections(rejections)
    return customer, score_questions(customer, settings, free, rejections)


def _rounded(**numbers: float) -> dict[str, float]:
    return {name: round(number, 5) for name, number in numbers.items()}
