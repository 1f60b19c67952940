"""Country and kind of a phone number, from the number alone. No call is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import phonenumbers
from phonenumbers import PhoneNumberType

from ..source import EnrichmentSource

KINDS = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "landline",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile or landline",
    PhoneNumberType.VOIP: "internet",
}


class PhoneSource(EnrichmentSource):
    title = "Phone number"
    help = "The country of the number and whether it is mobile. No call is made."
    needs = ("phone_number", "country")
    gives = ("phone_country", "phone_kind", "phone_e164")
    purpose = "serve"
    is_local = True
    source_kind = "inferred"
    confidence = 0.9
    fresh_days, nothing_days = 90, 90

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Return the number as E.164; one without a country code is read as a number of the customer's country."""
        number, country = traits.get("phone_number"), traits.get("country")
        if not isinstance(number, str) or len(number) > 40:
            return None
        try:
            parsed = phonenumbers.parse(number, country if isinstance(country, str) else None)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_valid_number(parsed):
            return None
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        parsed = phonenumbers.parse(question)
        found = {
            "phone_country": phonenumbers.region_code_for_number(parsed),
            "phone_kind": KINDS.get(phonenumbers.number_type(parsed)),
            "phone_e164": question,
        }
        return {key: value for key, value in found.items() if value}


phone = PhoneSource()
