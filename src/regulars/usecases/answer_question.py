"""Answer, pass or decline a question that was shown. One transaction each."""

from __future__ import annotations

from dataclasses import replace

from django.utils.datastructures import MultiValueDict

from regulars.base.errors import Invalid
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.notices import NoticeChangedError, ShownNotice, find_shown, require_shown
from regulars.consent.record import Decision
from regulars.consent.status import TOO_YOUNG, is_barred
from regulars.events.own_events import OwnEvent
from regulars.profiles.assertions import Asserter
from regulars.profiles.learn import NewFact, accepted
from regulars.profiles.models import Attribute
from regulars.questions.answer import BadAnswer, GivenAnswer, close, read_answer, skip_option
from regulars.questions.models import Impression

from .shown_notices import question_notice
from .unit_of_work import Changes, changes

EVENTS = {
    Impression.Outcome.ANSWERED: OwnEvent.QUESTION_ANSWERED,
    Impression.Outcome.PASSED: OwnEvent.QUESTION_PASSED,
    Impression.Outcome.NEVER: OwnEvent.QUESTION_DECLINED,
    Impression.Outcome.DECLINED: OwnEvent.QUESTION_LEFT_OPEN,
    Impression.Outcome.DONT_KNOW: OwnEvent.QUESTION_LEFT_OPEN,
}


def answer(impression: Impression, form: MultiValueDict[str, str], *, app: str = "") -> bool:
    """Keep the answer as a fact, with the consent that it gives. False: the impression was closed already.

    "Prefer not to say" and "I don't know" are answers too; they close the question and keep nothing. `app` is the client
    id of the app that asked on a page of its own: the fact and the consent ledger name it. `form["notice"]` is the hash
    that the page carried (`shown_notices.show_question`): of another notice than that of now, only a no counts.

    Raises `BadAnswer` and `NoticeChangedError`; then nothing was written and the impression stays open.
    """
    if skipped := skip_option(impression, form):
        return _close_without_answer(impression, skipped)
    if impression.outcome != Impression.Outcome.SHOWN:
        return False
    notice = _notice_read(impression, form.get("notice") or "")
    given = read_answer(impression, form, app)
    if given.consent is not False:
        require_shown(question_notice(impression), notice.hash)
    purpose = impression.question.purpose
    fact = NewFact(
        given.attribute,
        given.value,
        given.source_kind,
        given.source,
        basis=purpose.basis,
        purpose=purpose.key,
        asserter=Asserter.CUSTOMER,
    )
    if given.consent is None:
        attribute = Attribute.objects.filter(key=given.attribute).first()
        try:
            accepted(attribute, given.attribute, fact)
        except Invalid as error:
            raise BadAnswer(error.code, error.message) from None
    with changes(impression.profile, "question") as c:
        gives = purpose.basis == Purpose.Basis.CONSENT and given.consent is not False
        if gives and is_barred(c.profile):
            raise BadAnswer("too_young", TOO_YOUNG)
        if not close(impression, Impression.Outcome.ANSWERED, given):
            return False
        consents = _record_consent(c, impression, given, notice, app)
        if given.consent is None:
            c.learn([replace(fact, consents=consents)])
        _record_event(c, impression)
    return True


def pass_over(impression: Impression) -> bool:
    """Pass: the question rests, longer after every pass. False: the impression was closed already."""
    return _close_without_answer(impression, Impression.Outcome.PASSED)


def never_again(impression: Impression) -> bool:
    """Show this customer no question any more. False: the impression was closed already."""
    return _close_without_answer(impression, Impression.Outcome.NEVER)


def _close_without_answer(impression: Impression, outcome: str) -> bool:
    with changes(impression.profile, "question") as c:
        if closed := close(impression, outcome):
            _record_event(c, impression)
    return closed


def _notice_read(impression: Impression, shown: str) -> ShownNotice:
    """Return the notice that the customer read: that of now, or an older one of a question whose answer may be a no."""
    question, notice = impression.question, question_notice(impression)
    if impression.version != question.version:
        raise NoticeChangedError
    if shown == notice.hash:
        return notice
    read = find_shown(shown, question.purpose) if question.kind.gives_consent else None
    if read is None:
        raise NoticeChangedError
    return read


def _record_consent(c: Changes, impression: Impression, given: GivenAnswer, notice: ShownNotice, app: str) -> list[int]:
    """Record the consent that an answer gives: the notice of a consent purpose stands above it, and the ledger keeps it.

    The answer to a consent question is nothing else, and explicit: a yes or a no to the whole purpose. Any other answer
    is consent to the use of the attribute that the question is about.
    """
    purpose = impression.question.purpose
    if purpose.basis != Purpose.Basis.CONSENT:
        return []
    evidence = {"impression": impression.pk, "question": f"{impression.question.key}@{impression.version}"}
    decision = Decision(
        purpose.key,
        ConsentEvent.Action.REFUSED if given.consent is False else ConsentEvent.Action.GIVEN,
        "question",
        notice=notice,
        explicit=given.consent is not None,
        evidence={**evidence, **({"app": app} if app else {})},
    )
    return [c.decide(decision).pk]


def _record_event(c: Changes, impression: Impression) -> None:
    """Record the outcome without the answer: consent restricts facts, and events are not restricted by it."""
    properties = {"question": impression.question.key, "version": impression.version}
    c.record_event(EVENTS[Impression.Outcome(impression.outcome)], properties)
