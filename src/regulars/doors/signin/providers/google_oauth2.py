"""Google: OpenID Connect for the login, and the People API for what she chose to share. Each piece has a scope."""

from __future__ import annotations

import datetime as dt
from typing import Any

from regulars.flows.arrive import Told

from .strategy import More, Piece, Raw, Strategy, claims, gender_of, mapping, text

PREFIX = "https://www.googleapis.com/auth/"
PIECES = (
    Piece(
        "birthday",
        "Your date of birth",
        "So that we show you what people of your age like.",
        (f"{PREFIX}user.birthday.read",),
    ),
    Piece("gender", "Your gender", "So that we show you things in your cut first.", (f"{PREFIX}user.gender.read",)),
    Piece(
        "address",
        "Your address",
        "So that we know which shop and which season is near you.",
        (f"{PREFIX}user.addresses.read",),
    ),
    Piece(
        "phone",
        "Your phone number",
        "So that we can reach you about your orders.",
        (f"{PREFIX}user.phonenumbers.read",),
        "serve",
    ),
)
PEOPLE = More(
    "people",
    "https://people.googleapis.com/v1/people/me",
    "/v1/people/me",
    {"personFields": "addresses,birthdays,genders,phoneNumbers"},
    tuple(scope for piece in PIECES for scope in piece.scopes),
)


def read(raw: Raw) -> list[Told]:
    people = mapping(raw.get("people"))
    address, phone = first(people.get("addresses")), first(people.get("phoneNumbers"))
    optional = [
        Told("birthdate", date_of(mapping(first(people.get("birthdays")).get("date"))), "social", "birthday"),
        Told("gender", gender_of(first(people.get("genders")).get("value")), "social", "gender"),
        Told("phone_number", text(phone.get("canonicalForm") or phone.get("value")), "social", "phone"),
        Told("city", text(address.get("city")), "social", "address"),
        Told("postal_code", text(address.get("postalCode")), "social", "address"),
        Told("country", text(address.get("countryCode")), "social", "address"),
    ]
    login = mapping(raw.get("userinfo")) or mapping(raw.get("id_token"))
    return claims(login) + [each for each in optional if each.value]


def first(entries: Any) -> Raw:
    """The entry that she, or Google, calls the primary one."""
    known = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    primary = [each for each in known if mapping(each.get("metadata")).get("primary")]
    return next(iter(primary + known), {})


def date_of(date: Raw) -> str:
    """`1996-03-07`. Many people hide the year; a birthday without one tells no age and is left out."""
    year, month, day = (date.get(part) for part in ("year", "month", "day"))
    if not (isinstance(year, int) and isinstance(month, int) and isinstance(day, int)):
        return ""
    try:
        return dt.date(year, month, day).isoformat()
    except ValueError:
        return ""


GOOGLE = Strategy(
    "google-oauth2",
    ("openid", "email", "profile"),
    PIECES,
    read,
    issuer="https://accounts.google.com",
    aliases=((f"{PREFIX}userinfo.email", "email"), (f"{PREFIX}userinfo.profile", "profile")),
    more=PEOPLE,
    fresh="select_account",
)
