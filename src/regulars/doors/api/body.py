"""Reads JSON bodies: only what every database can store and every reader can walk."""

from __future__ import annotations

import json
import math
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

DEEPEST = 32


class StrictParser(Parser):
    """Refuses NaN, infinities and towers of brackets (django-ninja answers 400 for any exception here)."""

    def parse_body(self, request: HttpRequest) -> Any:
        body = json.loads(request.body, parse_constant=_not_a_number, parse_float=_finite)
        if _depth(body) > DEEPEST:
            raise ValueError("too deep")
        return body


def _not_a_number(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _depth(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(_depth, value.values()), default=0)
        case list():
            return 1 + max(map(_depth, value), default=0)
    return 0
