"""Gravatar: the picture and profile published under an e-mail address. Only the SHA-256 of the address is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regulars.base.plugins.fields import check_web_address

from ..calls import LONGEST_WAIT, ask, record
from ..source import EnrichmentSource, LookupFailed, SettingField
from .fullcontact import address_hash

VENDOR = "Gravatar"
VENDOR_FIELDS = {"nickname": "display_name", "picture": "avatar_url", "job_title": "job_title", "employer": "company"}


class Gravatar(EnrichmentSource):
    title = "Gravatar"
    help = "The picture, name and job published under the e-mail address. Sends a fingerprint of the address."
    fields = (
        SettingField("api_key", "API key", "100 calls an hour without, 1,000 with one.", secret=True, required=False),
        SettingField("base_url", "Address of the API", default="https://api.gravatar.com/v3"),
    )
    needs = ("email",)
    gives = tuple(VENDOR_FIELDS)
    purpose = "enrich"
    source_kind = "enriched"
    confidence = 0.7
    fresh_days, nothing_days = 30, 30

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_web_address(settings["base_url"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        return address_hash(traits.get("email"))

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        headers = {"authorization": f"Bearer {settings['api_key']}"} if settings["api_key"] else {}
        answer = ask("GET", f"{settings['base_url'].rstrip('/')}/profiles/{question}", headers=headers)
        if answer.status == 429:
            wait = answer.headers.get("x-ratelimit-reset", "")
            is_usable = wait.isascii() and wait.isdigit() and float(wait) < 1e6
            # the vendor's limit is per hour: wait an hour when the header does not say how much of it is left
            pause = min(float(wait), LONGEST_WAIT) if is_usable else 3600.0
            raise LookupFailed("http_429", "Gravatar was asked too often this hour.", after=pause)
        found = record(answer, VENDOR)
        values = {ours: found.get(theirs) for ours, theirs in VENDOR_FIELDS.items()}
        return {key: value for key, value in values.items() if isinstance(value, str) and value}


gravatar = Gravatar()
