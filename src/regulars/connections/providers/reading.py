"""Helpers that read a provider's answer, which may have any shape."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_noop

from regulars.base.text import has_hidden

from ..provider import ProviderClaim, Raw

log = logging.getLogger("regulars.connections")

LONGEST_EMAIL = 254
PLAIN = ("name", "given_name", "family_name", "nickname", "picture", "locale")
AGE = gettext_noop("So that we show you what people of your age like.")
CUT = gettext_noop("So that we show you things in your cut first.")
PLACE = gettext_noop("So that we know which shop and which season is near you.")
CALL = gettext_noop("So that we can reach you about your orders.")
WORK = gettext_noop("So that we show you what people in your line of work like.")


def claims(info: Raw) -> list[ProviderClaim]:
    """Return OpenID Connect's standard claims of the login itself. The provider vouches for what it calls verified."""
    plain = [ProviderClaim(key, value, "verified") for key in PLAIN if (value := text(info.get(key), key))]
    return plain + mail(info.get("email"), proved=info.get("email_verified") in (True, "true"))


def mail(address: Any, *, proved: bool) -> list[ProviderClaim]:
    """Return the address, and whether the provider has verified that it is the customer's."""
    email = text(address, "email")
    if "@" not in email or not email.isprintable() or " " in email or len(email) > LONGEST_EMAIL:
        if email:
            log.warning("the e-mail address of a provider's answer is none; it is left out")
        return []
    return [
        ProviderClaim("email", email, "verified" if proved else "social"),
        ProviderClaim("email_verified", proved, "verified"),
    ]


def self_declared(**values: Any) -> list[ProviderClaim]:
    """Return texts that the customer entered at the provider, which the provider did not check."""
    return [ProviderClaim(key, value, "social") for key, each in values.items() if (value := text(each, key))]


def optional(claim: str, **values: Any) -> list[ProviderClaim]:
    """Return the values of one requested claim; empty values are left out."""
    return [ProviderClaim(key, value, "social", claim) for key, value in values.items() if value]


def text(value: Any, name: str = "") -> str:
    """Return a text without hidden characters; empty for anything else, which is logged when it has a `name`."""
    if isinstance(value, str):
        return "".join(each for each in value if not has_hidden(each)).strip() if has_hidden(value) else value.strip()
    if name and value is not None:
        log.warning("%s in a provider's answer is not a text but %s; it is left out", name, type(value).__name__)
    return ""


def gender_of(value: Any) -> str:
    """Return one of the values of the built-in attribute; empty when the customer does not share it."""
    word = text(value).lower()
    return word if word in ("", "female", "male") else "" if word == "unspecified" else "other"


def date_of(year: Any, month: Any, day: Any) -> str:
    """Return `1996-03-07`. Many users hide the year; a birthday without one gives no age and is left out."""
    if not (isinstance(year, int) and isinstance(month, int) and isinstance(day, int)):
        return ""
    try:
        return dt.date(year, month, day).isoformat()
    except ValueError:
        return ""


def mapping(value: Any) -> Raw:
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Raw]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def first(values: Iterable[Raw]) -> Raw:
    return next(iter(values), {})
