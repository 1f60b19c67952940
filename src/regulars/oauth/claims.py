"""Claims of one customer, filtered by granted scopes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import Forbidden, Invalid
from regulars.base.tokens.jwt import Claims
from regulars.base.tokens.kinds import client_of
from regulars.clients.cache import find_client
from regulars.consent.view import OUTDATED, served_user, with_served_traits
from regulars.profiles.assertions import LONGEST_CLAIM, Place
from regulars.profiles.document import COLUMNS_OF_USER
from regulars.profiles.find import canonical_id_of
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import MAY_SIGN_IN

from .dialect import DIALECT, Answers, in_dialect
from .revoked_grants import CLAIM, is_of_deleted_app, is_revoked
from .sessions import rule_claims_in

log = logging.getLogger("regulars.oauth")
SINGLE_CLAIMS = "userinfo_claims"  # the claim of an access token that names what it discloses beside its scopes
LARGEST = 4096  # bytes of the claims about a customer and of rules in one token, as JSON
UNKNOWN_CUSTOMER = "This customer does not exist or may not sign in, or the token was revoked."  # apps read it
# The attributes that each scope discloses: OpenID Connect Core 5.4, with Auth0's nickname.
CLAIMS_BY_SCOPE = {
    "profile": [
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ],
    "email": ["email", "email_verified"],
    "phone": ["phone_number", "phone_number_verified"],
    "address": ["address"],
}

SCOPE_OF_CLAIM = {claim: scope for scope, claims in CLAIMS_BY_SCOPE.items() for claim in claims}


def claims_of(user: Mapping[str, Any], scopes: list[str], single: Iterable[str] = ()) -> Claims:
    """Return the claims that these scopes and `single` names disclose of Auth0's `user`, without `sub`.

    Unknown values are left out.
    """
    known = {**user, "phone_number_verified": user.get("phone_verified")}
    names = [name for scope in scopes for name in CLAIMS_BY_SCOPE.get(scope, ())]
    names += [name for name in single if name in SCOPE_OF_CLAIM]
    found = {name: known[name] for name in names if known.get(name) is not None}
    for name in [name for name, value in found.items() if isinstance(value, str) and len(value) > LONGEST_CLAIM]:
        log.warning("claim left out, because it is longer than %s characters: %s", LONGEST_CLAIM, name)
        del found[name]
    return found


def fitting(claims: Claims, before: Claims, client_id: str) -> Claims:
    """Return the claims that fit into a token beside those of `before`, in their order; what does not fit is logged by name.

    Apps send tokens in headers, and a server that reads 8 kB of headers refuses every request with a longer one: a value that
    anyone made long would lock the customer out. A token of `LARGEST` bytes of claims has about 6,500 characters.
    """
    if len(msgspec.json.encode({**before, **claims})) <= LARGEST:
        return claims
    left = LARGEST - sum(_size(name, value) for name, value in before.items())
    found: Claims = {}
    for name, value in claims.items():
        size = _size(name, value)
        if size <= left:
            found[name] = value
            left -= size
    if len(found) < len(claims):
        missing = ", ".join(sorted(set(claims) - set(found)))
        log.warning("claims left out of a token for %s, because it would be too large: %s", client_id, missing[:1000])
    return found


def _size(name: str, value: Any) -> int:
    """Return the bytes of one member of a JSON object, with its comma."""
    return len(msgspec.json.encode({name: value})) - 1


def userinfo_audience() -> str:
    return f"{settings.ISSUER}userinfo"


def check_userinfo_scope(token: Claims) -> None:
    """Check that an access token is good for /userinfo.

    Raises `Forbidden("insufficient_scope")` for one without `openid`, and `Invalid("wrong_audience")`.
    """
    if "openid" not in str(token.get("scope", "")).split():
        raise Forbidden("insufficient_scope", "This token was issued without the scope openid.")
    audiences = token.get("aud", [])
    if userinfo_audience() not in ([audiences] if isinstance(audiences, str) else audiences):
        raise Invalid("wrong_audience", "This token is meant for another recipient.")


def check_token_in_query(token: Claims) -> None:
    """Check that an access token may be sent in the address. Raises `Invalid("token_in_query")`."""
    client = find_client(client_of(token))
    if client is None or not client.token_in_query or "cnf" in token:
        raise Invalid(
            "token_in_query", "This token may not be sent in the address. Send it in the Authorization header."
        )


def userinfo_claims(token: Claims) -> Claims:
    """Return the answer of /userinfo for the claims of a valid access token.

    Raises `Invalid("unknown_customer")` when the customer does not exist any more or may not sign in, or the token was revoked.
    """
    profile = _customer.first(
        user_id=str(token["sub"]),
        sid=str(token.get("sid", "")),
        client=client_of(token),
        grant_id=str(token.get(CLAIM, "")),
    )
    if profile is None or is_of_deleted_app(token):
        raise Invalid("unknown_customer", UNKNOWN_CUSTOMER)
    rule_claims: Claims = {} if getattr(profile, OUTDATED) else getattr(profile, _RULE_CLAIMS) or {}
    scopes = str(token.get("scope", "")).split()
    single = [name for name in token.get(SINGLE_CLAIMS, ()) if isinstance(name, str)]
    about = claims_of(served_user(profile, Place.USERINFO), scopes, single)
    disclosed = {name: value for name, value in {**about, **rule_claims}.items() if value is not None}
    return in_dialect({**disclosed, "sub": token["sub"]}, token.get(DIALECT, Answers.AUTH0))


_RULE_CLAIMS = "rule_claims"


def _customers() -> QuerySet[Profile]:
    """The customer who may sign in, with permitted attributes and the claims that rules added for this app and session."""
    active = Profile.objects.filter(MAY_SIGN_IN, ~is_revoked(param("grant_id")), pk=canonical_id_of(param("user_id")))
    rule_claims = Subquery(rule_claims_in(param("sid"), param("client"), OuterRef("pk")))
    return with_served_traits(active).annotate(**{_RULE_CLAIMS: rule_claims}).only(*COLUMNS_OF_USER)


_customer = CompiledQuery(_customers)
