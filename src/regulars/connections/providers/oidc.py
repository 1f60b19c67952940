"""Any OpenID Connect provider: standard claims, each asked for alone where the provider can, else by standard scopes."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from ..provider import Provider, ProviderClaim, Raw, RequestedClaim, Settings
from .reading import AGE, CALL, CUT, PLACE, PLAIN, claims, gender_of, mapping, optional, text

REQUESTED_CLAIMS = (
    RequestedClaim(
        "address",
        gettext_noop("Your address"),
        PLACE,
        ("address",),
        ("city", "postal_code", "country"),
        claims=("address",),
    ),
    RequestedClaim(
        "phone",
        gettext_noop("Your phone number"),
        CALL,
        ("phone",),
        ("phone_number",),
        purpose="serve",
        claims=("phone_number",),
    ),
    RequestedClaim("gender", gettext_noop("Your gender"), CUT, ("profile",), ("gender",), claims=("gender",)),
    RequestedClaim(
        "birthday", gettext_noop("Your date of birth"), AGE, ("profile",), ("birthdate",), claims=("birthdate",)
    ),
)


def info_of(raw: Raw) -> Raw:
    return mapping(raw.get("userinfo")) or mapping(raw.get("id_token"))


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return info_of(raw).get("sub")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    info = info_of(raw)
    place = mapping(info.get("address"))
    return [
        *claims(info),
        *optional("gender", gender=gender_of(info.get("gender"))),
        *optional("birthday", birthdate=text(info.get("birthdate"))),
        *optional("phone", phone_number=text(info.get("phone_number"))),
        *optional(
            "address",
            city=text(place.get("locality")),
            postal_code=text(place.get("postal_code")),
            country=text(place.get("country")),
        ),
    ]


oidc = Provider(
    key="oidc",
    label="OpenID Connect",
    scopes=("openid", "email"),
    requested_claims=REQUESTED_CLAIMS,
    login_claims=(*PLAIN, "email", "email_verified"),
    read=read,
    user_id_of=user_id_of,
    openid=True,
    note="It is asked for single claims if its discovery announces claims_parameter_supported, else for the scopes of what a "
    "customer ticks. If it announces that and sends no names, or to have names from a provider without it, add the scope profile.",
    scoped_ids=True,
    reauthenticate={"prompt": "login"},
    ask_again={"prompt": "consent"},
    offline=(("offline_access",), {"prompt": "consent"}),
)
