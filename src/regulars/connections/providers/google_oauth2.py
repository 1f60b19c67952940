"""Google: OpenID Connect for the login, and the People API for requested claims. Each claim has a scope of its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext_noop

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
from .reading import AGE, CALL, CUT, PLACE, WORK, claims, date_of, entries, first, gender_of, mapping, optional, text

PREFIX = "https://www.googleapis.com/auth/"
REVIEW = "Google verifies apps that ask for this."
ADDRESS = ("city", "postal_code", "country")
REQUESTED_CLAIMS = (
    RequestedClaim(
        "birthday", gettext_noop("Your date of birth"), AGE, (f"{PREFIX}user.birthday.read",), ("birthdate",), REVIEW
    ),
    RequestedClaim("gender", gettext_noop("Your gender"), CUT, (f"{PREFIX}user.gender.read",), ("gender",), REVIEW),
    RequestedClaim("address", gettext_noop("Your address"), PLACE, (f"{PREFIX}user.addresses.read",), ADDRESS, REVIEW),
    RequestedClaim(
        "phone",
        gettext_noop("Your phone number"),
        CALL,
        (f"{PREFIX}user.phonenumbers.read",),
        ("phone_number",),
        REVIEW,
        "serve",
    ),
    RequestedClaim(
        "work",
        gettext_noop("Where you work"),
        WORK,
        (f"{PREFIX}user.organization.read",),
        ("employer", "job_title"),
        REVIEW,
    ),
)


FIELDS = {
    f"{PREFIX}user.addresses.read": "addresses",
    f"{PREFIX}user.birthday.read": "birthdays",
    f"{PREFIX}user.gender.read": "genders",
    f"{PREFIX}user.organization.read": "organizations",
    f"{PREFIX}user.phonenumbers.read": "phoneNumbers",
}


def wanted(granted: Collection[str]) -> list[str]:
    """Return the fields of the granted scopes; all of them when the answer named no scopes."""
    return [words for scope, words in FIELDS.items() if scope in granted] or list(FIELDS.values())


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return mapping(raw.get("userinfo")).get("sub")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    people = mapping(raw.get("people"))
    address, phone = primary(people.get("addresses")), primary(people.get("phoneNumbers"))
    born, work = mapping(primary(people.get("birthdays")).get("date")), primary(people.get("organizations"))
    return [
        *claims(mapping(raw.get("userinfo")) or mapping(raw.get("id_token"))),
        *optional("birthday", birthdate=date_of(born.get("year"), born.get("month"), born.get("day"))),
        *optional("gender", gender=gender_of(primary(people.get("genders")).get("value"))),
        *optional("phone", phone_number=text(phone.get("canonicalForm") or phone.get("value"))),
        *optional(
            "address",
            city=text(address.get("city")),
            postal_code=text(address.get("postalCode")),
            country=text(address.get("countryCode")),
        ),
        *optional("work", employer=text(work.get("name")), job_title=text(work.get("title"))),
    ]


def primary(values: Any) -> Raw:
    """Return the entry that the user or Google marked as primary, else the first."""
    known = entries(values)
    return first([each for each in known if mapping(each.get("metadata")).get("primary")] + known)


def revoke(grant: UpstreamGrant, credentials: Credentials) -> list[ProviderRequest]:
    """Google revokes a whole grant, never a part of it."""
    return [ProviderRequest("POST", grant.address, form={"token": grant.token})]


google = Provider(
    key="google-oauth2",
    label="Google",
    scopes=("openid", "email", "profile"),
    requested_claims=REQUESTED_CLAIMS,
    read=read,
    user_id_of=user_id_of,
    openid=True,
    issuer="https://accounts.google.com",
    addresses={
        "people": "https://people.googleapis.com/v1/people/me",
        "revoke": "https://oauth2.googleapis.com/revoke",
        "token": "https://oauth2.googleapis.com/token",
    },
    calls=(
        ProviderCall(
            "people",
            lambda granted: {"personFields": ",".join(wanted(granted))},
            tuple(scope for claim in REQUESTED_CLAIMS for scope in claim.scopes),
        ),
    ),
    aliases=((f"{PREFIX}userinfo.email", "email"), (f"{PREFIX}userinfo.profile", "profile")),
    reauthenticate={"prompt": "select_account"},
    ask_again={"prompt": "consent", "include_granted_scopes": "true"},
    offline=((), {"access_type": "offline", "prompt": "consent"}),
    revoke=revoke,
)
