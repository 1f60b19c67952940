"""Gravatar: the picture and profile somebody published under her e-mail address. Only its SHA-256 leaves the house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calls import LONGEST_WAIT, ask, check_url, record
from ..source import LookupFailed, SettingField
from .fullcontact import address_hash

WHO = "Gravatar"
THEIRS = {"nickname": "display_name", "picture": "avatar_url", "job_title": "job_title", "employer": "company"}


class Gravatar:
    title = "Gravatar"
    help = "The picture, name and job she published under her e-mail address. Sends a fingerprint of the address."
    fields = (
        SettingField("api_key", "API key", "100 calls an hour without, 1,000 with one.", secret=True, required=False),
        SettingField("base_url", "Address of the API", default="https://api.gravatar.com/v3"),
    )
    needs = ("email",)
    gives = tuple(THEIRS)
    purpose = "enrich"
    is_about_areas = False
    source_kind = "enriched"
    confidence = 0.7
    fresh_days, nothing_days = 30, 30

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_url(settings["base_url"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        return address_hash(traits.get("email"))

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        headers = {"authorization": f"Bearer {settings['api_key']}"} if settings["api_key"] else {}
        answer = ask("GET", f"{settings['base_url'].rstrip('/')}/profiles/{question}", headers=headers)
        if answer.status == 429:
            raise LookupFailed("http_429", "Gravatar was asked too often this hour.", after=_pause(answer.headers))
        said = record(answer, WHO)
        found = {ours: said.get(theirs) for ours, theirs in THEIRS.items()}
        return {key: value for key, value in found.items() if isinstance(value, str) and value}


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds until their hour is over; an hour when they do not say."""
    said = headers.get("x-ratelimit-reset", "")
    return min(float(said), LONGEST_WAIT) if said.isascii() and said.isdigit() and float(said) < 1e6 else 3600.0


gravatar = Gravatar()
