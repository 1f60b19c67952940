"""Checks of requests: JSON bodies that every database can store, and no unknown query parameters."""

from __future__ import annotations

import json
import math
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from ninja import Schema
from ninja.parser import Parser

from regulars.base.text import has_nul, storable

from .error_responses import ApiError, invalid_query

DEEPEST = 32  # levels of a JSON body
LARGEST_BODY = 1_000_000  # bytes


class StrictParser(Parser):
    """Parse JSON without NaN, infinities, NUL, lone surrogates or deep nesting.

    django-ninja answers 400 for any exception here.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        body = json.loads(request.body, parse_constant=_refuse_constant, parse_float=_finite)
        _refuse_unstorable(body, DEEPEST)
        return body


def refuse_unstorable_request(request: HttpRequest) -> None:
    """Refuse a body over the limit with 413, and NUL anywhere in the path or query with 400."""
    try:
        size = len(request.body)
    except RequestDataTooBig:
        size = LARGEST_BODY + 1
    if size > LARGEST_BODY:
        raise ApiError(413, "payload_too_large", f"A body may have {LARGEST_BODY:,} bytes.")
    if has_nul(request, request.GET):
        raise invalid_query("The character NUL is not allowed.")


def refuse_unknown(request: HttpRequest, query: type[Schema]) -> None:
    """Refuse a misspelt query parameter, as Auth0 does, instead of ignoring it."""
    known = {field.alias or name for name, field in query.model_fields.items()}
    for name in request.GET:
        if name not in known:
            raise invalid_query(f"Additional properties not allowed: {name}")


def _refuse_constant(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _refuse_unstorable(value: object, depth: int) -> None:
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
            raise ValueError("not storable as text")
