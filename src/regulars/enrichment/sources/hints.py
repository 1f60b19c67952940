"""Guesses from what she said in passing: the country of her language setting, the name in her address.

They are weak on purpose: anything anybody ever said of her wins over them. Nothing is guessed of gender or origin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from babel import Locale, UnknownLocaleError

from ..source import SettingField

# ana.ruiz@…: two words, nothing else. `info`, `sales` and the like are no names.
_TWO_NAMES = re.compile(r"([a-z]{2,20})\.([a-z]{2,20})")
NO_NAMES = frozenset(
    [
        "info",
        "sales",
        "office",
        "hello",
        "contact",
        "support",
        "admin",
        "mail",
        "team",
        "shop",
        "service",
        "kontakt",
        "no",
        "noreply",
        "test",
    ]
)


class Hints:
    title = "Hints"
    help = "Weak guesses from her language setting and e-mail address: country and name. Asks nobody."
    fields: tuple[SettingField, ...] = ()
    needs = ("locale", "email")
    gives = ("country", "given_name", "family_name")
    purpose = "serve"
    is_about_areas = False
    is_local = True
    source_kind = "inferred"
    confidence = 0.3
    fresh_days, nothing_days = 180, 90

    def check(self, settings: Mapping[str, str]) -> None:
        """There are no settings."""

    def question(self, traits: Mapping[str, Any]) -> str | None:
        known = {key: traits[key] for key in self.needs if isinstance(traits.get(key), str) and traits[key]}
        return json.dumps(known) if known else None

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, str]:
        known = json.loads(question)
        return {**_country(known.get("locale", "")), **_names(known.get("email", ""))}


def _country(locale: str) -> dict[str, str]:
    """Of `pt-BR` Brazil; of `pt` nothing."""
    try:
        territory = Locale.parse(locale.replace("-", "_")).territory if len(locale) < 40 else None
    except (ValueError, UnknownLocaleError):
        territory = None
    return {"country": territory} if territory and len(territory) == 2 else {}


def _names(email: str) -> dict[str, str]:
    match = _TWO_NAMES.fullmatch(email.partition("@")[0].lower())
    if not match or NO_NAMES & {match[1], match[2]}:
        return {}
    return {"given_name": match[1].capitalize(), "family_name": match[2].capitalize()}


hints = Hints()
