"""The kinds of tokens that are signed here, and what each can be recognised by.

The header's `typ` is not enough: an access token in Auth0's default profile has `JWT`, as an ID token has. So an access token
bears a mark that nothing else bears, and lacks the claims that only an ID token has. Tokens that were issued before there was
a mark have `at+jwt`, which only access tokens have.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

JWT, AT_JWT, LOGOUT_JWT = "JWT", "at+jwt", "logout+jwt"
MARK = "token_use"
ONLY_USER = "only_user"  # the one customer that a rule's token is good for
WRITING_RULE = "rule"  # the rule that a rule's token was made for, and its version: `add-tier@3`
OF_ID_TOKENS = frozenset({"nonce", "at_hash", "c_hash"})


class TokenKind(StrEnum):
    ACCESS = "access"
    ID = "id"
    LOGOUT = "logout"
    RULE = "rule"  # a rule's own token for the Management API


def as_access_token(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of an access token: with its mark, and without claims that would make it another kind."""
    others = OF_ID_TOKENS | {ONLY_USER}
    return {**{name: value for name, value in claims.items() if name not in others}, MARK: TokenKind.ACCESS.value}


def as_id_token(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name != MARK}


def kind_of(typ: str, claims: Mapping[str, Any]) -> TokenKind | None:
    """Return the kind of a token that was signed here, by its header's `typ` and its claims; None when it is none of them."""
    match typ.lower():
        case "logout+jwt":
            return TokenKind.LOGOUT
        case "at+jwt":
            return TokenKind.RULE if ONLY_USER in claims else TokenKind.ACCESS
        case "jwt" if MARK not in claims:
            return TokenKind.ID
        case "jwt" if claims[MARK] == TokenKind.ACCESS and not OF_ID_TOKENS & claims.keys():
            return TokenKind.ACCESS
    return None


def client_of(claims: Mapping[str, Any]) -> str:
    """Return the client that an access token was issued to. Auth0's profile has it as `azp`, RFC 9068 as `client_id`."""
    return str(claims.get("client_id") or claims.get("azp", ""))
