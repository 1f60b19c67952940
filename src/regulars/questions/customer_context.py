"""One customer's data for question selection: impressions, known attributes, usable data. Read once per login."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from django.db.models import Count

from regulars.base import clock
from regulars.base.conditions import Condition, EventSeen, holds, needed_events
from regulars.consent.models import ConsentEvent, ConsentState
from regulars.consent.status import purposes_closed_to_questions
from regulars.consent.uses import with_usable_events
from regulars.consent.view import current_views, view
from regulars.events.read import read_needed
from regulars.profiles.birthdays import age_on, days_of_birth
from regulars.profiles.learn import known_among
from regulars.profiles.models import Attribute, Profile
from regulars.profiles.resolve import TIERS, Value

from .models import Impression, PriorityBoost, Question
from .policy import CustomerExposure, QuestionExposure
from .scoring import ConfirmableValue, ScorableQuestion, UsableData
from .targets import condition_of

Outcome = Impression.Outcome
Action = ConsentEvent.Action
BIRTH = ("birthdate", "birth_year")
PROFILING = "personalise"  # the kind of purpose an objection to which ends all questions
DECLINED = (Outcome.DECLINED, Outcome.DONT_KNOW)
MONTH = dt.timedelta(days=30)
OWN_ANSWERS = ("corrected", "declared")
WELL_KNOWN = (*OWN_ANSWERS, "verified")
MOMENT = dt.timedelta(microseconds=1)


@dataclass
class CustomerContext:
    """`questions` are those switched on; `impressions` are the customer's, in the order of days."""

    profile: Profile
    questions: list[Question]
    impressions: list[Impression]
    _events: dict[str, list[EventSeen]] = field(default_factory=dict)
    _conditions: frozenset[Condition] = frozenset()

    @classmethod
    def load(cls, profile: Profile) -> CustomerContext:
        questions = Question.objects.filter(enabled=True, purpose__active=True).select_related("purpose")
        impressions = Impression.objects.filter(profile=profile).select_related("question").order_by("day", "pk")
        return cls(profile, list(questions.order_by("key")), list(impressions))

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        return {each.key: each for each in Attribute.objects.all()}

    @cached_property
    def states(self) -> dict[str, ConsentState]:
        states = ConsentState.objects.filter(profile=self.profile).select_related("event", "purpose")
        return {each.purpose_id: each for each in states}

    @cached_property
    def to_confirm(self) -> dict[str, ConfirmableValue]:
        return values_to_confirm(self.profile, [each for each in self.questions if self._purpose_is_open(each)])

    @cached_property
    def known_attributes(self) -> set[str]:
        return known_among(self.profile, {question.attribute for question in self.questions})

    @cached_property
    def _permitted_terms(self) -> dict[str, dict[str, list[str]]]:
        return dict(current_views().filter(profile=self.profile).values_list("purpose_id", "terms"))

    def usable_data(self, conditions: Iterable[Condition] = ()) -> UsableData:
        """Return the terms by purpose, with the customer's events that decide these conditions, and those asked for before."""
        if missing := frozenset(conditions) - self._conditions:
            self._conditions |= missing
            needed = needed_events(self._conditions, clock.now())
            self._events = {
                name: [EventSeen(event.at, event.terms) for event in events]
                for (_, name), events in read_needed([self.profile.pk], needed).items()
            }
        return UsableData(self._permitted_terms, lambda name: self._events.get(name, []))

    def exposure(self, interactive: bool) -> CustomerExposure:
        closed = [each for each in self.impressions if each.outcome != Outcome.SHOWN]
        passes = 0
        for impression in reversed(closed):
            if impression.outcome != Outcome.PASSED:
                break
            passes += 1
        states = self.states.values()
        return CustomerExposure(
            last_shown=max((each.day for each in self.impressions), default=None),
            opted_out=any(each.outcome == Outcome.NEVER for each in self.impressions),
            recent_impressions=self.recent_impressions(),
            passes_in_a_row=passes,
            last_passed=closed[-1].day if passes else None,
            logins=self.profile.logins_count,
            objected=any(each.status == Action.OBJECTED and each.purpose.kind == PROFILING for each in states),
            interactive=interactive,
        )

    def recent_impressions(self) -> int:
        since = clock.today() - MONTH
        return sum(each.day > since for each in self.impressions)

    def is_under(self, age: int) -> bool:
        """Return whether any source gives a lower age. With only a year known, the lowest age it allows counts."""
        facts = self.profile.facts.filter(attribute__in=BIRTH, retracted_at=None).exclude(value=None)
        today = clock.today()
        born = map(days_of_birth, facts.values_list("value", flat=True))
        return any(age_on(days[1], today) < age for days in born if days is not None)

    def question_exposures(self) -> list[QuestionExposure]:
        answered = self._answered_this_month()
        return [self._exposure_of(question, answered.get(question.pk, 0)) for question in self.questions]

    def scorable(self, keys: Iterable[str], data: UsableData) -> list[ScorableQuestion]:
        """Return the questions of these keys with the purposes that an answer may serve.

        Answering opens the question's own purpose. Any other must be open already, and the attribute kept for it.
        """
        wanted, found = set(keys), []
        for question in (each for each in self.questions if each.key in wanted):
            attribute = self.attributes.get(question.attribute)
            usable = attribute.purposes if attribute and attribute.sensitivity != Attribute.Sensitivity.SPECIAL else []
            purposes = frozenset(each for each in usable if each == question.purpose_id or data.is_open(each))
            to_confirm = self.to_confirm.get(question.key)
            found.append(ScorableQuestion(question.key, question.attribute, purposes, to_confirm))
        return found

    def boosts(self) -> dict[str, float]:
        """Return question key → the weight that a priority boost adds for this customer."""
        active = PriorityBoost.objects.filter(profile=self.profile, until__gt=clock.now())
        return dict(active.values_list("question__key", "weight"))

    def is_known(self, question: Question) -> bool:
        """Return whether nothing is left to ask: a value to confirm makes even a known answer worth a question."""
        if question.key in self.to_confirm:
            return False
        if question.kind.gives_consent:
            return question.purpose_id in self.states
        return question.kind.confirms or question.attribute in self.known_attributes

    def open_impression(self) -> Impression | None:
        """Return today's impression, unless it was closed, the question withdrawn, or the answer came from elsewhere.

        An impression that follows another belongs to that session, not to another login.
        """
        current = {(each.pk, each.version): each for each in self.questions if self._purpose_is_open(each)}
        for impression in self.impressions:
            question = current.get((impression.question_id, impression.version))
            if (
                impression.day == clock.today()
                and impression.follows_id is None
                and impression.outcome == Outcome.SHOWN
                and question
                and not self.is_known(question)
            ):
                return impression
        return None

    def _exposure_of(self, question: Question, answered: int) -> QuestionExposure:
        of_this = [each for each in self.impressions if each.question_id == question.pk]
        passes = [each.day for each in of_this if each.outcome == Outcome.PASSED]
        attribute = self.attributes.get(question.attribute)
        sensitivity = attribute.sensitivity if attribute else Attribute.Sensitivity.NORMAL
        age = clock.now() - self.profile.created_at
        return QuestionExposure(
            key=question.key,
            attribute=question.attribute,
            weight=question.weight,
            shown=sum(each.outcome != Outcome.ANSWERED for each in of_this),
            passed=len(passes),
            last_passed=max(passes, default=None),
            last_declined=max((each.day for each in of_this if each.outcome in DECLINED), default=None),
            is_known=self.is_known(question),
            purpose_is_open=self._purpose_is_open(question),
            may_be_asked=sensitivity != Attribute.Sensitivity.SPECIAL or self._has_explicit_consent(question),
            is_due=self.profile.logins_count >= question.not_before_logins
            and age >= dt.timedelta(days=question.not_before_days),
            has_quota=question.quota is None or answered < question.quota,
            in_audience=self._in_audience(question),
            may_explore=sensitivity == Attribute.Sensitivity.NORMAL,
        )

    @cached_property
    def _closed_purposes(self) -> set[str]:
        return purposes_closed_to_questions(self.profile)

    def _purpose_is_open(self, question: Question) -> bool:
        return question.purpose_id not in self._closed_purposes

    def _has_explicit_consent(self, question: Question) -> bool:
        """A consent question is how explicit consent is given; any other about a special category waits for it."""
        if question.kind.gives_consent:
            return True
        state = self.states.get(question.purpose_id)
        if state is None or (state.expires_at and state.expires_at <= clock.now()):
            return False
        return state.status == Action.GIVEN and bool(state.event.explicit)

    def _in_audience(self, question: Question) -> bool | None:
        if not question.audience:
            return True
        condition = with_usable_events(condition_of(question.audience))
        data = self.usable_data(self._audiences)
        return holds(condition, data.person(question.purpose_id), clock.now())

    @cached_property
    def _audiences(self) -> frozenset[Condition]:
        """All audiences, whose events are read at once."""
        return frozenset(condition_of(each.audience) for each in self.questions if each.audience)

    def _answered_this_month(self) -> dict[int, int]:
        limited = [question.pk for question in self.questions if question.quota is not None]
        if not limited:
            return {}
        since = clock.now() - MONTH
        rows = Impression.objects.filter(question__in=limited, outcome=Outcome.ANSWERED, closed_at__gte=since)
        return dict(rows.order_by().values_list("question_id").annotate(Count("id")))


