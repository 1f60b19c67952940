"""Plain decisions about a rule run: what of its result counts. Results are a stranger's: nothing is taken on trust."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from regulars.base.text import storable

MAX_DEPTH = 32
MAX_CLAIMS_BYTES = 16 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_URL = 2048
MAX_DESCRIPTION = 500

IGNORED = ("multifactor", "samlConfiguration", "primaryUser", "jwtConfiguration")
# Not even app_metadata says who somebody is.
NOT_AT_ROOT = frozenset({"user_id", "identities", "user_metadata", "app_metadata"})

# Who the token is about, for whom, and how it was made is the provider's word alone (OpenID Connect Core 2, RFC 9068 2.2).
RESERVED_IN_ID_TOKEN = frozenset(
    [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "nonce",
        "azp",
        "auth_time",
        "acr",
        "amr",
        "at_hash",
        "c_hash",
        "s_hash",
        "sid",
        "cnf",
        "act",
        "may_act",
        "sub_jwk",
    ]
)
RESERVED_IN_ACCESS_TOKEN = frozenset(
    [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "azp",
        "auth_time",
        "acr",
        "amr",
        "sid",
        "cnf",
        "act",
        "may_act",
        "client_id",
        "gty",
        "scope",
        "permissions",
    ]
)


@dataclass(frozen=True)
class Denied:
    """The login ends here. `error` is OAuth's word: "unauthorized" or "access_denied"."""

    error: str
    description: str


@dataclass(frozen=True)
class MetadataUpdate:
    """A rule wants `data` merged into the person's `bag`, "user_metadata" or "app_metadata"."""

    rule_slug: str
    bag: str
    data: dict[str, Any]


def objects_given(user: dict[str, Any], context: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`user` and `context` as rules expect them: app_metadata's keys at the root too, and the objects they write into."""
    own = user.get("app_metadata")
    roots = {name: value for name, value in own.items() if name not in NOT_AT_ROOT} if isinstance(own, dict) else {}
    return {**user, **roots}, {"idToken": {}, "accessToken": {}, "samlConfiguration": {}, **context}


def ignored(context: dict[str, Any]) -> list[str]:
    """What a rule asked of the context that this house does not do: on record, so that nobody relies on it."""
    return [f"context.{name}" for name in IGNORED if context.get(name)]


def id_token_claims(context: dict[str, Any]) -> dict[str, Any]:
    """The claims that rules may add to the ID token, out of `context.idToken`."""
    return _claims(context.get("idToken"), RESERVED_IN_ID_TOKEN)


def access_token_claims(context: dict[str, Any]) -> dict[str, Any]:
    """The claims that rules may add to the access token, out of `context.accessToken`."""
    return _claims(context.get("accessToken"), RESERVED_IN_ACCESS_TOKEN)


def scopes(context: dict[str, Any]) -> list[str] | None:
    """`context.accessToken.scope` when a rule set it (a list, or words in a text); None leaves the scopes alone."""
    token = context.get("accessToken")
    asked = token.get("scope") if isinstance(token, dict) else None
    if isinstance(asked, str):
        return asked.split()
    if isinstance(asked, list):
        return [scope for scope in asked if isinstance(scope, str) and scope and " " not in scope]
    return None


def redirect_url(context: dict[str, Any]) -> str | None:
    """Where a rule sends the browser: an absolute http(s) address. Never twice in one login."""
    wanted = context.get("redirect")
    url = wanted.get("url") if isinstance(wanted, dict) else None
    if context.get("protocol") == "redirect-callback" or not isinstance(url, str) or len(url) > MAX_URL:
        return None
    return url if _is_web_address(url) else None


def metadata_updates(rule_slug: str, updates: Any) -> list[MetadataUpdate]:
    """The well-formed ones of `[{"bag": "user_metadata", "data": {…}}]`."""
    if not isinstance(updates, list):
        return []
    return [
        MetadataUpdate(rule_slug, update["bag"], update["data"])
        for update in updates
        if isinstance(update, dict)
        and update.get("bag") in ("user_metadata", "app_metadata")
        and isinstance(update.get("data"), dict)
        and _size(update["data"]) <= MAX_METADATA_BYTES
    ]


def denied(error: Any) -> Denied:
    """The named end of a login, from what a rule gave its callback: `{"name": …, "message": …}`."""
    name, message = (error.get("name"), error.get("message")) if isinstance(error, dict) else ("", "")
    description = message if isinstance(message, str) and message else "A rule of this site does not let you in."
    return Denied("unauthorized" if name == "UnauthorizedError" else "access_denied", description[:MAX_DESCRIPTION])


def read_answer(text: str) -> dict[str, Any]:
    """The JSON object that a sandbox answered, storable by any database. Raises ValueError for anything else."""
    try:
        answer = json.loads(text)
        if not isinstance(answer, dict) or not _is_plain(answer, MAX_DEPTH):
            raise ValueError("not a plain JSON object")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    plain: dict[str, Any] = storable(answer)
    return plain


def _claims(wanted: Any, reserved: frozenset[str]) -> dict[str, Any]:
    if not isinstance(wanted, dict):
        return {}
    claims = {name: value for name, value in wanted.items() if name and name not in reserved and value is not None}
    return claims if _size(claims) <= MAX_CLAIMS_BYTES else {}


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _is_web_address(url: str) -> bool:
    if any(character.isspace() or ord(character) < 32 or character == "\\" for character in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _is_plain(value: Any, depth: int) -> bool:
    """Whether a JSON value is no deeper than `depth` and holds only numbers that other languages can hold."""
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_plain(item, depth - 1) for item in inside)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return True
