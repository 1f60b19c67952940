"""Hints: the country of the customer's language setting, the name in their e-mail address.

Their confidence is low on purpose: a value from any other source wins. Gender and origin are never inferred.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from babel import Locale, UnknownLocaleError

from ..source import EnrichmentSource

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


class Hints(EnrichmentSource):
    title = "Hints"
    help = "Weak guesses from the language setting and e-mail address: country and name. No call is made."
    needs = ("locale", "email")
    gives = ("country", "given_name", "family_name")
    purpose = "serve"
    is_local = True
    source_kind = "inferred"
    confidence = 0.3
    fresh_days, nothing_days = 180, 90

    def question(self, traits: Mapping[str, Any]) -> str | None:
        known = {key: traits[key] for key in self.needs if isinstance(traits.get(key), str) and traits[key]}
        return json.dumps(known) if known else None

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, str]:
        known = json.loads(question)
        locale = known.get("locale", "")
        try:
            territory = Locale.parse(locale.replace("-", "_")).territory if len(locale) < 40 else None
        except (ValueError, UnknownLocaleError):
            territory = None
        found = {"country": territory} if territory and len(territory) == 2 else {}  # Brazil for `pt-BR`, none for `pt`
        match = _TWO_NAMES.fullmatch(known.get("email", "").partition("@")[0].lower())
        if match and not NO_NAMES & {match[1], match[2]}:
            found |= {"given_name": match[1].capitalize(), "family_name": match[2].capitalize()}
        return found


hints = Hints()
