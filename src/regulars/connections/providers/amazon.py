"""Amazon: name, e-mail address and, for customers who share it, a postal code."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from ..provider import Provider, ProviderCall, ProviderClaim, Raw, RequestedClaim, Settings
from .reading import PLACE, mail, mapping, optional, self_declared, text

REQUESTED_CLAIMS = (
    RequestedClaim("postal_code", gettext_noop("Your postal code"), PLACE, ("postal_code",), ("postal_code",)),
)


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return mapping(raw.get("profile")).get("user_id")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    profile = mapping(raw.get("profile"))
    return [
        *self_declared(name=profile.get("name")),
        *mail(profile.get("email"), proved=False),
        *optional("postal_code", postal_code=text(profile.get("postal_code"))),
    ]


amazon = Provider(
    key="amazon",
    label="Amazon",
    scopes=("profile",),
    requested_claims=REQUESTED_CLAIMS,
    read=read,
    user_id_of=user_id_of,
    addresses={
        "authorize": "https://www.amazon.com/ap/oa",
        "token": "https://api.amazon.com/auth/o2/token",
        "profile": "https://api.amazon.com/user/profile",
    },
    calls=(ProviderCall("profile", required=True),),
)
