"""The `claims` parameter (OpenID Connect Core 5.5): single claims of a customer that an app asks for, beside its scopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.text import storable

from .claims import SCOPE_OF_CLAIM
from .protocol_errors import OAuthError

LONGEST_SUB = 255  # OpenID Connect Core 2
MALFORMED = "claims is an object of userinfo and id_token, each an object of claims."


@dataclass(frozen=True)
class RequestedClaims:
    """Requested claims about the customer, by name, in the order of the request. Names that are not supported are left out.

    `essential_acrs` are the values of an essential `acr`. `sub` is the only customer whom the app wants; empty for anyone.
    """

    id_token: tuple[str, ...] = ()
    userinfo: tuple[str, ...] = ()
    essential_acrs: tuple[str, ...] = ()
    sub: str = ""

    @property
    def scopes(self) -> list[str]:
        """The scopes that stand for these claims where a customer is asked for consent."""
        return list(dict.fromkeys(SCOPE_OF_CLAIM[name] for name in (*self.id_token, *self.userinfo)))


def read_requested_claims(text: str) -> RequestedClaims:
    """Return what the parameter requests. Raises `OAuthError("invalid_request")` when it is malformed."""
    if not text:
        return RequestedClaims()
    try:
        requested = read_json(text)
    except UnreadableJson:
        raise OAuthError("invalid_request", "claims is not JSON.") from None
    if not isinstance(requested, dict):
        raise OAuthError("invalid_request", MALFORMED)
    id_token, userinfo = _part(requested, "id_token"), _part(requested, "userinfo")
    acr = id_token.get("acr") or {}
    subs = {value for part in (id_token, userinfo) for value in _values(part.get("sub") or {})}
    if len(subs) > 1 or any(len(sub) > LONGEST_SUB or sub != storable(sub) for sub in subs):
        raise OAuthError("invalid_request", "claims requests one sub, as an ID token has it.")
    return RequestedClaims(
        id_token=tuple(name for name in id_token if name in SCOPE_OF_CLAIM),
        userinfo=tuple(name for name in userinfo if name in SCOPE_OF_CLAIM),
        essential_acrs=tuple(_values(acr)) if acr.get("essential") is True else (),
        sub=next(iter(subs), ""),
    )


def _part(requested: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = requested.get(name) or {}
    if not isinstance(part, dict) or not all(isinstance(how, dict | None) for how in part.values()):
        raise OAuthError("invalid_request", MALFORMED)
    return part


def _values(how: Mapping[str, Any]) -> list[str]:
    values = how.get("values") if isinstance(how.get("values"), list) else [how.get("value")]
    return [value for value in values or [] if isinstance(value, str)]
