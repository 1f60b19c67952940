"""Read and write values of attributes as form input. Plain functions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from regulars.base.errors import DomainError, Invalid

from .derive import country_name
from .models import Attribute

LONGEST = 500
YES_NO = {"yes": True, "no": False}


def read_value(attribute: Attribute | None, text: str) -> Any:
    """Return the value typed as `text`. An undeclared attribute is text. Raises `Invalid("bad_value")`."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise _bad(f"Write between 1 and {LONGEST} characters.")
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
            try:
                return dt.date.fromisoformat(text).isoformat()
            except ValueError:
                raise _bad("Write a date as year-month-day, such as 1991-04-12.") from None
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
    options = [option["key"] for option in attribute.options] if attribute else []
    if options and text not in options:
        raise _bad("Choose one of those offered.")
    return text


def _bad(sentence: str) -> DomainError:
    return Invalid("bad_value", sentence, "value")