def values_to_confirm(profile: Profile, questions: Iterable[Question]) -> dict[str, ConfirmableValue]:
    """Return question key → the value to confirm, of the questions that have a text for it.

    Such a value comes from another source, is disputed, or is the customer's own answer that expired. Only values that
    the question's purpose may use count.
    """
    able = [each for each in questions if each.kind.confirms or each.confirm]
    found: dict[str, ConfirmableValue] = {}
    for purpose in {each.purpose_id for each in able}:
        permitted = view(profile, purpose)
        current = {each.fact_id for each in permitted.values()}
        for question in (each for each in able if each.purpose_id == purpose):
            value = permitted.get(question.attribute) or _expired_answer(profile, question)
            if value is None or not isinstance(value.value, str | int | float):
                continue
            if value.source_kind not in WELL_KNOWN or value.disputed or value.fact_id not in current:
                # An own answer that expired is worth no more than an imported list.
                reliability = min(TIERS[value.source_kind][1], TIERS["imported"][1]) * value.confidence
                found[question.key] = ConfirmableValue(value.value, reliability)
    return found


def _expired_answer(profile: Profile, question: Question) -> Value | None:
    """Return the customer's own last answer that may still be used, but for its age."""
    old = profile.facts.filter(
        attribute=question.attribute, source_kind__in=OWN_ANSWERS, retracted_at=None, expires_at__lte=clock.now()
    )
    fact = old.order_by("-collected_at", "-id").first()
    if fact is None or fact.expires_at is None:
        return None
    then = view(profile, question.purpose_id, at=fact.expires_at - MOMENT).get(question.attribute)
    return then if then and then.fact_id == fact.pk else None
