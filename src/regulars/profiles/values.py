"""Values of attributes: the form that each must have, and reading and writing them as form input. Plain functions."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import zoneinfo
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from babel import Locale

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid

from .derive import country_name
from .models import Attribute

LONGEST = 500
MOST_ITEMS = 200  # of a list
# Control characters, and those that turn the direction of the text around them.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
YES_NO = {"yes": True, "no": False}


def read_value(attribute: Attribute | None, text: str) -> Any:
    """Return the value typed as `text`. An undeclared attribute is text. Raises `Invalid("bad_value")`."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise _bad(f"Write between 1 and {LONGEST} characters.")
    value = _typed(attribute, text)
    return fit(attribute, attribute.key, value) if attribute else value


def fit(attribute: Attribute | None, key: str, value: Any, most: int = LONGEST) -> Any:
    """Return a value in the form of its attribute: `"Portugal"` as a country is `"PT"`. An undeclared one takes any JSON.

    `most` is the length that the asserter of the value has (`profiles.assertions`). Raises `Invalid`: `too_long`,
    `bad_value`.
    """
    if isinstance(value, str) and len(value) > most:
        raise Invalid("too_long", f"{key} has at most {most} characters.", key)
    if key in FORMS and not (attribute and attribute.metadata_path):
        value = FORMS[key](value)
    elif attribute is not None:
        value = _of_type(attribute, value)
    if isinstance(value, str) and len(value) > LENGTHS.get(key, most):
        raise Invalid("too_long", f"{key} has at most {LENGTHS.get(key, most)} characters.", key)
    items = value if isinstance(value, list) and attribute is not None else [value]
    if len(items) > MOST_ITEMS or any(len(json.dumps(each, ensure_ascii=False)) > most + 2 for each in items):
        raise Invalid("too_long", f"{key} is too long.", key)
    return value


def _of_type(attribute: Attribute, value: Any) -> Any:
    """Return the value as the attribute's type has it. Raises `Invalid("bad_value")`."""
    match attribute.type, value:
        case "number", bool():
            raise _bad("Write a number.")
        case "number", int() | float() if math.isfinite(value):
            return value
        case "boolean", bool():
            return value
        case "boolean", str() if value.strip().lower() in BOOLEANS:
            return BOOLEANS[value.strip().lower()]
        case "number", str():
            return _typed(attribute, value)
        case "date", str():
            return _day(value)
        case "choice", str():
            return _option(attribute, value)
        case "list", list() if all(isinstance(each, str) for each in value):
            return [_option(attribute, each) for each in value]
        case "text", str() | int() | float():
            return value
    raise _bad(f"{attribute.label} is of the type {attribute.type}.")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _bad("Write a text.")
    return UNPRINTABLE.sub("\ufffd", value)


