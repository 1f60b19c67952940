"""Ask a customer the next question, once a day however many logins race."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db import transaction

from regulars.base.kit import clock
from regulars.consent.models import ConsentEvent, ConsentState
from regulars.profiles.learn import known_among
from regulars.profiles.models import Profile

from .choose import CAPS, Candidate, Caps, Choice, History, NotAsked, choose
from .models import Ask, Question

__all__ = ["NotAsked", "ask_next", "words_of"]

Outcome = Ask.Outcome
# Someone who took a yes back or objected is not asked under that purpose again. A plain "no" to something else that the
# purpose covers (a social permission) does not close it: a question of its own is how she may answer instead.
CLOSED = (ConsentEvent.Action.WITHDRAWN, ConsentEvent.Action.OBJECTED, ConsentEvent.Action.GPC)


@transaction.atomic
def ask_next(
    profile: Profile,
    *,
    locale: str = "en",
    client_id: str = "",
    caps: Caps = CAPS,
) -> Ask | NotAsked:
    """The question to show her now, written down as shown; or why none.

    A question shown earlier today and still open is the one to show again. Two logins at once get the same ask.
    """
    asks = list(Ask.objects.filter(profile=profile).select_related("question").order_by("day"))
    questions = _open_questions(profile)
    known = known_among(profile, {question.attribute for question in questions})
    today = clock.today()
    if still_open := _still_open(asks, questions, known, today):
        return still_open
    candidates = [_candidate(question, asks) for question in questions]
    choice = choose(candidates, known, _history(asks), today, caps)
    if isinstance(choice, NotAsked):
        return choice
    question = next(each for each in questions if each.key == choice.key)
    return _show(question, profile, choice, today, locale, client_id)


def words_of(question: Question) -> str:
    """What the page says of one question, as it goes into the ledger."""
    return f"{question.text}\n{question.why}\n{question.purpose.text}"


def _open_questions(profile: Profile) -> list[Question]:
    closed = ConsentState.objects.filter(profile=profile, status__in=CLOSED).values("purpose_id")
    questions = Question.objects.filter(enabled=True, purpose__active=True).exclude(purpose__in=closed)
    return list(questions.select_related("purpose").order_by("key"))


def _still_open(asks: Iterable[Ask], questions: list[Question], known: set[str], today: dt.date) -> Ask | None:
    """Today's ask, unless it was dealt with, withdrawn by the company, or answered from elsewhere meanwhile."""
    current = {(question.pk, question.version) for question in questions if question.attribute not in known}
    for ask in asks:
        if ask.day == today and ask.outcome == Outcome.SHOWN and (ask.question_id, ask.version) in current:
            return ask
    return None


def _candidate(question: Question, asks: Iterable[Ask]) -> Candidate:
    of_this = [ask for ask in asks if ask.question_id == question.pk]
    passes = [ask.day for ask in of_this if ask.outcome == Outcome.PASSED]
    return Candidate(
        key=question.key,
        attribute=question.attribute,
        weight=question.weight,
        shown=sum(ask.outcome != Outcome.ANSWERED for ask in of_this),
        passed=len(passes),
        last_passed=max(passes, default=None),
    )


def _history(asks: list[Ask]) -> History:
    return History(
        last_asked=max((ask.day for ask in asks), default=None),
        said_never=any(ask.outcome == Outcome.NEVER for ask in asks),
    )


def _show(
    question: Question, profile: Profile, choice: Choice, today: dt.date, locale: str, client_id: str
) -> Ask | NotAsked:
    ask, created = Ask.objects.get_or_create(
        profile=profile,
        day=today,
        defaults={
            "question": question,
            "version": question.version,
            "shown_at": clock.now(),
            "words": words_of(question),
            "locale": locale[:16],
            "client_id": client_id[:64],
            "value": choice.value,
        },
    )
    return ask if created or ask.outcome == Outcome.SHOWN else NotAsked("asked_recently")
