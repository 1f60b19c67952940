"""Every "no" of the API, in Auth0's body: `{"statusCode", "error", "message", "errorCode"}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from regulars.base.errors import Conflict, DomainError, Forbidden, NotFound, Unavailable

from .unused import GUARDS_LESS

CODE_OF_PLACE = {"query": "invalid_query_string", "path": "invalid_uri"}
STATUS_OF: dict[type[DomainError], int] = {
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
    DomainError: 400,
}
AUTH0_CODE_OF = dict.fromkeys(("user_exists", "email_taken", "weak_password"), "auth0_idp_error")


class ApiError(Exception):
    """An answer other than success: an HTTP status, Auth0's stable word for it, a sentence for people, more headers."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


def invalid_query(message: str) -> ApiError:
    return ApiError(400, "invalid_query_string", f"Query validation error: {message}")


def invalid_body(message: str) -> ApiError:
    return ApiError(400, "invalid_body", f"Payload validation error: {message}")


def answer_errors(api: NinjaAPI) -> None:
    """Teach the API to say no in Auth0's words, whoever found the fault."""
    for kind, words in WORDS.items():
        api.add_exception_handler(kind, partial(_say, words))


def _say(words: Callable[[Any], ApiError], request: HttpRequest, fault: Any) -> HttpResponse:
    said = words(fault)
    return _answer(said)


def _validation(fault: ValidationError) -> ApiError:
    first = fault.errors[0]
    if unknown := [error["loc"] for error in fault.errors if error["type"] == "extra_forbidden"]:
        return _not_allowed(unknown)
    if first["type"] == GUARDS_LESS:
        return ApiError(400, "operation_not_supported", first["msg"])
    place, *rest = (str(step) for step in first["loc"])
    where = ".".join(rest[1:] if place == "body" else rest[-1:]) or place
    return ApiError(400, CODE_OF_PLACE.get(place, "invalid_body"), f"{where}: {first['msg']}")


def _not_allowed(places: list[tuple[str | int, ...]]) -> ApiError:
    """Auth0's sentence: every property of one object that it does not know. Its SDKs' users know it by heart."""
    inside = [str(step) for step in places[0][2:-1]]
    names = ", ".join(str(place[-1])[:100] for place in places if [str(step) for step in place[2:-1]] == inside)
    where = f" on property {'.'.join(inside)}" if inside else ""
    return invalid_body(f"'Additional properties not allowed: {names}'{where}.")


def _domain(error: DomainError) -> ApiError:
    status = next(status for kind, status in STATUS_OF.items() if isinstance(error, kind))
    if error.code == "invalid_metadata_key":
        return invalid_body(error.message)
    prefix = "PasswordStrengthError: " if error.code == "weak_password" else ""
    return ApiError(status, AUTH0_CODE_OF.get(error.code, error.code), prefix + error.message)


WORDS: dict[type[Exception], Callable[[Any], ApiError]] = {
    ApiError: lambda fault: fault,
    AuthenticationError: lambda fault: ApiError(401, "invalid_token", "Missing or malformed bearer token."),
    ValidationError: _validation,
    HttpError: lambda fault: ApiError(fault.status_code, "invalid_body", str(fault)),
    DomainError: _domain,
}


def _answer(said: ApiError) -> HttpResponse:
    phrase = HTTPStatus(said.status).phrase
    body = {"statusCode": said.status, "error": phrase, "message": said.message, "errorCode": said.code}
    return JsonResponse(body, status=said.status, headers=said.headers)
