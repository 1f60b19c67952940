"""Meta custom audiences: contact data hashed before it is sent, added on entering a segment, deleted on leaving.

Meta forbids audiences that indicate health or finances: do not select such segments for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from regulars.base import http
from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from .. import hashing
from ..calls import failure_of, perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SendFailed, SettingField

_DIGITS = re.compile(r"\d{1,30}", re.ASCII)
PASSING = frozenset({1, 2, 4, 17, 32, 341, 613, 80003})  # Graph's codes for "retry later": throttling or an outage

# Attribute → (Meta's key, how Meta normalises it).
KEYS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "email": ("EMAIL", hashing.meta_email),
    "phone_number": ("PHONE", hashing.meta_phone),
    "given_name": ("FN", hashing.name),
    "family_name": ("LN", hashing.name),
    "gender": ("GEN", hashing.gender),
    "city": ("CT", hashing.city),
    "country": ("COUNTRY", lambda value: str(value).strip().lower()),
}


class Meta(DestinationKind):
    title = "Meta custom audience"
    help = "Adds hashed contact data of those in the segments to an audience for Facebook and Instagram."
    fields = (
        SettingField("access_token", "Access token", "With ads_management.", secret=True),
        SettingField("audience_id", "Audience id", "Of a customer-list audience whose terms were accepted."),
        SettingField("base_url", "Address of the API", default="https://graph.facebook.com/v25.0"),
    )
    needs = ("email",)
    matches = ("phone_number", "given_name", "family_name", "gender", "city", "postal_code", "country")
    default_mapping = ()
    is_idempotent = True
    latest_only = True
    batch_size = 200
    can_remove = True
    can_update = True
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_audience" | "bad_url")`."""
        if not _DIGITS.fullmatch(settings["audience_id"]):
            raise Invalid("bad_audience", "An audience id has digits only.")
        check_web_address(settings["base_url"], "The address of the API")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        return [_users("POST" if message.entered else "DELETE", [row(message.match)], settings)]

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        for call in self.calls(message, settings):
            _make(call)

    def send_batch(self, messages: Sequence[SegmentMessage], settings: Mapping[str, str]) -> None:
        """Send those who entered in one call, those who left in another."""
        for method, entered in (("POST", True), ("DELETE", False)):
            if rows := [row(message.match) for message in messages if message.entered == entered]:
                _make(_users(method, rows, settings))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        _make(_users("DELETE", [row(request.match)], settings))

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Remove the row as it was sent, and add it as it is now if the customer is in a segment."""
        _make(_users("DELETE", [row(update.match)], settings))
        if update.segments:
            _make(_users("POST", [row(update.new_match)], settings))


def row(match: Mapping[str, Any]) -> dict[str, str]:
    """Return Meta's key → hash, of the known attributes."""
    plain = {key: normal(match[attribute]) for attribute, (key, normal) in KEYS.items() if attribute in match}
    if "postal_code" in match:
        plain["ZIP"] = hashing.postal_code(match["postal_code"], match.get("country"))
    return {key: hashing.sha256(value) for key, value in plain.items() if value}


def _users(method: str, rows: Sequence[Mapping[str, str]], settings: Mapping[str, str]) -> HttpCall:
    """Send all customers under the same columns; unknown values are empty."""
    schema = list(dict.fromkeys(key for each in rows for key in each))
    url = f"{settings['base_url'].rstrip('/')}/{settings['audience_id']}/users"
    body = {"payload": {"schema": schema, "data": [[each.get(key, "") for key in schema] for each in rows]}}
    return HttpCall(method, url, {"authorization": f"Bearer {settings['access_token']}"}, json=body)


def _make(call: HttpCall) -> None:
    """Make the call. Graph asks to retry later with a 400 and a code; a 200 with invalid entries is a rejection."""
    answer = perform(call, accept=frozenset({400, 403}))
    try:
        found = answer.json()
    except http.RequestFailed:
        found = None
    if not isinstance(found, dict):
        raise SendFailed("bad_answer", "Meta did not answer in JSON.")
    if answer.status != 200:
        error = found.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        code = code if isinstance(code, int) and 0 < code < 10**9 else 0
        if code in PASSING:
            raise SendFailed("later", f"Meta asks to come back later (code {code}).")
        raise failure_of(answer, f"meta_{code}" if code else "", f"Meta refused the call (code {code}).")
    if found.get("num_invalid_entries"):
        raise SendFailed("rejected", "Meta took the call and could not read the entry.", permanent=True)


meta = Meta()
