"""Field mappings: which attribute is sent as which field, and in which form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from regulars.base.errors import Invalid

Lines = list[dict[str, str]]
FIXED = "="  # in the place of an attribute: the line sends its own `constant`, the same for all customers
# In the place of an attribute: the address at which this customer ends the destination's purpose, for its mails.
UNSUBSCRIBE, UNSUBSCRIBE_FIELD = "=unsubscribe_url", "unsubscribe_url"
LONGEST_CONSTANT = 500
_FIELD = re.compile(r"[^\x00-\x1f]{1,100}")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


def _text(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


def _of_day(form: str) -> Callable[[Any], Any]:
    """Return a function that takes a part of a date; None for anything else."""

    def part(value: Any) -> Any:
        day = _DAY.match(str(value))
        return form.format(year=day[1], month=day[2], day=day[3]) if day else None

    return part


# Transform → (its name in the form, function). A value that it does not fit becomes None and is not sent.
TRANSFORMS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "": ("as it is", lambda value: value),
    "text": ("as text", _text),
    "lower": ("in small letters", lambda value: _text(value).lower()),
    "upper": ("in capitals", lambda value: _text(value).upper()),
    "initial": ("first letter", lambda value: _text(value).strip()[:1] or None),
    "first": ("first of several", lambda value: (value[0] if value else None) if isinstance(value, list) else value),
    "digits": ("digits only", lambda value: re.sub(r"\D", "", _text(value)) or None),
    "year": ("year of a date", _of_day("{year}")),
    "birthday": ("MM/DD of a date", _of_day("{month}/{day}")),
    "sha256": (
        "SHA-256 of the small letters",
        lambda value: hashlib.sha256(_text(value).strip().lower().encode()).hexdigest(),
    ),
}


def checked(lines: Sequence[Mapping[str, str]]) -> Lines:
    """Return the lines as they are stored; those without an attribute are empty rows of the form.

    Raises `Invalid("bad_field" | "field_twice" | "unknown_transform" | "bad_constant")`.
    """
    kept = [_line(line) for line in lines if line.get("attribute", "").strip()]
    names = [line["field"] for line in kept]
    for name in names:
        if names.count(name) > 1:
            raise Invalid("field_twice", f"The field {name!r} is filled twice.")
    return kept


def mapped(lines: Sequence[Mapping[str, str]], traits: Mapping[str, Any]) -> dict[str, Any]:
    """Return field → value, for the attributes that are known and fit their transform."""
    values: dict[str, Any] = {}
    for line in lines:
        attribute, field = line["attribute"], line["field"]
        if is_fixed(line):
            values[field] = line["constant"]
        else:
            values[field] = TRANSFORMS[line["transform"]][1](traits[attribute]) if attribute in traits else None
    return {name: value for name, value in values.items() if value is not None}


def is_fixed(line: Mapping[str, str]) -> bool:
    """Return whether the line sends a constant."""
    return line["attribute"] == FIXED


def _line(line: Mapping[str, str]) -> dict[str, str]:
    attribute = line["attribute"].strip()
    if attribute == FIXED:
        name, constant = line.get("field", "").strip(), line.get("constant", "").strip()
        if not _FIELD.fullmatch(name):
            raise Invalid("bad_field", "A fixed value needs the name of the field it fills.")
        if not constant or len(constant) > LONGEST_CONSTANT:
            raise Invalid(
                "bad_constant", f"The fixed value of {name!r} has between 1 and {LONGEST_CONSTANT} characters."
            )
        return {"attribute": FIXED, "field": name, "transform": "", "constant": constant}
    own_name = UNSUBSCRIBE_FIELD if attribute == UNSUBSCRIBE else attribute
    name, transform = line.get("field", "").strip() or own_name, line.get("transform", "")
    if not _FIELD.fullmatch(name):
        raise Invalid("bad_field", "A field's name is one line of up to 100 letters.")
    if transform not in TRANSFORMS:
        raise Invalid("unknown_transform", f"There is no transform called {transform!r}.")
    return {"attribute": attribute, "field": name, "transform": transform}
