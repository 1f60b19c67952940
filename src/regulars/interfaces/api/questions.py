"""`/api/me`: the next question for the customer of the token, and their answer, inside an app of the business."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from django.utils.translation import override
from ninja import Field, Path, Router, Schema
from pydantic import ConfigDict, StringConstraints
from pydantic.config import JsonDict

from regulars.consent.notices import NoticeChangedError
from regulars.interfaces.http_api.error_responses import ApiError
from regulars.profiles.assertions import Place
from regulars.profiles.document import values_at
from regulars.questions.answer import BadAnswer
from regulars.questions.models import Impression
from regulars.questions.next_question import NotShown, next_question, show_in
from regulars.questions.question_type import AnswerField
from regulars.questions.wording import direction, wording_of
from regulars.usecases import answer_question as usecase
from regulars.usecases.shown_notices import recipients_text, show_question

from .customer_access import InApp, InAppCustomer, customer_of

router = Router(tags=["questions in an app"], auth=InApp())
EXAMPLE_NOTICE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TypedText = Annotated[str, StringConstraints(max_length=2000)]
ImpressionId = Annotated[int, Path(ge=1, lt=2**63)]


class QuestionRequest(Schema):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"locale": "en"}]})

    locale: Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z0-9_-]*$")] = ""


class QuestionAnswer(Schema):
    """`answer` holds keys of options or typed text; for a confirmation `__yes` or `__no`, with the right value in `other`.

    `__declined` and `__dont_know` are allowed where the question offers them. `notice` is that of the question as the page
    showed it: an answer counts only for exactly these words.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"answer": ["shoes"], "notice": EXAMPLE_NOTICE}]}
    )

    answer: Annotated[list[TypedText], Field(max_length=100)] = []
    other: Annotated[list[TypedText], Field(max_length=100)] = []
    notice: Annotated[str, StringConstraints(max_length=64)] = ""


class QuestionUse(Schema):
    """What an answer permits, and the sentence that names who may be sent it: show both, and send `notice` with the answer."""

    purpose: str
    label: str
    text: str
    recipients: str
    notice: str


class FieldOption(Schema):
    key: str
    label: str
    image: str


class QuestionField(Schema):
    """How to draw the answer. `widget`: radio, checkbox, input, select, cards or consent."""

    widget: str
    options: list[FieldOption]
    input_type: str
    inputmode: str
    autocomplete: str
    max_length: int | None
    hint: str


class SkipOption(Schema):
    key: str
    label: str


class QuestionWords(Schema):
    """Words of the buttons, in the language of the question."""

    save: str
    pass_: str = Field(alias="pass")
    never: str
    why: str
    yes: str
    no: str


class AppQuestion(Schema):
    """Everything that a page needs to draw one question. `id` is that of the impression; `offered` is a value to confirm."""

    id: int
    key: str
    version: int
    locale: str
    direction: str
    text: str
    why: str
    help: str
    use: QuestionUse
    offered: str
    field: QuestionField
    unsaid: list[SkipOption]
    words: QuestionWords


QUESTION: JsonDict = {
    "id": 7,
    "key": "looking_for",
    "version": 1,
    "locale": "en",
    "direction": "ltr",
    "text": "What do you look for?",
    "why": "To show it first.",
    "help": "",
    "use": {
        "purpose": "personalise",
        "label": "By answering you allow this use of your answer:",
        "text": "We use it to show you what suits you.",
        "recipients": "May be sent to: Partner (partner.example).",
        "notice": EXAMPLE_NOTICE,
    },
    "offered": "",
    "field": {
        "widget": "radio",
        "options": [
            {"key": "jackets", "label": "Jackets", "image": ""},
            {"key": "shoes", "label": "Shoes", "image": ""},
        ],
        "input_type": "text",
        "inputmode": "",
        "autocomplete": "",
        "max_length": None,
        "hint": "",
    },
    "unsaid": [{"key": "__declined", "label": "I prefer not to say"}],
    "words": {
        "save": "Save and continue",
        "pass": "Not now",
        "never": "Don’t ask again",
        "why": "Why we ask:",
        "yes": "Yes",
        "no": "No, it is:",
    },
}


class ShownQuestion(Schema):
    """The question, or null with the reason why there is none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"question": QUESTION, "reason": "asked", "sentence": ""}]}
    )

    question: AppQuestion | None
    reason: str
    sentence: str


class QuestionOutcome(Schema):
    """How the question was closed, and words to thank the customer in their language."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"outcome": "answered", "thanks": "Thank you."}]})

    outcome: str
    thanks: str