def _proof(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _bad("This is true or false.")
    return value


def _picture(value: Any) -> str:
    """Only https: a page that shows another scheme runs it, or tells the network whom it shows. No name or password in it."""
    try:
        address = urlsplit(_text(value))
    except ValueError:
        raise _bad("A picture is an address with https.") from None
    if (
        address.scheme != "https"
        or not address.hostname
        or "@" in address.netloc
        or set(" <>\"'\\\ufffd").intersection(_text(value))
    ):
        raise _bad("A picture is an address with https.")
    return str(value)


def _matching(pattern: str, sentence: str) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        text = _text(value).strip()
        if "\ufffd" in text or not compiled.fullmatch(text):
            raise _bad(sentence)
        return text

    return read


def _birthdate(value: Any) -> str:
    """A day, or what of it is known: `1991-04-12`, `1991-04`, `1991`, and `0000-04-12` without a year (OpenID Connect)."""
    text = _text(value).strip()
    if re.fullmatch(r"\d{4}", text) or re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        known = f"{text}-01-01"[:10] if len(text) == 4 else f"{text}-01"
    elif text.startswith("0000-"):
        _day(f"2000{text[4:]}")
        return text
    else:
        known = text = _day(text)
    if not "1850-01-01" <= known <= clock.today().isoformat():
        raise _bad("A date of birth is not in the future, nor before 1850.")
    return text


def _day(text: str) -> str:
    """Return the day of a date, or of a moment, which Segment's libraries send for dates."""
    try:
        return dt.date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        pass
    try:
        return dt.datetime.fromisoformat(text.strip()).date().isoformat()
    except ValueError:
        raise _bad("Write a date as year-month-day, such as 1991-04-12.") from None


def _country(value: Any) -> str:
    """Return the ISO 3166 code of a code or of an English name."""
    text = _text(value).strip()
    code = _countries().get(text.casefold())
    if code is None:
        raise _bad("A country is a code of two letters, such as PT.")
    return code


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    codes = {code: name for code, name in Locale("en").territories.items() if code.isalpha() and len(code) == 2}
    return {
        **{name.casefold(): code for code, name in codes.items()},
        **{code.casefold(): code for code in codes},
        "usa": "US",
        "united states of america": "US",
        "uk": "GB",
        "great britain": "GB",
    }


def _time_zone(value: Any) -> str:
    if _text(value) not in _time_zones():
        raise _bad("A time zone is a name such as Europe/Lisbon.")
    return str(value)


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


# The form of standard attributes, beside type and options of their `Attribute`.
FORMS: dict[str, Callable[[Any], Any]] = {
    "email": _matching(r"[^@\s]+@[^@\s]+", "Write an e-mail address, such as name@example.com."),
    "phone_number": _matching(r"\+?[0-9 ().\-/x;=ext#*]*[0-9][0-9 ().\-/x;=ext#*]*", "Write a phone number."),
    "email_verified": _proof,
    "phone_verified": _proof,
    "username": _text,
    "name": _text,
    "given_name": _text,
    "family_name": _text,
    "nickname": _text,
    "picture": _picture,
    "locale": _matching(r"[A-Za-z]{2,8}([-_.@][A-Za-z0-9]{1,12})*", "A language is a code such as pt-BR."),
    "birthdate": _birthdate,
    "city": _text,
    "region": _text,
    "postal_code": _matching(r"[A-Za-z0-9][A-Za-z0-9 \-]*", "Write a postal code, such as 10115."),
    "country": _country,
    "time_zone": _time_zone,
    "employer": _text,
    "job_title": _text,
}
# Characters of standard attributes that are shorter than any text.
LENGTHS = {
    "email": 254,
    "phone_number": 50,
    "username": 128,
    "name": 300,
    "given_name": 150,
    "family_name": 150,
    "nickname": 300,
    "locale": 35,
    "city": 200,
    "region": 200,
    "postal_code": 20,
    "employer": 200,
    "job_title": 200,
}
BOOLEANS = {"true": True, "false": False, **YES_NO}


def _typed(attribute: Attribute | None, text: str) -> Any:
    """Return what a form says, by the attribute's type."""
    match attribute.type if attribute else "text":
        case "number":
            try:
                number = float(text)
            except ValueError:
                raise _bad("Write a number.") from None
            if not -1e15 < number < 1e15:
                raise _bad("This number is too large.")
            return int(number) if number.is_integer() else number
        case "boolean":
            if text not in YES_NO:
                raise _bad("Choose yes or no.")
            return YES_NO[text]
        case "date":
            return _day(text)
        case "choice":
            return _option(attribute, text)
        case "list":
            return [_option(attribute, each.strip()) for each in text.split(",") if each.strip()]
    return text


def write_value(value: Any) -> str:
    """Return a value as a form shows it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(str(each) for each in value)
        case None:
            return ""
    return str(value)


def display_value(attribute: str, value: Any, options: Mapping[str, str] | None = None) -> str:
    """Return the value of an attribute in words: an option's label, a country's name, Yes and No."""
    match value:
        case None:
            return "withdrawn"
        case bool():
            return "Yes" if value else "No"
        case list():
            return ", ".join(display_value(attribute, item, options) for item in value)
        case dict():
            return ", ".join(f"{key}: {display_value(key, item)}" for key, item in value.items())
        case str() if attribute == "country":
            return country_name(value)
        case int() | float():
            return f"{value:,}"
    return (options or {}).get(str(value), str(value))


def _option(attribute: Attribute | None, text: str) -> str:
    options = {option["key"].casefold(): option["key"] for option in attribute.options} if attribute else {}
    if options and text.strip().casefold() not in options:
        raise _bad("Choose one of those offered.")
    return str(options.get(text.strip().casefold(), text))


def _bad(sentence: str) -> DomainError:
    return Invalid("bad_value", sentence, "value")


def comparable(value: Any) -> str:
    """Return a text that is the same for values that are one word to a customer: Porto and PORTO."""
    return json.dumps(value.strip().casefold() if isinstance(value, str) else value, sort_keys=True)
