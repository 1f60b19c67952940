"""Access checks of the Management API and of `/api/regulars/v1`: an access token of ours with one of an operation's scopes.

A token that is bound to a key comes with a proof of it (DPoP, RFC 9449); every other token comes as bearer.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from ninja.security import HttpBearer

from regulars.base.errors import DomainError
from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import verify
from regulars.clients.models import CURRENT_USER_SCOPE, management_audience

from .error_responses import ApiError
from .requests import refuse_unstorable_request


@dataclass(frozen=True)
class Caller:
    """The application that a token was issued to, its scopes and its subject.

    `only_user`: the token is good for this customer alone (a rule's token).
    """

    client_id: str
    scopes: frozenset[str]
    subject: str = ""
    only_user: str = ""

    @property
    def sees_customers(self) -> bool:
        """Return whether it may read who a customer is. Without it only numbers of at least ten customers are shown."""
        return "read:users" in self.scopes

    @property
    def source(self) -> str:
        """The source of the facts that this caller writes."""
        return f"app:{self.client_id}"


class Bearer(HttpBearer):
    """Accept a token with any of `scopes`, and `also` if it is given. 401 without a valid token, 403 for one that lacks them."""

    def __init__(self, *scopes: str, also: str = "") -> None:
        super().__init__()
        self.scopes = scopes
        self.also = also

    def __call__(self, request: HttpRequest) -> Caller | None:
        kind, token = dpop.credential_of(request.headers)
        return self.authenticate(request, token, kind) if token else None

    def authenticate(self, request: HttpRequest, token: str, kind: str = "bearer") -> Caller:
        try:
            claims = verify(token, management_audience())
        except DomainError as refused:
            raise ApiError(401, "invalid_token", refused.message) from None
        try:
            dpop.check_holder(claims, kind, token, request.headers, str(request.method), request.path.removeprefix("/"))
        except DomainError as refused:
            raise ApiError(401, refused.code, refused.message, dpop.challenge(refused)) from None
        scopes = str(claims.get("scope", "")).split()
        is_machine = bool(claims.get("azp")) and claims.get("sub") == f"{claims['azp']}@clients"
        if not is_machine:  # a customer's token changes their own account only, even if it was issued with more scopes
            scopes = [scope for scope in scopes if CURRENT_USER_SCOPE in scope]
        client_id = str(claims.get("azp") or claims.get("client_id") or claims.get("sub", "")).removesuffix("@clients")
        caller = Caller(client_id[:64], frozenset(scopes), str(claims.get("sub", "")), str(claims.get("only_user", "")))
        if not caller.scopes.intersection(self.scopes):
            raise insufficient_scope(*self.scopes)
        if self.also and self.also not in caller.scopes:
            raise insufficient_scope(self.also)
        requested_user = request.resolver_match.kwargs.get("user_id", "") if request.resolver_match else ""
        if caller.only_user and requested_user != caller.only_user:
            raise ApiError(403, "another_user", "This token is valid only for the customer who logs in.")
        refuse_unstorable_request(request)
        return caller


def insufficient_scope(*scopes: str) -> ApiError:
    return ApiError(403, "insufficient_scope", f"Insufficient scope, expected any of: {','.join(scopes)}")


def caller_of(request: HttpRequest) -> Caller:
    caller: Caller = request.auth  # type: ignore[attr-defined]  # ninja puts it there
    return caller
