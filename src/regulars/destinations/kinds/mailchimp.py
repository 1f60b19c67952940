"""Mailchimp: a member of an audience, tagged with their segments."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address, host_of

from ..calls import failure_of, perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SendFailed, SettingField

_LIST = re.compile(r"[A-Za-z0-9]{1,40}")
_KEY = re.compile(r"[\x21-\x7e]+-[a-z]{2,4}\d{1,3}")
THROTTLED_FOR = 60.0  # seconds: Mailchimp sends no Retry-After


class Mailchimp(DestinationKind):
    title = "Mailchimp"
    help = "Adds the customer to an audience and tags them with their segments."
    fields = (
        SettingField("api_key", "API key", "It ends in the data centre, such as -us21.", secret=True),
        SettingField("list_id", "Audience id", "Audience, Settings, Audience name and defaults."),
        SettingField("base_url", "Address of the API", default="https://{dc}.api.mailchimp.com/3.0"),
    )
    needs = ("email",)
    default_mapping = (("given_name", "FNAME", ""), ("family_name", "LNAME", ""))
    targets = (
        ("FNAME", "first name"),
        ("LNAME", "last name"),
        ("PHONE", "phone number"),
        ("BIRTHDAY", "MM/DD, without the year"),
    )
    is_idempotent = True
    latest_only = True
    can_remove = True
    can_update = True
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_key" | "bad_list" | "bad_url")`."""
        if not _KEY.fullmatch(settings["api_key"]):
            raise Invalid("bad_key", "A Mailchimp key ends in its data centre, such as -us21.")
        if not _LIST.fullmatch(settings["list_id"]):
            raise Invalid("bad_list", "An audience id has letters and digits.")
        check_web_address(_base(settings), "The address of the API")

    def place(self, settings: Mapping[str, str]) -> str:
        return host_of(_base(settings))

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        email = str(message.match["email"])
        tag = {"name": message.segment_slug, "status": "active" if message.entered else "inactive"}
        member = {"email_address": email, "status_if_new": "subscribed"}
        if message.traits:
            member["merge_fields"] = dict(message.traits)  # type: ignore[assignment]
        return [
            HttpCall("PUT", _member(email, settings), _headers(settings), json=member),
            HttpCall("POST", f"{_member(email, settings)}/tags", _headers(settings), json={"tags": [tag]}),
        ]

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        for call in self.calls(message, settings):
            _make(call)

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Unsubscribe, empty what was sent and remove our tags; for an erasure delete permanently."""
        member = _member(str(request.match["email"]), settings)
        headers, not_found = _headers(settings), frozenset({404})
        if request.erase:
            _make(HttpCall("POST", f"{member}/actions/delete-permanent", headers), not_found)
            return
        emptied = {"merge_fields": dict.fromkeys(request.fields, "")} if request.fields else {}
        _make(HttpCall("PATCH", member, headers, json={"status": "unsubscribed", **emptied}), not_found)
        tags = [{"name": slug, "status": "inactive"} for slug in request.segments]
        _make(HttpCall("POST", f"{member}/tags", headers, json={"tags": tags}), not_found)

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Change the member; an empty text empties a merge field."""
        email, now = str(update.match["email"]), str(update.new_match["email"])
        fields = {name: "" if value is None else value for name, value in update.fields.items()}
        changed = ({"email_address": now} if now != email else {}) | ({"merge_fields": fields} if fields else {})
        call = HttpCall("PATCH", _member(email, settings), _headers(settings), json=changed)
        _make(call, frozenset({404}))


def _base(settings: Mapping[str, str]) -> str:
    data_centre = settings["api_key"].rpartition("-")[2]
    return settings["base_url"].replace("{dc}", data_centre).rstrip("/")


def _member(email: str, settings: Mapping[str, str]) -> str:
    digest = hashlib.md5(email.strip().lower().encode(), usedforsecurity=False).hexdigest()
    return f"{_base(settings)}/lists/{settings['list_id']}/members/{digest}"


def _headers(settings: Mapping[str, str]) -> dict[str, str]:
    key = base64.b64encode(f"any:{settings['api_key']}".encode()).decode()
    return {"authorization": f"Basic {key}"}


def _make(call: HttpCall, accept: frozenset[int] = frozenset()) -> None:
    """Make the call. A 403 without JSON means throttling; a 400 has its reason in `title`."""
    answer = perform(call, accept=accept | {400, 403})
    if answer.status == 403 and "json" not in answer.headers.get("content-type", ""):
        raise SendFailed("throttled", "Mailchimp throttled the calls.", after=THROTTLED_FOR)
    if answer.status == 400 and "forgotten email" in answer.text.lower():
        raise SendFailed(
            "forgotten_there",
            "Mailchimp deleted this address for good: the customer must sign up there.",
            permanent=True,
        )
    if answer.status in (400, 403) and answer.status not in accept:
        raise failure_of(answer)


mailchimp = Mailchimp()
