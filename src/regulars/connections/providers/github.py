"""GitHub: plain OAuth 2.0. E-mail addresses come from a call of their own, each with whether it is verified."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from ..endpoints import basic_header
from ..provider import (
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
from .reading import WORK, entries, first, mail, mapping, optional, self_declared, text

REQUESTED_CLAIMS = (RequestedClaim("work", gettext_noop("Where you work"), WORK, ("read:user",), ("employer",)),)


def user_id_of(raw: Raw, settings: Settings) -> Any:
    """Return the number: a login name can be taken over by another user."""
    return mapping(raw.get("user")).get("id")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    user = mapping(raw.get("user"))
    addresses = entries(raw.get("emails"))
    chosen = first(each for each in addresses if each.get("primary") is True)
    return [
        *self_declared(name=user.get("name"), nickname=user.get("login"), picture=user.get("avatar_url")),
        *mail(chosen.get("email") or user.get("email"), proved=chosen.get("verified") is True),
        *optional("work", employer=text(user.get("company")).lstrip("@")),
    ]


def revoke(grant: UpstreamGrant, credentials: Credentials) -> list[ProviderRequest]:
    headers = {**basic_header(credentials), "Accept": "application/vnd.github+json"}
    return [ProviderRequest("DELETE", grant.address, headers, json={"access_token": grant.token})]


github = Provider(
    key="github",
    label="GitHub",
    scopes=("read:user", "user:email"),
    requested_claims=REQUESTED_CLAIMS,
    read=read,
    user_id_of=user_id_of,
    addresses={
        "authorize": "https://github.com/login/oauth/authorize",
        "token": "https://github.com/login/oauth/access_token",
        "user": "https://api.github.com/user",
        "emails": "https://api.github.com/user/emails",
        "revoke": "https://api.github.com/applications/{client_id}/grant",
    },
    calls=(ProviderCall("user", required=True), ProviderCall("emails", scopes=("user:email",))),
    reauthenticate={"prompt": "select_account"},
    revoke=revoke,
)
