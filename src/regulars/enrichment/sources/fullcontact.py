"""FullContact person.enrich: what a data vendor knows of an e-mail address. Only its SHA-256 leaves the house."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ..calls import ask, check_url, record
from ..source import LookupFailed, SettingField

WHO = "FullContact"
QUEUED_FOR = 120.0  # seconds: how long a queued search takes them
BANDS = {"18-24", "25-34", "35-44", "45-54"}


class FullContact:
    title = "FullContact"
    help = "Age band, gender, employer and place by e-mail address. Sends a fingerprint of the address; each call is billed."
    fields = (
        SettingField("api_key", "API key", secret=True),
        SettingField("base_url", "Address of the API", default="https://api.fullcontact.com/v3"),
    )
    needs = ("email",)
    gives = ("age_band", "gender", "employer", "job_title", "city", "country")
    purpose = "enrich"
    is_about_areas = False
    source_kind = "enriched"
    confidence = 0.8
    fresh_days, nothing_days = 180, 30

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_url(settings["base_url"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        return address_hash(traits.get("email"))

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        """202 means that they are still searching: no profile, ask again in two minutes."""
        headers = {"authorization": f"Bearer {settings['api_key']}"}
        url = f"{settings['base_url'].rstrip('/')}/person.enrich"
        answer = ask("POST", url, headers=headers, json={"email": question, "infer": False})
        if answer.status == 202:
            raise LookupFailed("queued", "FullContact is still searching.", after=QUEUED_FOR)
        if answer.status == 429:  # it was delayed by them already: no need to wait again
            raise LookupFailed("http_429", "FullContact was asked too much at once.", after=1.0)
        return _facts(record(answer, WHO))


def address_hash(email: Any) -> str | None:
    """SHA-256 of the trimmed small letters; None when it is no address."""
    if not isinstance(email, str) or not 3 <= len(email.strip()) <= 254 or "@" not in email:
        return None
    return hashlib.sha256(email.strip().lower().encode("utf-8", "replace")).hexdigest()


def _facts(said: dict[str, Any]) -> dict[str, Any]:
    found = {
        "age_band": _band(said.get("ageRange")),
        "gender": {"female": "female", "male": "male"}.get(str(said.get("gender")).lower()),
        "employer": said.get("organization"),
        "job_title": said.get("title"),
        **_place(said),
    }
    return {key: value for key, value in found.items() if isinstance(value, str) and value}


def _band(said: Any) -> str | None:
    """Their bands are ours up to 54; above, ours is one."""
    return str(said) if said in BANDS else "55+" if said in ("55-64", "55+", "65+") else None


def _place(said: dict[str, Any]) -> dict[str, Any]:
    details = said.get("details")
    locations = details.get("locations") if isinstance(details, dict) else None
    if not isinstance(locations, list) or not locations or not isinstance(locations[0], dict):
        return {}
    return {"city": locations[0].get("city"), "country": locations[0].get("countryCode")}


fullcontact = FullContact()
