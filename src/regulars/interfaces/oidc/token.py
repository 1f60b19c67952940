"""/oauth/token and /oauth/revoke: no browser, no session, few queries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse

from regulars.clients.models import Client
from regulars.consent.view import served
from regulars.usecases.login import REFRESHING, Denied, Login, LoginContext, renew

from . import protocol, refresh, sessions
from .cors import open_to_scripts
from .errors import OAuthError
from .grants import Grant
from .tokens import claims_of

LARGEST_BODY = 64 * 1024
LONGEST = 8192


@open_to_scripts("POST")
def token(request: HttpRequest) -> HttpResponse:
    """Tokens for a code, a refresh token, or a machine's secret."""
    try:
        params = read_params(request)
        if not params.get("grant_type"):
            raise OAuthError("invalid_request", "Missing required parameter: grant_type")
    except OAuthError as refusal:
        return answer_json(protocol.no(refusal))
    visit = LoginContext(
        protocol=REFRESHING,
        hostname=request.META.get("HTTP_HOST", ""),
        ip=request.META.get("REMOTE_ADDR", ""),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        body={name: value for name, value in params.items() if name in ("grant_type", "client_id", "scope")},
        silent=True,
    )
    return answer_json(
        protocol.exchange(
            params, request.headers, lambda found, client, scopes: _renewed(found, client, scopes, visit), visit
        )
    )


@open_to_scripts("POST")
def revoke(request: HttpRequest) -> HttpResponse:
    """End what a refresh token of the calling app started (RFC 7009)."""
    try:
        params = read_params(request)
        client = protocol.authenticate(params, request.headers)
        if not params.get("token"):
            raise OAuthError("invalid_request", "Missing required parameter: token")
    except OAuthError as refusal:
        return answer_json(protocol.no(refusal))
    refresh.end_by_token(params["token"], client)
    return HttpResponse(status=200)


def read_params(request: HttpRequest) -> Mapping[str, str]:
    """A form or a flat JSON object; `OAuthError("invalid_request")` for anything else, and for what is said twice."""
    try:
        body = request.body
    except RequestDataTooBig:
        body = b"x" * (LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise OAuthError("invalid_request", "The body is too large.")
    params = _from_json(body) if request.content_type == "application/json" else _from_form(request)
    if any(not isinstance(value, str) or len(value) > LONGEST or "\0" in value for value in params.values()):
        raise OAuthError("invalid_request", "Every parameter is a text of reasonable length.")
    return params


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body)
    except (ValueError, RecursionError):
        raise OAuthError("invalid_request", "The body is not JSON.") from None
    if not isinstance(params, dict):
        raise OAuthError("invalid_request", "The body is not a JSON object.")
    return {name: value for name, value in params.items() if value is not None}


def _from_form(request: HttpRequest) -> dict[str, str]:
    for name, values in request.POST.lists():
        if len(values) > 1:
            raise OAuthError("invalid_request", f"Parameter {name[:50]} was sent twice.")
    return {name: str(value) for name, value in request.POST.items()}


def _renewed(found: refresh.Found, client: Client, scopes: list[str], visit: LoginContext) -> Grant:
    """The grant as it stands today: rules decide anew; when and how she signed in stays."""
    grant = found.grant
    decided = renew(Login(found.profile, client, replace(visit, session_id=grant.sid), scopes))
    if isinstance(decided, Denied):
        raise OAuthError(decided.error, decided.description)
    if grant.sid:
        sessions.note(found.profile, grant.sid, client.pk, decided.id_token)
    return replace(
        grant,
        scopes=decided.scopes,
        nonce="",
        id_token={**claims_of(served(found.profile), decided.scopes), **decided.id_token},
        access_token=decided.access_token,
    )


def answer_json(answer: protocol.Answer) -> HttpResponse:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache", **answer.headers}
    return JsonResponse(answer.body, status=answer.status, headers=headers)
