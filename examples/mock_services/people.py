"""The invented people who have an account at the mock Google."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GOOGLE = "https://www.googleapis.com/auth/"


@dataclass(frozen=True)
class Person:
    """`claims` are OpenID Connect's standard claims; `shares` tells whether the person tends to tick the optional boxes."""

    sub: str
    about: str
    claims: dict[str, Any] = field(default_factory=dict)
    shares: bool = True

    @property
    def shown_as(self) -> str:
        return str(self.claims.get("name") or self.claims["email"])


@dataclass(frozen=True)
class Scope:
    """One thing an application may ask for: the words on the consent page, and the claims it opens."""

    label: str
    claims: tuple[str, ...]
    optional: bool = True


SCOPES = {
    "openid": Scope("Know who you are", (), optional=False),
    "email": Scope("See your e-mail address", ("email", "email_verified"), optional=False),
    "profile": Scope("See your name and picture", ("name", "given_name", "family_name", "picture", "locale"), False),
    f"{GOOGLE}user.birthday.read": Scope("See your exact date of birth", ("birthdate",)),
    f"{GOOGLE}user.gender.read": Scope("See your gender", ("gender",)),
    f"{GOOGLE}user.addresses.read": Scope("See your street addresses", ("address",)),
    f"{GOOGLE}user.phonenumbers.read": Scope("See your phone numbers", ("phone_number",)),
    "address": Scope("See your address", ("address",)),
    "phone": Scope("See your phone number", ("phone_number",)),
}

PEOPLE = {
    person.sub: person
    for person in (
        Person(
            "110248495921238986401",
            "29, lives in Berlin, shares what they are asked for",
            {
                "name": "Lena Vogt",
                "given_name": "Lena",
                "family_name": "Vogt",
                "email": "lena.vogt@example.com",
                "email_verified": True,
                "locale": "de",
                "gender": "female",
                "birthdate": "1997-03-07",
                "address": {"locality": "Berlin", "postal_code": "10437", "country": "DE"},
            },
        ),
        Person(
            "110248495921238986402",
            "41, lives in New York, ZIP code 10001",
            {
                "name": "Grace Miller",
                "given_name": "Grace",
                "family_name": "Miller",
                "email": "grace.miller@example.com",
                "email_verified": True,
                "locale": "en-US",
                "gender": "female",
                "birthdate": "1985-06-21",
                "address": {"locality": "New York", "region": "NY", "postal_code": "10001", "country": "US"},
            },
        ),
        Person(
            "110248495921238986403",
            "36, lives in London",
            {
                "name": "Tom Okafor",
                "given_name": "Tom",
                "family_name": "Okafor",
                "email": "tom.okafor@example.com",
                "email_verified": True,
                "locale": "en-GB",
                "gender": "male",
                "birthdate": "1990-10-02",
                "phone_number": "+442079460018",
                "address": {"locality": "London", "postal_code": "E8 1EA", "country": "GB"},
            },
        ),
        Person(
            "110248495921238986404",
            "an account with an e-mail address and nothing else",
            {"email": "yuki@example.com", "email_verified": False},
        ),
        Person(
            "110248495921238986405",
            "33, lives in Lisbon, shares as little as possible",
            {
                "name": "Nadia Rahman",
                "given_name": "Nadia",
                "family_name": "Rahman",
                "email": "nadia.rahman@example.com",
                "email_verified": True,
                "locale": "pt-PT",
                "gender": "female",
                "birthdate": "1993-01-30",
                "address": {"locality": "Lisbon", "postal_code": "1100-148", "country": "PT"},
            },
            shares=False,
        ),
        Person(
            "110248495921238986406",
            "27, lives in Porto, shares, and takes it back",
            {
                "name": "Ines Duarte",
                "given_name": "Ines",
                "family_name": "Duarte",
                "email": "ines.duarte@example.com",
                "email_verified": True,
                "locale": "pt-PT",
                "gender": "female",
                "birthdate": "1999-04-18",
                "address": {"locality": "Porto", "postal_code": "4050-253", "country": "PT"},
            },
        ),
    )
}


def claims_of(person: Person, scopes: list[str]) -> dict[str, Any]:
    """Return the claims of a person under these scopes, as userinfo does; unknown ones are left out."""
    open_claims = [claim for scope in scopes if scope in SCOPES for claim in SCOPES[scope].claims]
    return {"sub": person.sub, **{claim: person.claims[claim] for claim in open_claims if claim in person.claims}}


def people_api(person: Person, scopes: list[str]) -> dict[str, Any]:
    """Return the same in the format of Google's People API: `{"genders": [{"value": "female"}], "birthdays": [{"date": …}]}`."""
    known = claims_of(person, scopes)
    answer: dict[str, Any] = {"resourceName": f"people/{person.sub}"}
    if "birthdate" in known:
        year, month, day = (int(part) for part in known["birthdate"].split("-"))
        answer["birthdays"] = [{"metadata": {"primary": True}, "date": {"year": year, "month": month, "day": day}}]
    if "gender" in known:
        answer["genders"] = [{"metadata": {"primary": True}, "value": known["gender"]}]
    if "phone_number" in known:
        answer["phoneNumbers"] = [{"canonicalForm": known["phone_number"]}]
    if address := known.get("address"):
        answer["addresses"] = [
            {
                "type": "home",
                "city": address["locality"],
                "postalCode": address["postal_code"],
                "countryCode": address["country"],
            }
        ]
    return answer
