"""Pure decisions about the result of a rule run. Results are untrusted input."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from regulars.base.text import JsonObject, storable
from regulars.base.tokens.kinds import MARK, OF_ID_TOKENS, ONLY_USER
from regulars.profiles.auth0_user import ROOT_NAMES

log = logging.getLogger("regulars.rules")

MAX_DEPTH = 32
MAX_CLAIMS_BYTES = 16 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_URL = 2048
MAX_DESCRIPTION = 500

IGNORED = ("samlConfiguration", "primaryUser", "jwtConfiguration")

# Only the provider sets subject, audience and protocol claims (OpenID Connect Core 2, RFC 9068 2.2), and what kind of token it is.
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
        MARK,
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
        "grant_id",
        "userinfo_claims",
        "dialect",
        MARK,
        ONLY_USER,
        *OF_ID_TOKENS,
    ]
)


@dataclass(frozen=True)
class Denied:
    """A denied login. `error` is an OAuth error code: "unauthorized" or "access_denied"."""

    error: str
    description: str


@dataclass(frozen=True)
class MetadataUpdate:
    """A request to merge `data` into the user's `bag`, "user_metadata" or "app_metadata"."""

    rule_slug: str
    bag: str
    data: JsonObject


def objects_given(
    user: JsonObject, context: JsonObject, attributes: Collection[str] = ()
) -> tuple[JsonObject, JsonObject]:
    """Return `user` with app_metadata's keys at the root too, and `context` with the objects that rules write into.

    Metadata never takes the place of a root field, known or unknown. `attributes` are the installation's own root fields.
    """
    own = user.get("app_metadata")
    closed = ROOT_NAMES.union(attributes, user)
    roots = {name: value for name, value in own.items() if name not in closed} if isinstance(own, dict) else {}
    return {**user, **roots}, {"idToken": {}, "accessToken": {}, "samlConfiguration": {}, **context}


def ignored(context: JsonObject) -> list[str]:
    """Return the unsupported parts of the context that a rule set, which the record shows."""
    return [f"context.{name}" for name in IGNORED if context.get(name)]


def demands_second_factor(context: JsonObject) -> bool:
    """Return whether a rule demands a second factor, with `context.multifactor`. Auth0's provider "none" demands none."""
    wanted = context.get("multifactor")
    return bool(wanted) and not (isinstance(wanted, dict) and wanted.get("provider") == "none")


def id_token_claims(context: JsonObject) -> JsonObject:
    """Return the claims that rules may add to the ID token, from `context.idToken`."""
    return _claims(context.get("idToken"), RESERVED_IN_ID_TOKEN)


def access_token_claims(context: JsonObject) -> JsonObject:
    """Return the claims that rules may add to the access token, from `context.accessToken`."""
    return _claims(context.get("accessToken"), RESERVED_IN_ACCESS_TOKEN)


def scopes(context: JsonObject) -> list[str] | None:
    """Return `context.accessToken.scope` (a list or a text with spaces); None when no rule set it."""
    token = context.get("accessToken")
    asked = token.get("scope") if isinstance(token, dict) else None
    if isinstance(asked, str):
        return asked.split()
    if isinstance(asked, list):
        return [scope for scope in asked if isinstance(scope, str) and scope and " " not in scope]
    return None


def redirect_url(context: JsonObject) -> str | None:
    """Return the absolute http(s) address of a redirect. One login redirects at most once."""
    wanted = context.get("redirect")
    url = wanted.get("url") if isinstance(wanted, dict) else None
    if context.get("protocol") == "redirect-callback" or not isinstance(url, str) or len(url) > MAX_URL:
        return None
    if any(character.isspace() or ord(character) < 32 or character == "\\" for character in url):
        return None
    try:
        parts = urlsplit(url)
        is_web_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return None
    return url if is_web_address else None


def metadata_updates(rule_slug: str, updates: Any) -> list[MetadataUpdate]:
    """Return the well-formed ones of `[{"bag": "user_metadata", "data": {…}}]`."""
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
    """Return the denial for the error that a rule passed to its callback: `{"name": …, "message": …}`."""
    name, message = (error.get("name"), error.get("message")) if isinstance(error, dict) else ("", "")
    description = message if isinstance(message, str) and message else "A rule of this site does not let you in."
    return Denied("unauthorized" if name == "UnauthorizedError" else "access_denied", description[:MAX_DESCRIPTION])


def read_answer(text: str) -> JsonObject:
    """Parse the JSON object that a sandbox returned, storable by any database. Raises ValueError for anything else."""
    try:
        answer = json.loads(text)
        if not isinstance(answer, dict) or not _is_plain(answer, MAX_DEPTH):
            raise ValueError("not a plain JSON object")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    plain: JsonObject = storable(answer)
    return plain


def _claims(wanted: Any, reserved: frozenset[str]) -> JsonObject:
    if not isinstance(wanted, dict):
        return {}
    claims = {name: value for name, value in wanted.items() if name and name not in reserved and value is not None}
    fitting: JsonObject = {}
    left = MAX_CLAIMS_BYTES
    for name, value in claims.items():
        size = _size({name: value})
        if size <= left:
            fitting[name] = value
            left -= size
        else:
            log.warning("a claim of a rule is left out, because it is too large: %s", name[:200])
    return fitting


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether a JSON value is no deeper than `depth` and has only numbers that other languages support."""
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_plain(item, depth - 1) for item in inside)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return True
