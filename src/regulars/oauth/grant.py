"""Grants: everything that one authorization decided. The token endpoint adds nothing to a grant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from regulars.base.tokens.jwt import Claims
from regulars.clients.models import Client
from regulars.consent.view import served_user
from regulars.profiles.assertions import Place
from regulars.profiles.models import Profile

from .claims import SCOPE_OF_CLAIM, claims_of, fitting

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
PASSWORDLESS_OTP = "http://auth0.com/oauth/grant-type/passwordless/otp"
IMPLICIT = "implicit"  # the grant type that lets an app have tokens straight from /authorize


@dataclass(frozen=True)
class Authentication:
    """How and when a customer signed in, as tokens repeat it.

    `sub` is the user id under which the app knows the customer; after two customers were linked it may be another id
    than the profile's (OpenID Connect Core 12.2). `auth_time` is seconds since 1970, None when it is unknown.
    `connection`, `strategy` and `methods` (each with its time in milliseconds) are Auth0's, for rules: those of this very
    sign-in, also when a refresh token is used much later.
    """

    profile: Profile
    sub: str
    sid: str
    auth_time: int | None
    amr: list[str]
    acr: str = ""
    connection: str = ""
    strategy: str = ""
    methods: list[tuple[str, int]] = field(default_factory=list)


class TokenTerms(Protocol):
    """The part of a request that tokens depend on. `AuthorizationRequest` and `Grant` have it."""

    @property
    def client_id(self) -> str: ...
    @property
    def audience(self) -> str: ...
    @property
    def lifetime(self) -> int: ...
    @property
    def nonce(self) -> str: ...
    @property
    def sent_redirect_uri(self) -> str: ...
    @property
    def challenge(self) -> str: ...
    @property
    def jkt(self) -> str: ...
    @property
    def id_token_claims(self) -> list[str]: ...
    @property
    def userinfo_claims(self) -> list[str]: ...
    @property
    def answers(self) -> str: ...


@dataclass(frozen=True)
class TokenDecision:
    """The final scopes and extra claims of the tokens, as the steps of a login decided them.

    A claim whose value is None is in no ID token and no answer of /userinfo, whatever the scopes. `by_rules`: rules chose the scopes, so that nothing beyond them is disclosed either.
    """

    scopes: list[str]
    id_token: Claims
    access_token: Claims
    by_rules: bool = False

    def permits(self, claim: str) -> bool:
        """Return whether a single claim that the app requested may be disclosed."""
        return not self.by_rules or SCOPE_OF_CLAIM[claim] in self.scopes


@dataclass(frozen=True)
class Grant:
    """One authorization, stored as JSON in a code, a device request or a refresh token family.

    `audience` is empty when the tokens are for /userinfo only. `lifetime` is the access token's, in seconds.
    `sent_redirect_uri` is empty when the app sent none. `jkt` is the thumbprint of the key that every use of the tokens
    must be signed with; empty when none is needed. `id_token_claims` and `userinfo_claims` are single claims that the app
    requested beside its scopes. `connection`, `strategy` and `methods` are those of `Authentication`.
    `grant_id` names the grant in its access tokens, so that they can be revoked; it is set when the first token is issued.
    `answers` is the dialect of all answers about it (`oauth.dialect`); empty until the token request of its code decides it.
    """

    client_id: str
    sub: str
    scopes: list[str]
    audience: str = ""
    lifetime: int = 86400
    sid: str = ""
    auth_time: int | None = None
    amr: list[str] = field(default_factory=list)
    acr: str = ""
    nonce: str = ""
    sent_redirect_uri: str = ""
    challenge: str = ""
    jkt: str = ""
    id_token: Claims = field(default_factory=dict)
    access_token: Claims = field(default_factory=dict)
    connection: str = ""
    strategy: str = ""
    methods: list[tuple[str, int]] = field(default_factory=list)
    grant_id: str = ""
    id_token_claims: list[str] = field(default_factory=list)
    userinfo_claims: list[str] = field(default_factory=list)
    answers: str = ""

    @property
    def scope(self) -> str:
        return " ".join(self.scopes)

    @property
    def is_offline(self) -> bool:
        return "offline_access" in self.scopes

    def authentication(self, profile: Profile) -> Authentication:
        """Return how and when the customer signed in, for tokens that are issued again."""
        return Authentication(
            profile=profile,
            sub=self.sub,
            sid=self.sid,
            auth_time=self.auth_time,
            amr=self.amr,
            acr=self.acr,
            connection=self.connection,
            strategy=self.strategy,
            methods=self.methods,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields, not copied: what is stored is written at once. Dataclasses' `asdict` copies all of it."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Grant:
        """Return the grant. Unknown keys are ignored: another version may have stored it.

        A grant from before there were two dialects goes on in Auth0's, which was the only one.
        """
        known = {"answers": Client.Answers.AUTH0.value, **stored}
        return cls(**{name: known[name] for name in _FIELDS if name in known})


_FIELDS = [each.name for each in fields(Grant)]


def build_grant(authentication: Authentication, request: TokenTerms, decision: TokenDecision) -> Grant:
    """Return the grant of a customer who is authenticated, for what the app requested and the login decided."""
    by_rules = fitting(decision.id_token, {}, request.client_id)
    in_id_token = [name for name in request.id_token_claims if decision.permits(name)]
    about = claims_of(served_user(authentication.profile, Place.TOKEN), decision.scopes, in_id_token)
    about = {name: value for name, value in about.items() if name not in by_rules}
    by_rules = {name: value for name, value in by_rules.items() if value is not None}
    return Grant(
        client_id=request.client_id,
        sub=authentication.sub,
        scopes=decision.scopes,
        audience=request.audience,
        lifetime=request.lifetime,
        sid=authentication.sid,
        auth_time=authentication.auth_time,
        amr=authentication.amr,
        acr=authentication.acr,
        nonce=request.nonce,
        sent_redirect_uri=request.sent_redirect_uri,
        challenge=request.challenge,
        jkt=request.jkt,
        answers=request.answers,
        id_token={**fitting(about, by_rules, request.client_id), **by_rules},
        access_token=fitting(decision.access_token, {}, request.client_id),
        connection=authentication.connection,
        strategy=authentication.strategy,
        methods=authentication.methods,
        id_token_claims=in_id_token,
        userinfo_claims=[name for name in request.userinfo_claims if decision.permits(name)],
    )
