"""Endpoints that programs call: parameters in, JSON or an OAuth error out, and CORS for scripts of apps."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from regulars.base.errors import Unavailable
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.oauth.client_authentication import named_client
from regulars.oauth.dialect import TELEMETRY, TELEMETRY_HEADER, Answers, dialect_of
from regulars.oauth.protocol_errors import OAuthError

log = logging.getLogger("regulars.oidc")
View = Callable[[HttpRequest], HttpResponse]
EXPOSED_HEADERS = "WWW-Authenticate, DPoP-Nonce"
ALLOWED_HEADERS = f"Authorization, Content-Type, {TELEMETRY_HEADER}, DPoP"
LARGEST_BODY = 64 * 1024
LONGEST = 8192
LONGEST_TELEMETRY = 1000


def endpoint(*methods: str) -> Callable[[View], View]:
    """Decorate a view: it answers these methods, the preflight before them, and `OAuthError` in JSON.

    No cookie counts at these addresses, so scripts of any origin may call them.
    """
    allowed = ", ".join((*methods, "OPTIONS"))

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            if request.method == "OPTIONS":
                response = HttpResponse(status=204)
                response.headers["Access-Control-Allow-Methods"] = allowed
                response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
                response.headers["Access-Control-Max-Age"] = "600"
            elif request.method not in methods:
                response = HttpResponse(status=405, headers={"Allow": allowed})
            else:
                try:
                    response = view(request)
                except OAuthError as error:
                    answers = error.answers or _dialect_of(request)
                    response = json_response(error.body(answers), error.status(answers), error.headers)
                except Unavailable as error:
                    log.error("%s: %s", error.code, error.message)
                    return failed(request, HTTPStatus.SERVICE_UNAVAILABLE, error.message)
            return _open(response)

        answer.failed = failed  # type: ignore[attr-defined]  # read by `serving.error_pages`
        return answer

    return decorate


def failed(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """Answer a program where a view failed, by a fault of ours or because something does not work now (503)."""
    code = "temporarily_unavailable" if status == HTTPStatus.SERVICE_UNAVAILABLE else "server_error"
    return _open(json_response({"error": code, "error_description": sentence}, status))


def _open(response: HttpResponse) -> HttpResponse:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return response


def json_response(body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return plain_json(body, status, {"Cache-Control": "no-store", "Pragma": "no-cache", **(headers or {})})


def plain_json(body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a `JsonResponse` of values that JSON has itself. Django's encoder for dates takes three times as long."""
    return HttpResponse(json.dumps(body), status=status, headers=headers, content_type="application/json")


def read_parameters(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a form or a flat JSON object, with the telemetry of the header among them.

    Raises `OAuthError`, also for a repeated parameter.
    """
    try:
        body = request.body
    except RequestDataTooBig:
        body = b"x" * (LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise OAuthError("invalid_request", "The body is too large.")
    if request.content_type == "application/json":
        try:
            sent = read_json(body)
        except UnreadableJson:
            raise OAuthError("invalid_request", "The body is not JSON.") from None
        if not isinstance(sent, dict):
            raise OAuthError("invalid_request", "The body is not a JSON object.")
        params = {name: value for name, value in sent.items() if value is not None}
    else:
        for name, values in request.POST.lists():
            if len(values) > 1:
                raise OAuthError("invalid_request", f"Parameter {name[:50]} was sent twice.")
        params = {name: str(value) for name, value in request.POST.items()}
    if any(not isinstance(value, str) or len(value) > LONGEST or "\0" in value for value in params.values()):
        raise OAuthError("invalid_request", "Every parameter is a text of reasonable length.")
    return _header_telemetry(request) | params


def _header_telemetry(request: HttpRequest) -> dict[str, str]:
    telemetry = request.headers.get(TELEMETRY_HEADER, "")[:LONGEST_TELEMETRY]
    return {TELEMETRY: telemetry} if telemetry else {}


def _dialect_of(request: HttpRequest) -> Answers:
    """Return the dialect of a refused request, also of one that cannot be read."""
    try:
        params = read_parameters(request)
    except OAuthError:
        params = _header_telemetry(request)
    return dialect_of(named_client(params, request.headers), params)


def required(params: Mapping[str, str], name: str) -> str:
    if not params.get(name):
        raise OAuthError("invalid_request", f"Missing required parameter: {name}")
    return params[name]
