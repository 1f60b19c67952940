"""FullContact person.enrich: a data vendor's record of an e-mail address. Only the SHA-256 of the address is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from regulars.base.plugins.fields import check_web_address

from ..calls import ask, record
from ..source import EnrichmentSource, LookupFailed, SettingField

VENDOR = "FullContact"
QUEUED_FOR = 120.0  # seconds that a queued search takes
BANDS = {"18-24", "25-34", "35-44", "45-54"}


class FullContact(EnrichmentSource):
    title = "FullContact"
    help = "Age band, gender, employer and place by e-mail address. Sends a fingerprint of the address; each call is billed."
    fields = (
        SettingField("api_key", "API key", secret=True),
        SettingField("base_url", "Address of the API", default="https://api.fullcontact.com/v3"),
    )
    needs = ("email",)
    gives = ("age_band", "gender", "employer", "job_title", "city", "country")
    purpose = "enrich"
    source_kind = "enriched"
    confidence = 0.8
    fresh_days, nothing_days = 180, 30

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_web_address(settings["base_url"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        return address_hash(traits.get("email"))

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        """202 means that the vendor is still searching: no profile, ask again in two minutes."""
        headers = {"authorization": f"Bearer {settings['api_key']}"}
        url = f"{settings['base_url'].rstrip('/')}/person.enrich"
        answer = ask("POST", url, headers=headers, json={"email": question, "infer": False})
        if answer.status == 202:
            raise LookupFailed("queued", "FullContact is still searching.", after=QUEUED_FOR)
        if answer.status == 429:  # the vendor has delayed it already: no need to wait again
            raise LookupFailed("http_429", "FullContact received too many requests at once.", after=1.0)
        payload = record(answer, VENDOR)
        band = str(payload.get("ageRange"))
        details = payload.get("details")
        locations = details.get("locations") if isinstance(details, dict) else None
        place = locations[0] if isinstance(locations, list) and locations and isinstance(locations[0], dict) else {}
        found = {
            # the vendor's bands are ours up to 54; its bands above are one of ours
            "age_band": band if band in BANDS else "55+" if band in ("55-64", "55+", "65+") else None,
            "gender": {"female": "female", "male": "male"}.get(str(payload.get("gender")).lower()),
            "employer": payload.get("organization"),
            "job_title": payload.get("title"),
            "city": place.get("city"),
            "country": place.get("countryCode"),
        }
        return {key: value for key, value in found.items() if isinstance(value, str) and value}


def address_hash(email: Any) -> str | None:
    """Return the SHA-256 of the trimmed small letters; None when it is not an address."""
    if not isinstance(email, str) or not 3 <= len(email.strip()) <= 254 or "@" not in email:
        return None
    return hashlib.sha256(email.strip().lower().encode("utf-8", "replace")).hexdigest()


fullcontact = FullContact()
