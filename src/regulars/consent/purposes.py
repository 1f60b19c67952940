"""Purposes: the standard ones, their texts in every language, and the notices that were shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.translation import get_supported_language_variant, gettext, gettext_noop, override

from regulars.base.errors import Invalid

from .models import Purpose
from .standard import STANDARD, in_every_language

# What a yes to the whole of a purpose covers, beside its text. A yes to single attributes covers no events.
WHOLE = gettext_noop(
    "A yes to all of it covers what you tell us, what we learn about you, and what you do with us, such as visits and purchases."
)


def ensure_standard_purposes() -> None:
    """Insert the missing standard purposes; never overwrite an operator's texts."""
    known = set(Purpose.objects.values_list("key", flat=True))
    missing = [
        Purpose(key=key, label=label, text=text, translations=in_every_language(label, text), basis=basis, kind=kind)
        for key, label, text, basis, kind in STANDARD
        if key not in known
    ]
    Purpose.objects.bulk_create(missing, ignore_conflicts=True)


def get_purpose(key: str) -> Purpose:
    """Return the active purpose. Raises `Invalid("unknown_purpose")`: facts are never used without a purpose."""
    purpose = Purpose.objects.filter(key=key, active=True).first()
    if purpose is None:
        raise Invalid("unknown_purpose", f"There is no active purpose called {key!r}.")
    return purpose


@dataclass(frozen=True)
class PurposeText:
    """The text of a purpose as customers read it. `translations`: locale → `{"label", "text"}`."""

    label: str
    text: str
    translations: dict[str, dict[str, str]] = field(default_factory=dict)
    expires_days: int | None = None


def reword(key: str, wording: PurposeText, *, widened: bool, still_right: bool = False) -> Purpose:
    """Save a new version of a purpose when its text differs; `widened` ends consents to earlier versions.

    A translation that was left as it was beside another text is dropped, because its readers would allow what they did not
    read: they get the default text. `still_right` keeps it where the purpose means the same as before; of a widened one no
    earlier words do. A consent keeps the text it was given to, and its day of expiry. Raises `DomainError`:
    `unknown_purpose`, `bad_label`, `bad_text`, `bad_expiry`.
    """
    purpose = get_purpose(key)
    _check_words(wording.label, wording.text)
    for locale, words in wording.translations.items():
        _check_words(words.get("label", ""), words.get("text", ""), f".{locale}")
    if wording.expires_days is not None and not 1 <= wording.expires_days <= 3650:
        raise Invalid("bad_expiry", "A consent lasts between 1 day and 10 years.", "expires_days")
    translations = wording.translations
    if widened or ((wording.label, wording.text) != (purpose.label, purpose.text) and not still_right):
        before = purpose.translations
        translations = {locale: words for locale, words in translations.items() if words != before.get(locale)}
    texts = (wording.label, wording.text, translations)
    if widened or texts != (purpose.label, purpose.text, purpose.translations):
        purpose.version += 1
    if widened:
        purpose.consents_from = purpose.version
    purpose.label, purpose.text, purpose.translations = texts
    purpose.expires_days = wording.expires_days
    purpose.save()
    return purpose


def _check_words(label: str, text: str, language: str = "") -> None:
    if not label.strip() or len(label) > 128:
        raise Invalid("bad_label", "Give the purpose a name of at most 128 characters.", f"label{language}")
    if not text.strip() or len(text) > 2000:
        raise Invalid("bad_text", "Describe in at most 2,000 characters what the purpose covers.", f"text{language}")


def words_in(purpose: Purpose, locale: str) -> tuple[str, str, str]:
    """Return (locale, label, text) in the best language that the operator wrote: `pt-BR`, else `pt`, else the default."""
    written = {name.lower(): name for name in purpose.translations}
    for wanted in (locale.lower(), locale.lower().partition("-")[0]):
        if name := written.get(wanted):
            found = purpose.translations[name]
            return name, found["label"], found["text"]
    return "en", purpose.label, purpose.text


def whole_words_in(purpose: Purpose, locale: str) -> tuple[str, str, str]:
    """Return the same with what a yes to the whole purpose covers: where a customer is asked about it, not about one attribute."""
    written, label, text = words_in(purpose, locale)
    if purpose.basis != Purpose.Basis.CONSENT:
        return written, label, text
    try:
        language = get_supported_language_variant(written.lower())
    except LookupError:
        language = "en"  # of a language that the operator wrote and the pages do not have
    with override(language):
        return written, label, f"{text} {gettext(WHOLE)}"
