"""Every error answer of the APIs, in Auth0's body: `{"statusCode", "error", "message", "errorCode"}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from regulars.base.db.deadlocks import TIMES, is_deadlock
from regulars.base.errors import Conflict, DomainError, Forbidden, NotFound, Unavailable
from regulars.profiles.find import find_by_user_id

WEAKER_SECURITY = "weaker_security"  # the type of a validation error: see management_api/compatibility.py
CODE_OF_LOCATION = {"query": "invalid_query_string", "path": "invalid_uri"}
STATUS_OF: Mapping[type[DomainError], int] = {
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
    DomainError: 400,
}
# Auth0 answers one code for everything that its database connections refuse.
AUTH0_CODE_OF = {
    **dict.fromkeys(("user_exists", "email_taken", "weak_password"), "auth0_idp_error"),
    "name_taken": "conflict",
    "customer_erased": "inexistent_user",
    "unknown_identity": "inexistent_identity",
}


class ApiError(Exception):
    """An error answer: an HTTP status, Auth0's stable code, a message for people, further headers."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


def invalid_query(message: str) -> ApiError:
    return ApiError(400, "invalid_query_string", f"Query validation error: {message}")


def invalid_body(message: str) -> ApiError:
    return ApiError(400, "invalid_body", f"Payload validation error: {message}")


def install_error_handlers(api: NinjaAPI) -> None:
    """Make the API answer every error in Auth0's body, whichever layer raised it."""
    for kind, convert in CONVERTERS.items():
        api.add_exception_handler(kind, partial(_respond, convert))
    for lost in (ObjectDoesNotExist, DatabaseError):
        api.add_exception_handler(lost, _respond_to_others_write)


def _respond_to_others_write(request: HttpRequest, raised: Any) -> HttpResponse:
    """Answer where another request wrote at the same time: begin again after a deadlock, and say so of a customer who is gone.

    A customer may be erased between any two steps of a request that names them. Everything else is a fault of ours.
    """
    match = request.resolver_match
    tries = getattr(request, "tries", 1)
    if match and is_deadlock(raised):
        if tries >= TIMES:
            return error_response(ApiError(503, "database_busy", "Others write the same at this moment. Try again."))
        request.tries = tries + 1  # type: ignore[attr-defined]
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        return response
    user_id = str(match.kwargs.get("user_id", "")) if match else ""
    if user_id and find_by_user_id(user_id) is None:
        return error_response(ApiError(404, "inexistent_user", "The user does not exist."))
    raise raised


def _respond(convert: Callable[[Any], ApiError], request: HttpRequest, raised: Exception) -> HttpResponse:
    return error_response(convert(raised))


def error_response(error: ApiError) -> HttpResponse:
    """Return the error in Auth0's body."""
    phrase = HTTPStatus(error.status).phrase
    body = {"statusCode": error.status, "error": phrase, "message": error.message, "errorCode": error.code}
    return JsonResponse(body, status=error.status, headers=error.headers)


def _of_validation(raised: ValidationError) -> ApiError:
    if unknown := [error["loc"] for error in raised.errors if error["type"] == "extra_forbidden"]:
        # one sentence for every unknown property of an object, which users of Auth0's SDKs know
        inside = [str(step) for step in unknown[0][2:-1]]
        names = ", ".join(str(each[-1])[:100] for each in unknown if [str(step) for step in each[2:-1]] == inside)
        place = f" on property {'.'.join(inside)}" if inside else ""
        return invalid_body(f"'Additional properties not allowed: {names}'{place}.")
    first = raised.errors[0]
    if first["type"] == WEAKER_SECURITY:
        return ApiError(400, "operation_not_supported", first["msg"])
    location, *rest = (str(step) for step in first["loc"])
    where = ".".join(rest[1:] if location == "body" else rest[-1:]) or location
    return ApiError(400, CODE_OF_LOCATION.get(location, "invalid_body"), f"{where}: {first['msg']}")


def _of_domain(raised: DomainError) -> ApiError:
    if raised.code == "invalid_metadata_key":
        return invalid_body(raised.message)
    status = next(status for kind, status in STATUS_OF.items() if isinstance(raised, kind))
    prefix = "PasswordStrengthError: " if raised.code == "weak_password" else ""
    return ApiError(status, AUTH0_CODE_OF.get(raised.code, raised.code), prefix + raised.message)


CONVERTERS: Mapping[type[Exception], Callable[[Any], ApiError]] = {
    ApiError: lambda raised: raised,
    AuthenticationError: lambda raised: ApiError(401, "invalid_token", "Missing or malformed bearer token."),
    ValidationError: _of_validation,
    HttpError: lambda raised: ApiError(raised.status_code, "invalid_body", str(raised)),
    DomainError: _of_domain,
}
