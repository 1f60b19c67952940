"""Reads JSON bodies: only what every database can store and every reader can walk."""

from __future__ import annotations

import json
import math
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from regulars.base.text import storable

DEEPEST = 32


class StrictParser(Parser):
    """Refuses NaN, infinities, NUL, half characters and towers (django-ninja answers 400 for any exception here)."""

    def parse_body(self, request: HttpRequest) -> Any:
        body = json.loads(request.body, parse_constant=_not_a_number, parse_float=_finite)
        _refuse_unstorable(body, DEEPEST)
        return body


def _not_a_number(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _refuse_unstorable(value: Any, depth: int) -> None:
    if depth < 0:
        raise ValueError("too deep")
    match value:
        case dict():
            for key, inner in value.items():
                _refuse_unstorable(key, depth)
                _refuse_unstorable(inner, depth - 1)
        case list():
            for inner in value:
                _refuse_unstorable(inner, depth - 1)
        case str() if value != storable(value):
            raise ValueError("not a text")
