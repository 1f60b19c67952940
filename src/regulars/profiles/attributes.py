"""The standard attributes, and how an attribute and its values are called in the customer's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from django.conf import settings
from django.utils.translation import gettext, gettext_noop, override

from regulars.base.errors import Invalid, NotFound

from .models import Attribute

EVERY_PURPOSE = ("serve", "personalise", "measure", "message", "enrich", "share")
LOGIN = ("serve", "message", "enrich", "share")
NETWORK = ("serve", "personalise", "measure")
EMAIL_KINDS = (
    ("company", gettext_noop("A company's")),
    ("free", gettext_noop("A free provider's")),
    ("disposable", gettext_noop("A throw-away one")),
)


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
    to_customer: str = ""  # the label as the customer reads it, where staff read "their"


AGE_BANDS = (
    ("18-24", gettext_noop("18 to 24")),
    ("25-34", gettext_noop("25 to 34")),
    ("35-44", gettext_noop("35 to 44")),
    ("45-54", gettext_noop("45 to 54")),
    ("55+", gettext_noop("55 or older")),
)
GENDERS = (
    ("female", gettext_noop("Woman")),
    ("male", gettext_noop("Man")),
    ("other", gettext_noop("Another word fits me better")),
)
CONTINENTS = tuple(
    (name, name)
    for name in (
        gettext_noop("Africa"),
        gettext_noop("Asia"),
        gettext_noop("Europe"),
        gettext_noop("North America"),
        gettext_noop("Oceania"),
        gettext_noop("South America"),
    )
)

STANDARD = (
    Standard("email", gettext_noop("E-mail"), category="user.contact.email", purposes=LOGIN),
    Standard("email_verified", gettext_noop("E-mail verified"), "boolean", "user.contact.email", LOGIN),
    Standard("phone_number", gettext_noop("Phone"), category="user.contact.phone_number", purposes=LOGIN),
    Standard("phone_verified", gettext_noop("Phone verified"), "boolean", "user.contact.phone_number", LOGIN),
    Standard("username", gettext_noop("User name"), category="user.account.username", purposes=LOGIN),
    Standard("name", gettext_noop("Name"), category="user.name", purposes=EVERY_PURPOSE),
    Standard("given_name", gettext_noop("First name"), category="user.name", purposes=EVERY_PURPOSE),
    Standard("family_name", gettext_noop("Last name"), category="user.name", purposes=EVERY_PURPOSE),
    Standard("nickname", gettext_noop("Nickname"), category="user.name", purposes=EVERY_PURPOSE),
    Standard("picture", gettext_noop("Picture"), category="user.account", purposes=("serve", "personalise")),
    Standard("locale", gettext_noop("Language"), category="user.demographic.language", purposes=EVERY_PURPOSE),
    Standard("gender", gettext_noop("Gender"), "choice", "user.demographic.gender", options=GENDERS),
    Standard(
        "birthdate",
        gettext_noop("Date of birth"),
        "date",
        "user.demographic.age_range",
        ("serve", "personalise", "measure"),
    ),
    Standard("age_band", gettext_noop("Age"), "choice", "user.demographic.age_range", options=AGE_BANDS),
    Standard(
        "interests", gettext_noop("Interests"), "list", "user.behavior", ("personalise", "measure"), expires_days=730
    ),
    Standard("city", gettext_noop("City"), category="user.contact.address.city", half_life_days=730),
    Standard(
        "postal_code",
        gettext_noop("Postal code"),
        category="user.contact.address.postal_code",
        purposes=EVERY_PURPOSE,
        half_life_days=730,
    ),
    Standard(
        "country",
        gettext_noop("Country"),
        category="user.contact.address.country",
        purposes=EVERY_PURPOSE,
        half_life_days=730,
    ),
    Standard("continent", gettext_noop("Continent"), "choice", "user.contact.address.country", options=CONTINENTS),
    Standard(
        "area_median_income",
        "Median household income of their area",
        "number",
        "user.demographic",
        ("personalise", "measure"),
        expires_days=730,
        to_customer=gettext_noop("Median household income of your area"),
    ),
    Standard(
        "area_median_age",
        "Median age of their area",
        "number",
        "user.demographic",
        ("personalise", "measure"),
        expires_days=730,
        to_customer=gettext_noop("Median age of your area"),
    ),
    Standard("region", gettext_noop("Region"), category="user.contact.address", half_life_days=730),
    Standard(
        "network_country",
        "Country of their network",
        category="user.location",
        purposes=NETWORK,
        expires_days=60,
        to_customer=gettext_noop("Country of your network"),
    ),
    Standard(
        "network_region",
        "Region of their network",
        category="user.location",
        purposes=NETWORK,
        expires_days=60,
        to_customer=gettext_noop("Region of your network"),
    ),
    Standard("time_zone", gettext_noop("Time zone"), category="user.location", expires_days=365),
    Standard(
        "email_kind",
        gettext_noop("Kind of e-mail address"),
        "choice",
        "user.contact.email",
        ("serve", "measure"),
        options=EMAIL_KINDS,
    ),
    Standard(
        "email_domain",
        "Domain of their e-mail",
        category="user.contact.email",
        purposes=("serve", "measure"),
        to_customer=gettext_noop("Domain of your e-mail"),
    ),
    Standard(
        "phone_country",
        "Country of their phone",
        category="user.contact.phone_number",
        purposes=LOGIN,
        to_customer=gettext_noop("Country of your phone"),
    ),
    Standard("phone_kind", gettext_noop("Kind of phone"), category="user.contact.phone_number", purposes=LOGIN),
    Standard(
        "phone_e164", gettext_noop("Phone, as machines dial it"), category="user.contact.phone_number", purposes=LOGIN
    ),
    Standard("employer", gettext_noop("Employer"), category="user.workplace", purposes=("personalise", "measure")),
    Standard("job_title", gettext_noop("Job title"), category="user.workplace", purposes=("personalise", "measure")),
)


class Words(TypedDict, total=False):
    """The label of an attribute and those of its options in one language, as `Attribute.translations` keeps them."""

    label: str
    options: dict[str, str]


@dataclass(frozen=True)
class AttributeWords:
    """An attribute as staff name it, and as customers read it: locale → label and labels of options."""

    label: str
    translations: Mapping[str, Words] = field(default_factory=dict)


MAX_LABEL = 128


def ensure_standard_attributes() -> None:
    """Insert the missing standard attributes; never overwrite an operator's changes.

    Those of a version without translations get them, where the label is still the standard one.
    """
    known = {each.key: each for each in Attribute.objects.all()}
    missing, untranslated = [], []
    for standard in STANDARD:
        found = known.get(standard.key)
        if found is None:
            missing.append(_attribute(standard))
        elif not found.translations and found.label == standard.label:
            found.translations = _in_every_language(standard)
            untranslated.append(found)
    Attribute.objects.bulk_create(missing, ignore_conflicts=True)
    Attribute.objects.bulk_update(untranslated, ["translations"])


def words_in(attribute: Attribute, locale: str) -> tuple[str, dict[str, str]]:
    """Return (label, key → label of the options) as a customer reads them: in `pt-BR`, else `pt`, else English.

    Each text is looked for by itself: one in none of these languages is shown as staff wrote it.
    """
    label, options = attribute.label, {each["key"]: each["label"] for each in attribute.options}
    written = {name.replace("_", "-").lower(): words for name, words in attribute.translations.items()}
    wanted = locale.replace("_", "-").lower()
    for language in ("en", wanted.partition("-")[0], wanted):
        words = written.get(language, {})
        label = words.get("label") or label
        options |= {key: text for key, text in words.get("options", {}).items() if text and key in options}
    return label, options


def languages_without(attribute: Attribute) -> list[str]:
    """Return the languages of the pages in which a text of this attribute is missing; English is what staff write."""
    found = []
    for code, _ in settings.LANGUAGES:
        sketch = Attribute(label="", options=[{**each, "label": ""} for each in attribute.options])
        sketch.translations = attribute.translations
        label, options = words_in(sketch, code)
        if code != "en" and not (label and all(options.values())):
            found.append(code)
    return found


def reword_attribute(key: str, words: AttributeWords) -> Attribute:
    """Change how an attribute is called. Raises `DomainError`: `unknown_attribute`, `bad_label`, `bad_locale`, `unknown_option`."""
    attribute = Attribute.objects.filter(key=key).first()
    if attribute is None:
        raise NotFound("unknown_attribute", f"There is no attribute called {key!r}.")
    if not words.label.strip() or len(words.label) > MAX_LABEL:
        raise Invalid("bad_label", f"Give the attribute a name of at most {MAX_LABEL} characters.", "label")
    options = {each["key"] for each in attribute.options}
    codes = {code.lower() for code, _ in settings.LANGUAGES}
    kept: dict[str, Words] = {}
    for locale, translated in words.translations.items():
        language = locale.replace("_", "-").lower()
        if not codes & {language, language.partition("-")[0]} and not any(c.startswith(f"{language}-") for c in codes):
            raise Invalid("bad_locale", f"No page is in the language {locale!r}.", "translations")
        texts = [translated.get("label", ""), *translated.get("options", {}).values()]
        if any(len(text) > MAX_LABEL for text in texts):
            raise Invalid("bad_label", f"A name in {locale} is longer than {MAX_LABEL} characters.", f"{locale}.label")
        if unknown := sorted(set(translated.get("options", {})) - options):
            raise Invalid("unknown_option", f"{attribute.label} has no value {unknown[0]!r}.", f"{locale}.options")
        if any(texts):
            kept[locale] = translated
    attribute.label, attribute.translations = words.label.strip(), kept
    attribute.save(update_fields=["label", "translations"])
    return attribute


def is_an_apps(key: str, path: str) -> bool:
    """Return whether an attribute is in Auth0's `app_metadata`: roles, plans and more that customers must not set.

    `path` is the attribute's metadata path; an attribute without one is recognised by its key.
    """
    return (path or key).partition(".")[0] == "app_metadata"


def _attribute(standard: Standard) -> Attribute:
    return Attribute(
        key=standard.key,
        label=standard.label,
        type=standard.type,
        category=standard.category,
        purposes=list(standard.purposes),
        options=[{"key": key, "label": label} for key, label in standard.options],
        translations=_in_every_language(standard),
        half_life_days=standard.half_life_days,
        expires_days=standard.expires_days,
        metadata_path=standard.metadata_path,
    )


def _in_every_language(standard: Standard) -> dict[str, Words]:
    """Return the standard words in every language of the pages; `pt-br` is stored as `pt`, as for purposes."""
    translated: dict[str, Words] = {}
    for code, _ in settings.LANGUAGES:
        if code == "en" and not standard.to_customer:
            continue  # they are the attribute's own
        with override(code):
            words: Words = {"label": gettext(standard.to_customer or standard.label)}
            if standard.options and code != "en":
                words["options"] = {key: gettext(label) for key, label in standard.options}
        translated[code.partition("-")[0]] = words
    return translated
