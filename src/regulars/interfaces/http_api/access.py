"""Access checks of the Management API and of `/api/regulars/v1`: an access token of ours with one of an operation's scopes.

A token that is bound to a key comes with a proof of it (DPoP, RFC 9449); every other token comes as bearer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.http import HttpRequest
from ninja.security import HttpBearer

from regulars.base.errors import DomainError
from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import Claims, verify
from regulars.base.tokens.kinds import ONLY_USER, WRITING_RULE, TokenKind, client_of
from regulars.clients.models import CURRENT_USER_SCOPE, management_audience
from regulars.oauth.revoked_grants import refuse_revoked
from regulars.profiles.learn import RULE

from .error_responses import ApiError
from .requests import refuse_unstorable_request

NOTIFIED = "Regulars-Customer-Notified"  # of a request: its caller notifies the customer, so that we do not


@dataclass(frozen=True)
class Caller:
    """The application that a token was issued to, its scopes and its subject.

    `only_user`: the token is good for this customer alone (a rule's token). `claims` are all of the token.
    """

    client_id: str
    scopes: frozenset[str]
    subject: str = ""
    only_user: str = ""
    claims: Claims = field(default_factory=dict)

    @property
    def sees_customers(self) -> bool:
        """Return whether it may read who a customer is. Without it only numbers of at least ten customers are shown."""
        return "read:users" in self.scopes

    @property
    def source(self) -> str:
        """The source of the facts that this caller writes. What a rule writes over HTTP is a rule's word as well."""
        if self.only_user:
            return f"{RULE}{self.claims.get(WRITING_RULE) or 'management_api'}"
        return f"app:{self.client_id}"


class Bearer(HttpBearer):
    """Accept a token with any of `scopes`, and `also` if it is given. 401 without a valid token, 403 for one that lacks them.

    A rule's own token is refused unless `for_rules`: the operation must know that it shows and changes no more than the rule may.
    """

    def __init__(self, *scopes: str, also: str = "", for_rules: bool = False) -> None:
        super().__init__()
        self.scopes = scopes
        self.also = also
        self.for_rules = for_rules

    def __call__(self, request: HttpRequest) -> Caller | None:
        kind, token = dpop.credential_of(request.headers)
        return self.authenticate(request, token, kind) if token else None

    def authenticate(self, request: HttpRequest, token: str, kind: str = "bearer") -> Caller:
        try:
            claims = verify(token, management_audience(), kinds=[TokenKind.ACCESS, TokenKind.RULE])
            refuse_revoked(claims)
        except DomainError as refused:
            raise ApiError(401, "invalid_token", refused.message) from None
        try:
            dpop.check_holder(claims, kind, token, request.headers, str(request.method), request.path.removeprefix("/"))
        except DomainError as refused:
            raise ApiError(401, refused.code, refused.message, dpop.challenge(refused)) from None
        scopes = str(claims.get("scope", "")).split()
        client_id = client_of(claims)
        is_machine = bool(client_id) and claims.get("sub") == f"{client_id}@clients"
        if not is_machine:  # a customer's token changes their own account only, even if it was issued with more scopes
            scopes = [scope for scope in scopes if CURRENT_USER_SCOPE in scope]
        only_user = str(claims.get(ONLY_USER, ""))
        caller = Caller(
            (client_id or str(claims.get("sub", "")).removesuffix("@clients"))[:64],
            frozenset(scopes),
            str(claims.get("sub", "")),
            only_user,
            claims,
        )
        if not caller.scopes.intersection(self.scopes):
            raise insufficient_scope(*self.scopes)
        if self.also and self.also not in caller.scopes:
            raise insufficient_scope(self.also)
        requested_user = request.resolver_match.kwargs.get("user_id", "") if request.resolver_match else ""
        if caller.only_user and not (self.for_rules and requested_user == caller.only_user):
            raise ApiError(403, "another_user", "This token only reads and changes the customer who logs in.")
        refuse_unstorable_request(request)
        return caller


def insufficient_scope(*scopes: str) -> ApiError:
    return ApiError(403, "insufficient_scope", f"Insufficient scope, expected any of: {','.join(scopes)}")


def notified_by(request: HttpRequest) -> str:
    """Return the caller's source if it says that it notifies the customer of this change itself; else an empty text."""
    said = request.headers.get(NOTIFIED, "").strip().lower()
    if said not in ("", "true", "false"):
        raise ApiError(400, "invalid_headers", f"{NOTIFIED} is true or false.")
    return caller_of(request).source if said == "true" else ""


def caller_of(request: HttpRequest) -> Caller:
    caller: Caller = request.auth  # type: ignore[attr-defined]  # ninja puts it there
    return caller
