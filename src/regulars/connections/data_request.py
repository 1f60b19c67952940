"""What a sign-in asks a provider for: scopes, and single claims where an OpenID Connect provider gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .models import Connection
from .provider import PROVIDERS, Raw, RequestedClaim

# OpenID Connect Core 1.0, 5.4: those that this product reads.
CLAIMS_OF_SCOPE = {
    "email": ("email", "email_verified"),
    "profile": ("name", "given_name", "family_name", "nickname", "picture", "locale", "gender", "birthdate"),
    "address": ("address",),
    "phone": ("phone_number",),
}
WITHOUT_CLAIMS = ("openid", "offline_access")


@dataclass(frozen=True)
class DataRequest:
    """`parameters` go to the provider beside the scopes. `claims`: what may be read of the answer; None: whatever it has."""

    scopes: list[str]
    parameters: dict[str, str] = field(default_factory=dict)
    claims: list[str] | None = None


def request_for(connection: Connection, chosen: Sequence[RequestedClaim], metadata: Mapping[str, Any]) -> DataRequest:
    """Return what a sign-in asks for: what the login reads, and what the customer chose to share.

    A scope such as `profile` brings more than one was asked about. A provider whose `metadata` announce the parameter
    `claims` (OpenID Connect Core 1.0, 5.5) is asked for single claims, any other for the scopes of what was chosen. The
    connection's own scopes are always asked for: the operator chose them.
    """
    kind = PROVIDERS[connection.strategy]
    always = kind.offline[0] if connection.offline else ()
    own = [*(["openid"] if kind.openid else []), *(connection.scopes or kind.scopes), *always]
    scopes = list(dict.fromkeys([*own, *(scope for claim in chosen for scope in claim.scopes)]))
    if not kind.login_claims:
        return DataRequest(scopes)
    wanted = sorted({*kind.login_claims, *(name for claim in chosen for name in claim.claims)})
    if metadata.get("claims_parameter_supported") is True:
        place = "userinfo" if "userinfo_endpoint" in metadata else "id_token"
        return DataRequest(list(dict.fromkeys(own)), {"claims": json.dumps({place: dict.fromkeys(wanted)})}, wanted)
    if any(scope not in CLAIMS_OF_SCOPE and scope not in WITHOUT_CLAIMS for scope in scopes):
        return DataRequest(scopes, claims=wanted)  # a scope of the provider's own may bring any of them
    brought = {name for scope in scopes for name in CLAIMS_OF_SCOPE.get(scope, ())}
    return DataRequest(scopes, claims=[name for name in wanted if name in brought])


def only(raw: Raw, claims: Sequence[str]) -> Raw:
    """Return the answers of an OpenID Connect provider without what was not asked for."""
    kept = {"sub", *claims}
    return {
        part: {name: value for name, value in answer.items() if name in kept} if isinstance(answer, dict) else answer
        for part, answer in raw.items()
    }
