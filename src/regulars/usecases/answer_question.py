"""She answers, passes, or asks us to stop. One transaction each."""

from __future__ import annotations

from django.utils.datastructures import MultiValueDict

from regulars.consent.models import ConsentEvent, ConsentState, Purpose
from regulars.consent.record import Decision
from regulars.profiles.learn import NewFact
from regulars.questions import answer as asks
from regulars.questions.models import Impression

from .unit_of_work import Changes, changes


def answer(ask: Impression, form: MultiValueDict[str, str], *, app: str = "") -> bool:
    """Keep what she said as a fact of hers, with the consent that her answer is. False: the ask was closed already.

    "Prefer not to say" and "I don't know" are answers too; they close the question and keep nothing. `app` is the client
    id of the app that asked on a page of its own: the fact and the ledger name it.

    Raises `BadAnswer`; then nothing was written and the ask stays open.
    """
    if unsaid := asks.left_unsaid(ask, form):
        return _leave(ask, unsaid)
    said = asks.read_answer(ask, form, app)
    with changes(ask.profile, "question") as c:
        if not asks.close(ask, Impression.Outcome.ANSWERED, said):
            return False
        consents = _consents(c, ask, said, app)
        if said.consent is None:
            basis = ask.question.purpose.basis
            c.learn(
                [NewFact(said.attribute, said.value, said.source_kind, said.source, basis=basis, consents=consents)]
            )
        _note(c, ask, "Question Answered")
    return True


def pass_over(ask: Impression) -> bool:
    """Not now. False: the ask was closed already."""
    with changes(ask.profile, "question") as c:
        if closed := asks.pass_over(ask):
            _note(c, ask, "Question Passed")
    return closed


def never_again(ask: Impression) -> bool:
    """Stop asking her. False: the ask was closed already."""
    with changes(ask.profile, "question") as c:
        if closed := asks.never_again(ask):
            _note(c, ask, "Question Declined")
    return closed


def _leave(ask: Impression, outcome: str) -> bool:
    """She prefers not to say, or does not know: the question rests for long, and nothing is kept of her but that."""
    with changes(ask.profile, "question") as c:
        if closed := asks.close(ask, outcome):
            _note(c, ask, "Question Left Open")
    return closed


def _consents(c: Changes, ask: Impression, said: asks.Answer, app: str) -> list[int]:
    """Answering below the words of a consent purpose is the consent: the ledger keeps those words.

    The answer to a consent question is nothing else, and explicit: a yes or a no.
    """
    purpose = ask.question.purpose
    if purpose.basis != Purpose.Basis.CONSENT:
        return []
    decision = Decision(
        purpose.key,
        ConsentEvent.Action.REFUSED if said.consent is False else ConsentEvent.Action.GIVEN,
        "question",
        words=ask.words,
        locale=ask.locale,
        explicit=said.consent is not None or _was_explicit(ask, purpose),
        evidence={"ask": ask.pk, "question": f"{ask.question.key}@{ask.version}", **({"app": app} if app else {})},
    )
    return [c.decide(decision).pk]


def _was_explicit(ask: Impression, purpose: Purpose) -> bool:
    """An explicit yes stays one when an answer below its words says it again."""
    return ConsentState.objects.filter(
        profile=ask.profile, purpose=purpose, status=ConsentEvent.Action.GIVEN, event__explicit=True
    ).exists()


def _note(c: Changes, ask: Impression, name: str) -> None:
    """What she answered is not copied onto the event: the gate guards facts, and events pass it by."""
    c.record_event(name, {"question": ask.question.key, "version": ask.version})