@router.post(
    "/question",
    response=ShownQuestion,
    by_alias=True,
    summary="Get the next question, or the reason why there is none",
)
def show_next_question(request: HttpRequest, body: QuestionRequest) -> Any:
    """Choose a question and count it as shown, so call this when the page is ready to show it.

    The answer stays the same until the customer closes the question or the day ends.
    """
    customer = customer_of(request)
    locale = body.locale or str(values_at(customer.profile, Place.USERINFO).get("locale") or "en")
    chosen = next_question(customer.profile, locale=locale, client_id=customer.client_id, in_app=True)
    if isinstance(chosen, NotShown):
        return {"question": None, "reason": chosen.reason, "sentence": chosen.sentence}
    # One that was fetched before is shown in the words of now.
    return {"question": _question(show_in(chosen, chosen.locale)), "reason": "asked", "sentence": ""}


@router.post("/question/{number}/answer", response=QuestionOutcome, summary="Answer a question")
def answer(request: HttpRequest, number: ImpressionId, body: QuestionAnswer) -> Any:
    """Save the answer. A wrong one is a 422 with a code and a message in the language of the question, which stays open.

    409 `notice_changed`: the question or its use changed since it was fetched. Fetch it again and show the new words.
    """
    customer = customer_of(request)
    impression = _open_impression(customer, number)
    given = MultiValueDict({"answer": body.answer, "other": body.other, "notice": [body.notice]})
    try:
        closed = usecase.answer(impression, given, app=customer.client_id)
    except BadAnswer as bad:
        with override(impression.locale):
            raise ApiError(422, bad.code, _(bad.message)) from bad
    except NoticeChangedError as changed:
        with override(impression.locale):
            raise ApiError(409, changed.code, _(changed.message)) from changed
    return _outcome(impression, closed)


@router.post("/question/{number}/pass", response=QuestionOutcome, summary="Skip a question")
def pass_over(request: HttpRequest, number: ImpressionId) -> Any:
    impression = _open_impression(customer_of(request), number)
    return _outcome(impression, usecase.pass_over(impression))


@router.post("/question/{number}/never", response=QuestionOutcome, summary="Stop all questions")
def never_again(request: HttpRequest, number: ImpressionId) -> Any:
    impression = _open_impression(customer_of(request), number)
    return _outcome(impression, usecase.never_again(impression))


def _open_impression(customer: InAppCustomer, number: int) -> Impression:
    impressions = Impression.objects.filter(pk=number, profile=customer.profile)
    impression = impressions.select_related("question__purpose", "profile").first()
    if impression is None:
        raise ApiError(404, "inexistent_question", "This question was not shown to the customer.")
    if impression.outcome != Impression.Outcome.SHOWN:
        raise _closed()
    if impression.version != impression.question.version:
        raise ApiError(409, "reworded", "The question was reworded meanwhile. Fetch the next question again.")
    return impression


def _outcome(impression: Impression, closed: bool) -> dict[str, str]:
    if not closed:
        raise _closed()
    with override(impression.locale):
        return {"outcome": impression.outcome, "thanks": _("Thank you.")}


def _closed() -> ApiError:
    return ApiError(409, "closed", "This question is closed already.")


def _question(impression: Impression) -> dict[str, object]:
    """Return everything that a page needs to draw the question, in one language and in the wording recorded as shown."""
    question, wording = impression.question, wording_of(impression)
    offered = question.label_of(impression.to_confirm) if impression.to_confirm is not None else ""
    with override(impression.locale):
        field, notice = question.kind.field(wording.options, wording.locale), show_question(impression)
        without_answer = (
            ("__dont_know", _("I don’t know"), question.may_not_know),
            ("__declined", _("I prefer not to say"), question.may_decline),
        )
        return {
            "id": impression.pk,
            "key": question.key,
            "version": impression.version,
            "locale": wording.locale,
            "direction": direction(wording.locale),
            "text": wording.text_for(offered),
            "why": wording.why,
            "help": wording.help,
            "use": {
                "purpose": question.purpose_id,
                "label": _legal_label(field, question.purpose.basis),
                "text": wording.use,
                "recipients": recipients_text(notice),
                "notice": notice.hash,
            },
            "offered": offered,
            "field": {
                "widget": field.widget,
                "options": [{"key": each.key, "label": each.label, "image": each.image} for each in field.options],
                "input_type": field.input_type,
                "inputmode": field.inputmode,
                "autocomplete": field.autocomplete,
                "max_length": field.max_length,
                "hint": field.hint,
            },
            "unsaid": [{"key": key, "label": label} for key, label, is_offered in without_answer if is_offered],
            "words": {
                "save": _("Save and continue"),
                "pass": _("Not now"),
                "never": _("Don’t ask again"),
                "why": _("Why we ask:"),
                "yes": _("Yes"),
                "no": _("No, it is:"),
            },
        }


def _legal_label(field: AnswerField, basis: str) -> str:
    if field.widget == "consent":
        return _("What you agree to:")
    return _("By answering you allow this use of your answer:") if basis == "consent" else _("What we use it for:")
