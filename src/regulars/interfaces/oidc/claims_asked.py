"""The `claims` parameter (OpenID Core 5.5): read safely. What it may change here is how strongly she signs in."""

from __future__ import annotations

import json
from typing import Any

from .errors import OAuthError
from .visitor import MULTI_FACTOR

MULTI_FACTOR_WORDS = frozenset({MULTI_FACTOR, "mfa"})
MEMBERS = ("userinfo", "id_token")


def needs_second_factor(acr_values: str, claims: str) -> bool:
    """Whether the app wants her to prove who she is twice: by `acr_values`, or by an `acr` it calls essential.

    Raises `OAuthError("invalid_request")` for `claims` that are not what OpenID says.
    """
    return bool(MULTI_FACTOR_WORDS & {*acr_values.split(), *_essential_acr(_read(claims))})


def _read(claims: str) -> dict[str, Any]:
    if not claims:
        return {}
    try:
        asked = json.loads(claims)
    except (ValueError, RecursionError):
        raise OAuthError("invalid_request", "claims is not JSON.") from None
    parts = [asked.get(name) or {} for name in MEMBERS] if isinstance(asked, dict) else [None]
    if not all(isinstance(part, dict) and all(isinstance(how, dict | None) for how in part.values()) for part in parts):
        raise OAuthError("invalid_request", "claims is an object of userinfo and id_token, each an object of claims.")
    found: dict[str, Any] = asked
    return found


def _essential_acr(asked: dict[str, Any]) -> list[str]:
    wish = (asked.get("id_token") or {}).get("acr") or {}
    if wish.get("essential") is not True:
        return []
    values = wish.get("values") if isinstance(wish.get("values"), list) else [wish.get("value")]
    return [value for value in values or [] if isinstance(value, str)]
