"""One customer as the rules of asking see her: what she has met, what is known, what may be used. Read once per login."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Count

from regulars.base import clock
from regulars.base.conditions import EventSeen, holds, mentions
from regulars.consent.models import ConsentEvent, ConsentState, PermittedView
from regulars.consent.status import closed_to_questions
from regulars.events.read import named
from regulars.profiles.learn import known_among
from regulars.profiles.models import Attribute, Profile

from .appraise import Known
from .choose import Candidate, History
from .models import Impression, PriorityBoost, Question
from .offer import Offer, confirms, offers
from .targets import condition_of

Outcome = Impression.Outcome
Action = ConsentEvent.Action
BIRTH = ("birthdate", "birth_year")
PROFILING = "personalise"  # the kind of purpose an objection to which ends all asking
DECLINED = (Outcome.DECLINED, Outcome.DONT_KNOW)
LATELY = dt.timedelta(days=30)


@dataclass
class Customer:
    """`questions` are those switched on, `asks` hers in the order of days."""

    profile: Profile
    questions: list[Question]
    asks: list[Impression]

    @classmethod
    def of(cls, profile: Profile) -> Customer:
        questions = Question.objects.filter(enabled=True, purpose__active=True).select_related("purpose")
        asks = Impression.objects.filter(profile=profile).select_related("question").order_by("day", "pk")
        return cls(profile, list(questions.order_by("key")), list(asks))

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        return {each.key: each for each in Attribute.objects.all()}

    @cached_property
    def states(self) -> dict[str, ConsentState]:
        return {
            each.purpose_id: each
            for each in ConsentState.objects.filter(profile=self.profile).select_related("event", "purpose")
        }

    @cached_property
    def offers(self) -> dict[str, Offer]:
        return offers(self.profile, [each for each in self.questions if self._purpose_is_open(each)])

    @cached_property
    def known_attributes(self) -> set[str]:
        return known_among(self.profile, {question.attribute for question in self.questions})

    @cached_property
    def known(self) -> Known:
        rows = PermittedView.objects.filter(profile=self.profile).values_list("purpose_id", "terms")
        return Known(dict(rows), self._events)

    def history(self, interactive: bool) -> History:
        today = clock.today()
        answered = [ask for ask in self.asks if ask.outcome != Outcome.SHOWN]
        passes = 0
        for ask in reversed(answered):
            if ask.outcome != Outcome.PASSED:
                break
            passes += 1
        return History(
            last_asked=max((ask.day for ask in self.asks), default=None),
            said_never=any(ask.outcome == Outcome.NEVER for ask in self.asks),
            asks_lately=self.asks_lately(today),
            passes_in_a_row=passes,
            last_passed=answered[-1].day if passes else None,
            logins=self.profile.logins_count,
            objected=any(
                state.status == Action.OBJECTED and state.purpose.kind == PROFILING for state in self.states.values()
            ),
            interactive=interactive,
        )

    def asks_lately(self, today: dt.date) -> int:
        return sum(ask.day > today - LATELY for ask in self.asks)

    def is_under(self, age: int) -> bool:
        """Whether any source says that she is younger. In doubt about the day, she is as young as the year allows."""
        facts = self.profile.facts.filter(attribute__in=BIRTH, retracted_at=None).exclude(value=None)
        today = clock.today()
        return any(today < _birthday(value, age) for value in facts.values_list("value", flat=True))

    def candidates(self) -> list[Candidate]:
        answered = self._answered_this_month()
        return [self._candidate(question, answered.get(question.pk, 0)) for question in self.questions]

    def wishes(self) -> dict[str, float]:
        """Question key → the weight somebody's wish to find out adds."""
        open_wishes = PriorityBoost.objects.filter(profile=self.profile, until__gt=clock.now())
        return dict(open_wishes.values_list("question__key", "weight"))

    def is_known(self, question: Question) -> bool:
        """Something to confirm makes even a known answer worth a question; nothing to confirm leaves nothing to ask."""
        if question.key in self.offers:
            return False
        if getattr(question.kind, "gives_consent", False):
            return question.purpose_id in self.states
        return confirms(question) or question.attribute in self.known_attributes

    def still_open(self) -> Impression | None:
        """Today's ask, unless it was dealt with, withdrawn by the company, or answered from elsewhere meanwhile.

        One that she wanted after another belongs to that sitting, not to another login.
        """
        current = {(each.pk, each.version): each for each in self.questions if self._purpose_is_open(each)}
        for ask in self.asks:
            question = current.get((ask.question_id, ask.version))
            if (
                ask.day == clock.today()
                and ask.follows_id is None
                and ask.outcome == Outcome.SHOWN
                and question
                and not self.is_known(question)
            ):
                return ask
        return None

    def _candidate(self, question: Question, answered: int) -> Candidate:
        of_this = [ask for ask in self.asks if ask.question_id == question.pk]
        passes = [ask.day for ask in of_this if ask.outcome == Outcome.PASSED]
        attribute = self.attributes.get(question.attribute)
        sensitivity = attribute.sensitivity if attribute else Attribute.Sensitivity.NORMAL
        age = clock.now() - self.profile.created_at
        return Candidate(
            key=question.key,
            attribute=question.attribute,
            weight=question.weight,
            shown=sum(ask.outcome != Outcome.ANSWERED for ask in of_this),
            passed=len(passes),
            last_passed=max(passes, default=None),
            last_declined=max((ask.day for ask in of_this if ask.outcome in DECLINED), default=None),
            is_known=self.is_known(question),
            purpose_is_open=self._purpose_is_open(question),
            may_be_asked=sensitivity != Attribute.Sensitivity.SPECIAL or self._said_yes_explicitly(question),
            is_due=self.profile.logins_count >= question.not_before_logins
            and age >= dt.timedelta(days=question.not_before_days),
            has_quota=question.quota is None or answered < question.quota,
            in_audience=self._in_audience(question),
            may_explore=sensitivity == Attribute.Sensitivity.NORMAL,
        )

    @cached_property
    def _closed_purposes(self) -> set[str]:
        return closed_to_questions(self.profile)

    def _purpose_is_open(self, question: Question) -> bool:
        return question.purpose_id not in self._closed_purposes

    def _said_yes_explicitly(self, question: Question) -> bool:
        """A consent question is how the explicit yes is given; any other about a special category waits for it."""
        if getattr(question.kind, "gives_consent", False):
            return True
        state = self.states.get(question.purpose_id)
        lasts = state is not None and not (state.expires_at and state.expires_at <= clock.now())
        return bool(lasts and state and state.status == Action.GIVEN and state.event.explicit)

    def _in_audience(self, question: Question) -> bool | None:
        if not question.audience:
            return True
        return holds(condition_of(question.audience), self.known.person(question.purpose_id), clock.now())

    def _answered_this_month(self) -> dict[int, int]:
        limited = [question.pk for question in self.questions if question.quota is not None]
        if not limited:
            return {}
        rows = Impression.objects.filter(
            question__in=limited, outcome=Outcome.ANSWERED, closed_at__gte=clock.now() - LATELY
        )
        return dict(rows.order_by().values_list("question_id").annotate(Count("id")))

    def _events(self, name: str) -> Sequence[EventSeen]:
        return self._seen.get(name, [])

    @cached_property
    def _seen(self) -> dict[str, list[EventSeen]]:
        """Her events that any audience or segment mentions, read at once."""
        by_name: dict[str, list[EventSeen]] = {}
        for event in named([self.profile.pk], self._names()) if self._names() else ():
            by_name.setdefault(event.name, []).append(EventSeen(event.at, event.terms))
        return by_name

    def _names(self) -> frozenset[str]:
        audiences = (condition_of(each.audience) for each in self.questions if each.audience)
        return self.watched_events.union(*(mentions(condition).events for condition in audiences))

    watched_events: frozenset[str] = frozenset()

    def watch(self, events: frozenset[str]) -> None:
        """The segments' events matter as well; what an audience had read before is read anew with them."""
        if not events <= self.watched_events:
            self.watched_events = events
            self.__dict__.pop("_seen", None)


def _birthday(value: Any, age: int) -> dt.date:
    """The day on which somebody born then reaches an age; a year or month alone counts from its end."""
    parts = str(value).split("-")
    try:
        year = int(parts[0]) + age
        month = int(parts[1]) if len(parts) > 1 else 12
        day = int(parts[2]) if len(parts) > 2 else 28 if len(parts) == 2 else 31
        return dt.date(year, month, min(day, 28) if month == 2 else day)
    except ValueError:
        return dt.date.min
