"""`/api/me`: the next question for the customer whose token this is, and what she says to it, inside a company's own app."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from django.utils.translation import override
from ninja import Field, Path, Router, Schema
from pydantic import ConfigDict, StringConstraints

from regulars.interfaces.http_api.errors import ApiError
from regulars.questions.answer import BadAnswer
from regulars.questions.ask import NotShown, next_question
from regulars.questions.declare import Field as Drawn
from regulars.questions.models import Impression
from regulars.questions.wording import Wording, direction, wording_of
from regulars.usecases import answer_question as says

from .customer_access import InApp, InAppCustomer, customer_of

router = Router(tags=["questions in an app"], auth=InApp())
Written = Annotated[str, StringConstraints(max_length=2000)]
AskId = Annotated[int, Path(ge=1, lt=2**63)]


class QuestionRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    locale: Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z0-9_-]*$")] = ""


class QuestionAnswer(Schema):
    """`answer` holds keys of options, or what she wrote; of something to confirm `__yes` or `__no`, with `other` being
    what is right. `__declined` and `__dont_know` where the question offers them."""

    model_config = ConfigDict(extra="forbid")

    answer: Annotated[list[Written], Field(max_length=100)] = []
    other: Annotated[list[Written], Field(max_length=100)] = []


@router.post("/question", response=Any, summary="The next question for her, or why there is none")
def show_next_question(request: HttpRequest, body: QuestionRequest) -> Any:
    """Counts as shown: call it when the place to show it is there. The same answer until she closes it or the day ends."""
    her = customer_of(request)
    locale = body.locale or str(her.profile.document.get("locale") or "en")
    asked = next_question(her.profile, locale=locale, client_id=her.client_id, in_app=True)
    if isinstance(asked, NotShown):
        return {"question": None, "reason": asked.name, "sentence": asked.sentence}
    return {"question": _question(asked), "reason": "asked", "sentence": ""}


@router.post("/question/{number}/answer", response=Any, summary="Keep what she says")
def answer(request: HttpRequest, number: AskId, body: QuestionAnswer) -> Any:
    """422 with the name of what is wrong, and a sentence in the language she is asked in; then the question stays open."""
    her = customer_of(request)
    ask = _open_ask(her, number)
    given = MultiValueDict({"answer": body.answer, "other": body.other})
    try:
        closed = says.answer(ask, given, app=her.client_id)
    except BadAnswer as bad:
        with override(ask.locale):
            raise ApiError(422, bad.code, _(bad.message)) from bad
    return _came_of_it(ask, closed)


@router.post("/question/{number}/pass", response=Any, summary="Not now")
def pass_over(request: HttpRequest, number: AskId) -> Any:
    ask = _open_ask(customer_of(request), number)
    return _came_of_it(ask, says.pass_over(ask))


@router.post("/question/{number}/never", response=Any, summary="Never ask her anything again")
def never_again(request: HttpRequest, number: AskId) -> Any:
    ask = _open_ask(customer_of(request), number)
    return _came_of_it(ask, says.never_again(ask))


def _open_ask(her: InAppCustomer, number: int) -> Impression:
    asks = Impression.objects.filter(pk=number, profile=her.profile)
    ask = asks.select_related("question__purpose", "profile").first()
    if ask is None:
        raise ApiError(404, "inexistent_question", "She was not asked this.")
    if ask.outcome != Impression.Outcome.SHOWN:
        raise _closed()
    if ask.version != ask.question.version:
        raise ApiError(409, "reworded", "The question was reworded meanwhile; what she read is no longer asked.")
    return ask


def _came_of_it(ask: Impression, closed: bool) -> dict[str, str]:
    if not closed:
        raise _closed()
    with override(ask.locale):
        return {"outcome": ask.outcome, "thanks": _("Thank you.")}


def _closed() -> ApiError:
    return ApiError(409, "closed", "This question was dealt with already.")


def _question(ask: Impression) -> dict[str, Any]:
    """Everything a page needs to draw it, in one language; the words are those that are in the book as shown."""
    question, wording = ask.question, wording_of(ask)
    offered = question.label_of(ask.offer) if ask.offer is not None else ""
    with override(ask.locale):
        field = question.kind.field(wording.options, wording.locale)
        return {
            "id": ask.pk,
            "key": question.key,
            "version": ask.version,
            "locale": wording.locale,
            "direction": direction(wording.locale),
            "text": wording.asking(offered),
            "why": wording.why,
            "help": wording.help,
            "use": {
                "purpose": question.purpose_id,
                "label": _use(field, question.purpose.basis),
                "text": wording.use,
            },
            "offered": offered,
            "field": _field(field),
            "unsaid": _unsaid(ask),
            "words": _words(wording),
        }


def _field(field: Drawn) -> dict[str, Any]:
    return {
        "widget": field.widget,
        "options": [{"key": each.key, "label": each.label, "image": each.image} for each in field.options],
        "input_type": field.input_type,
        "inputmode": field.inputmode,
        "autocomplete": field.autocomplete,
        "max_length": field.max_length,
        "hint": field.hint,
    }


def _use(field: Drawn, basis: str) -> str:
    if field.widget == "consent":
        return _("What you agree to:")
    return _("By answering you allow this use of your answer:") if basis == "consent" else _("What we use it for:")


def _unsaid(ask: Impression) -> list[dict[str, str]]:
    """Answers that say nothing, where the question offers them."""
    dont_know = [{"key": "__dont_know", "label": _("I don’t know")}] if ask.question.may_not_know else []
    return dont_know + ([{"key": "__declined", "label": _("I prefer not to say")}] if ask.question.may_decline else [])


def _words(wording: Wording) -> dict[str, str]:
    return {
        "save": _("Save and continue"),
        "pass": _("Pass"),
        "never": _("Don’t ask me again"),
        "why": _("Why we ask:"),
        "yes": _("Yes"),
        "no": _("No, it is:"),
    }
