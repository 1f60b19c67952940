"""Who calls, and what for: a token of ours for the Management API, with one of the scopes an operation takes.

A token that is bound to a key comes with a proof of it (DPoP, RFC 9449); every other comes as bearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from ninja.security import HttpBearer

from regulars.base.errors import DomainError
from regulars.base.text import has_nul
from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import verify

from .errors import ApiError, invalid_query

LARGEST_BODY = 1_000_000  # bytes
HERSELF = ":current_user"  # in the names of scopes that a customer's own token may hold


@dataclass(frozen=True)
class Caller:
    """The application a token was issued to, the scopes it holds, and whose it is. `only_user`: for this customer alone (a
    rule's token)."""

    client_id: str
    scopes: frozenset[str]
    subject: str = ""
    only_user: str = ""

    @property
    def source(self) -> str:
        """What facts it writes are marked with."""
        return f"app:{self.client_id}"


class Bearer(HttpBearer):
    """Lets in a token with any of `scopes`; 401 for no good token, 403 for a good one without them."""

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        self.scopes = scopes

    def __call__(self, request: HttpRequest) -> Caller | None:
        kind, token = dpop.credential_of(request.headers)
        return self.authenticate(request, token, kind) if token else None

    def authenticate(self, request: HttpRequest, token: str, kind: str = "bearer") -> Caller:
        caller = _caller(request, kind, token)
        if not caller.scopes.intersection(self.scopes):
            raise insufficient_scope(*self.scopes)
        if caller.only_user and _asked_about(request) != caller.only_user:
            raise ApiError(403, "another_user", "This token is good for the customer who logs in, and for nobody else.")
        refuse_large(request)
        refuse_nul(request)
        return caller


def insufficient_scope(*scopes: str) -> ApiError:
    return ApiError(403, "insufficient_scope", f"Insufficient scope, expected any of: {','.join(scopes)}")


def caller_of(request: HttpRequest) -> Caller:
    caller: Caller = request.auth  # type: ignore[attr-defined]  # ninja puts it there
    return caller


def _caller(request: HttpRequest, kind: str, token: str) -> Caller:
    try:
        claims = verify(token, f"{settings.ISSUER}api/v2/")
    except DomainError as refused:
        raise ApiError(401, "invalid_token", refused.message) from None
    try:
        dpop.check_holder(claims, kind, token, request.headers, str(request.method), request.path.removeprefix("/"))
    except DomainError as refused:
        raise ApiError(401, refused.code, refused.message, dpop.challenge(refused)) from None
    scopes = str(claims.get("scope", "")).split()
    if not _is_of_a_machine(claims):
        scopes = [scope for scope in scopes if HERSELF in scope]
    return Caller(_client_id(claims), frozenset(scopes), str(claims.get("sub", "")), str(claims.get("only_user", "")))


def _is_of_a_machine(claims: dict[str, Any]) -> bool:
    """A customer's token may change what is hers, and nothing else, even if somebody gave it more."""
    return bool(claims.get("azp")) and claims.get("sub") == f"{claims['azp']}@clients"


def _asked_about(request: HttpRequest) -> str:
    """The customer in the address; empty where it names none."""
    return str(request.resolver_match.kwargs.get("user_id", "")) if request.resolver_match else ""


def _client_id(claims: dict[str, Any]) -> str:
    return str(claims.get("azp") or claims.get("client_id") or claims.get("sub", "")).removesuffix("@clients")[:64]


def refuse_large(request: HttpRequest) -> None:
    try:
        size = len(request.body)
    except RequestDataTooBig:
        size = LARGEST_BODY + 1
    if size > LARGEST_BODY:
        raise ApiError(413, "payload_too_large", f"A body may have {LARGEST_BODY:,} bytes.")


def refuse_nul(request: HttpRequest) -> None:
    if has_nul(request, request.GET):
        raise invalid_query("NUL is not a character of any text here.")
