"""The standard attributes, and how an attribute is found by key or by its metadata path."""

from __future__ import annotations

from dataclasses import dataclass

from .models import Attribute

EVERY_PURPOSE = ("serve", "personalise", "measure", "message", "enrich", "share")
LOGIN = ("serve", "message", "enrich", "share")
NETWORK = ("serve", "personalise", "measure")
EMAIL_KINDS = (("company", "A company's"), ("free", "A free provider's"), ("disposable", "A throw-away one"))


@dataclass(frozen=True)
class Standard:
    key: str
    label: str
    type: str = "text"
    category: str = "user"
    purposes: tuple[str, ...] = ("serve", "personalise", "measure", "message", "share")
    options: tuple[tuple[str, str], ...] = ()
    half_life_days: int | None = None
    expires_days: int | None = None
    metadata_path: str = ""


AGE_BANDS = (
    ("18-24", "18 to 24"),
    ("25-34", "25 to 34"),
    ("35-44", "35 to 44"),
    ("45-54", "45 to 54"),
    ("55+", "55 or older"),
)
GENDERS = (("female", "Woman"), ("male", "Man"), ("other", "Another word fits me better"))
CONTINENTS = tuple((name, name) for name in ("Africa", "Asia", "Europe", "North America", "Oceania", "South America"))

STANDARD = (
    Standard("email", "E-mail", category="user.contact.email", purposes=LOGIN),
    Standard("email_verified", "E-mail verified", "boolean", "user.contact.email", LOGIN),
    Standard("phone_number", "Phone", category="user.contact.phone_number", purposes=LOGIN),
    Standard("phone_verified", "Phone verified", "boolean", "user.contact.phone_number", LOGIN),
    Standard("username", "User name", category="user.account.username", purposes=LOGIN),
    Standard("name", "Name", category="user.name", purposes=EVERY_PURPOSE),
    Standard("given_name", "First name", category="user.name", purposes=EVERY_PURPOSE),
    Standard("family_name", "Last name", category="user.name", purposes=EVERY_PURPOSE),
    Standard("nickname", "Nickname", category="user.name", purposes=EVERY_PURPOSE),
    Standard("picture", "Picture", category="user.account", purposes=("serve", "personalise")),
    Standard("locale", "Language", category="user.demographic.language", purposes=EVERY_PURPOSE),
    Standard("gender", "Gender", "choice", "user.demographic.gender", options=GENDERS),
    Standard("birthdate", "Date of birth", "date", "user.demographic.age_range", ("serve", "personalise", "measure")),
    Standard("age_band", "Age", "choice", "user.demographic.age_range", options=AGE_BANDS),
    Standard("interests", "Interests", "list", "user.behavior", ("personalise", "measure"), expires_days=730),
    Standard("city", "City", category="user.contact.address.city", half_life_days=730),
    Standard(
        "postal_code",
        "Postal code",
        category="user.contact.address.postal_code",
        purposes=EVERY_PURPOSE,
        half_life_days=730,
    ),
    Standard("country", "Country", category="user.contact.address.country", purposes=EVERY_PURPOSE, half_life_days=730),
    Standard("continent", "Continent", "choice", "user.contact.address.country", options=CONTINENTS),
    Standard(
        "area_median_income",
        "Median household income of their area",
        "number",
        "user.demographic",
        ("personalise", "measure"),
        expires_days=730,
    ),
    Standard(
        "area_median_age",
        "Median age of their area",
        "number",
        "user.demographic",
        ("personalise", "measure"),
        expires_days=730,
    ),
    Standard("region", "Region", category="user.contact.address", half_life_days=730),
    Standard(
        "network_country", "Country of their network", category="user.location", purposes=NETWORK, expires_days=60
    ),
    Standard("network_region", "Region of their network", category="user.location", purposes=NETWORK, expires_days=60),
    Standard("time_zone", "Time zone", category="user.location", expires_days=365),
    Standard(
        "email_kind",
        "Kind of e-mail address",
        "choice",
        "user.contact.email",
        ("serve", "measure"),
        options=EMAIL_KINDS,
    ),
    Standard("email_domain", "Domain of their e-mail", category="user.contact.email", purposes=("serve", "measure")),
    Standard("phone_country", "Country of their phone", category="user.contact.phone_number", purposes=LOGIN),
    Standard("phone_kind", "Kind of phone", category="user.contact.phone_number", purposes=LOGIN),
    Standard("phone_e164", "Phone, as machines dial it", category="user.contact.phone_number", purposes=LOGIN),
    Standard("employer", "Employer", category="user.workplace", purposes=("personalise", "measure")),
    Standard("job_title", "Job title", category="user.workplace", purposes=("personalise", "measure")),
)


def ensure_standard_attributes() -> None:
    """Insert the missing standard attributes; never overwrite an operator's changes."""
    known = set(Attribute.objects.values_list("key", flat=True))
    missing = [
        Attribute(
            key=standard.key,
            label=standard.label,
            type=standard.type,
            category=standard.category,
            purposes=list(standard.purposes),
            options=[{"key": key, "label": label} for key, label in standard.options],
            half_life_days=standard.half_life_days,
            expires_days=standard.expires_days,
            metadata_path=standard.metadata_path,
        )
        for standard in STANDARD
        if standard.key not in known
    ]
    Attribute.objects.bulk_create(missing, ignore_conflicts=True)


def is_an_apps(key: str, path: str) -> bool:
    """Return whether an attribute is in Auth0's `app_metadata`: roles, plans and more that customers must not set.

    `path` is the attribute's metadata path; an attribute without one is recognised by its key.
    """
    return (path or key).partition(".")[0] == "app_metadata"
