"""X, which Auth0's applications call `twitter`: OAuth 2.0 with PKCE, a secret in the header, and fields by name."""

from __future__ import annotations

from typing import Any

from ..endpoints import basic_header
from ..provider import Credentials, Provider, ProviderCall, ProviderClaim, ProviderRequest, Raw, Settings, UpstreamGrant
from .reading import mail, mapping, self_declared

FIELDS = "confirmed_email,profile_image_url"  # beside name and username, which always come


def person(raw: Raw) -> Raw:
    return mapping(mapping(raw.get("user")).get("data"))


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return person(raw).get("id")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    """The location is free text at X (“the moon”), so it is not asked for."""
    data = person(raw)
    return [
        *self_declared(name=data.get("name"), nickname=data.get("username"), picture=data.get("profile_image_url")),
        *mail(data.get("confirmed_email"), proved=True),
    ]


def revoke(grant: UpstreamGrant, credentials: Credentials) -> list[ProviderRequest]:
    form = {"token": grant.token, "token_type_hint": "access_token"}
    return [ProviderRequest("POST", grant.address, basic_header(credentials), form)]


twitter = Provider(
    key="twitter",
    label="X",
    scopes=("users.read", "tweet.read", "users.email"),
    read=read,
    user_id_of=user_id_of,
    addresses={
        "authorize": "https://x.com/i/oauth2/authorize",
        "token": "https://api.x.com/2/oauth2/token",
        "user": "https://api.x.com/2/users/me",
        "revoke": "https://api.x.com/2/oauth2/revoke",
    },
    calls=(ProviderCall("user", lambda granted: {"user.fields": FIELDS}, required=True),),
    basic=True,
    offline=(("offline.access",), {}),
    revoke=revoke,
    note="X charges for every read of a user.",
)
