"""Personal data hashed for advertising platforms: normalised by each platform's rules, then SHA-256. Never stored."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any

DOTLESS = frozenset({"gmail.com", "googlemail.com"})


def sha256(text: str) -> str:
    """Return lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def meta_email(value: Any) -> str:
    return str(value).strip().lower()


def google_email(value: Any) -> str:
    """Remove white space; for Gmail also *every* dot and the +suffix: all of these are one mailbox there."""
    local, at, domain = re.sub(r"\s", "", str(value)).lower().rpartition("@")
    if domain in DOTLESS:
        local = local.partition("+")[0].replace(".", "")
    return f"{local}{at}{domain}"


def meta_phone(value: Any) -> str:
    """Return digits with the country code, without + and leading zeros."""
    return re.sub(r"\D", "", str(value)).lstrip("0")


def google_phone(value: Any) -> str:
    """Return E.164 with its +. Empty for a number without a country code: it is ambiguous."""
    text = str(value).strip()
    return f"+{meta_phone(text)}" if text.startswith(("+", "00")) and meta_phone(text) else ""


def name(value: Any) -> str:
    """Return small letters without punctuation; letters of any script stay."""
    kept = (
        character for character in str(value).strip().lower() if not unicodedata.category(character).startswith("P")
    )
    return "".join(kept).strip()


def city(value: Any) -> str:
    return "".join(character for character in str(value).lower() if character.isalpha())


def postal_code(value: Any, country: Any) -> str:
    """Remove spaces; for the United States keep the first five digits."""
    text = re.sub(r"\s", "", str(value)).lower()
    return text[:5] if str(country).upper() == "US" else text


def gender(value: Any) -> str:
    """Return `f` or `m`; anything else is not sent."""
    return {"female": "f", "male": "m"}.get(str(value).lower(), "")
