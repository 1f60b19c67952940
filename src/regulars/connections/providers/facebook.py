"""Facebook: the Graph API. Customers choose each permission there; the granted ones are read after every login."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Any

from django.utils.translation import gettext_noop

from ..provider import (
    LONGEST_CLAIM,
    Credentials,
    Provider,
    ProviderCall,
    ProviderClaim,
    ProviderRequest,
    Raw,
    RequestedClaim,
    Settings,
    UpstreamGrant,
)
from .reading import AGE, CUT, PLACE, date_of, entries, gender_of, mail, mapping, optional, self_declared, text

REVIEW = "Facebook reviews apps that ask for this, and the business behind them."
LIKES = gettext_noop("So that we show you first what goes with what you like.")
REQUESTED_CLAIMS = (
    RequestedClaim("birthday", gettext_noop("Your date of birth"), AGE, ("user_birthday",), ("birthdate",), REVIEW),
    RequestedClaim("gender", gettext_noop("Your gender"), CUT, ("user_gender",), ("gender",), REVIEW),
    RequestedClaim("location", gettext_noop("The city you live in"), PLACE, ("user_location",), ("city",), REVIEW),
    RequestedClaim("likes", gettext_noop("The pages you like"), LIKES, ("user_likes",), ("interests",), REVIEW),
)
FIELDS = {
    "public_profile": "name,first_name,last_name,picture",
    "email": "email",
    "user_birthday": "birthday",
    "user_gender": "gender",
    "user_location": "location",
    "user_likes": "likes",
}
MOST_LIKES = 100


def fields(granted: Collection[str]) -> Mapping[str, str]:
    return {"fields": ",".join(["id", *(words for scope, words in FIELDS.items() if scope in granted)])}


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return mapping(raw.get("me")).get("id")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    """Facebook does not tell whether an e-mail address is verified, so it counts as unverified."""
    me = mapping(raw.get("me"))
    picture = mapping(mapping(me.get("picture")).get("data")).get("url")
    names = [text(page.get("name")) for page in entries(mapping(me.get("likes")).get("data"))]
    liked = [name for name in names if 0 < len(name) <= LONGEST_CLAIM]
    return [
        *self_declared(
            name=me.get("name"), given_name=me.get("first_name"), family_name=me.get("last_name"), picture=picture
        ),
        *mail(me.get("email"), proved=False),
        *optional("birthday", birthdate=born(me.get("birthday"))),
        *optional("gender", gender=gender_of(me.get("gender"))),
        *optional("location", city=text(mapping(me.get("location")).get("name")).partition(",")[0]),
        *optional("likes", interests=liked[:MOST_LIKES]),
    ]


def born(value: Any) -> str:
    """Return the date of `03/07/1996`; empty for users who show only the day or only the year."""
    parts = text(value).split("/")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return ""
    month, day, year = map(int, parts)
    return date_of(year, month, day)


def granted(raw: Raw) -> list[str] | None:
    permissions = entries(mapping(raw.get("permissions")).get("data"))
    return [text(each.get("permission")) for each in permissions if each.get("status") == "granted"] or None


def proof(token: str, secret: str) -> Mapping[str, str]:
    """Prove that the caller is the app that the token was issued to."""
    return {"appsecret_proof": hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()}


def revoke(grant: UpstreamGrant, credentials: Credentials) -> list[ProviderRequest]:
    """Revoke permission by permission; all of them when none is named."""
    below = [f"/{scope}" for scope in grant.scopes] or [""]
    form = {"access_token": grant.token, **proof(grant.token, credentials.secret)}
    return [ProviderRequest("DELETE", grant.address + each, form=form) for each in below]


GRAPH = "https://graph.facebook.com/v25.0"
facebook = Provider(
    key="facebook",
    label="Facebook",
    scopes=("public_profile", "email"),
    requested_claims=REQUESTED_CLAIMS,
    read=read,
    user_id_of=user_id_of,
    addresses={
        "authorize": "https://www.facebook.com/v25.0/dialog/oauth",
        "token": f"{GRAPH}/oauth/access_token",
        "permissions": f"{GRAPH}/me/permissions",
        "me": f"{GRAPH}/me",
        "revoke": f"{GRAPH}/me/permissions",
    },
    calls=(ProviderCall("permissions"), ProviderCall("me", fields, required=True)),
    granted=granted,
    separator=",",
    reauthenticate={"auth_type": "reauthenticate"},
    ask_again={"auth_type": "rerequest"},
    proof=proof,
    revoke=revoke,
    revokes_parts=True,
    note="Facebook withdraws a permission that is not used for 90 days.",
)
