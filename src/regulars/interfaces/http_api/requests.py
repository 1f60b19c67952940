"""Checks of requests: JSON bodies that every database can store, and no unknown query parameters."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from ninja import Schema
from ninja.parser import Parser

from regulars.base.json_reader import read_json
from regulars.base.text import has_nul

from .error_responses import ApiError, invalid_query

DEEPEST = 32  # levels of a JSON body
LARGEST_BODY = 1_000_000  # bytes


class StrictParser(Parser):
    """Parse JSON without NaN, infinities, NUL, lone surrogates or deep nesting.

    django-ninja answers 400 for any exception here.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        return read_json(request.body, DEEPEST)


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
