"""An e-mail address. Verifying that it belongs to the customer is another step."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_noop

from regulars.base.email_address import canonical_email

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one


class EmailQuestion(QuestionType):
    label = "An e-mail address"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("input", input_type="email", inputmode="email", autocomplete="email", max_length=254)

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        """Return the domain in lower-case ASCII; the part before the @ belongs to the mail server."""
        address = only_one(given, gettext_noop("Write an e-mail address, or choose “Not now”."))
        try:
            validate_email(address)
        except ValidationError:
            raise BadAnswer(
                "not_an_email", gettext_noop("Write an e-mail address, such as name@example.com.")
            ) from None
        return canonical_email(address)


email = EmailQuestion()
