"""An e-mail address. Whether it is hers is another step's matter."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_noop

from ..declare import BadAnswer, Field, Option, only_one


class Email:
    label = "An e-mail address"
    attribute_type = "text"
    takes_options = False

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        return Field("input", input_type="email", inputmode="email", autocomplete="email", max_length=254)

    def read(self, given: Sequence[str], options: Sequence[Option]) -> str:
        """The domain in small letters; what is before the @ is the mail server's business."""
        address = only_one(given, gettext_noop("Write an e-mail address, or pass."))
        try:
            validate_email(address)
        except ValidationError:
            raise BadAnswer(
                "not_an_email", gettext_noop("Write an e-mail address, such as name@example.com.")
            ) from None
        local, _, domain = address.rpartition("@")
        return f"{local}@{domain.lower()}"


email = Email()
