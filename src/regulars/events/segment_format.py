"""Parse a request body of Segment's API into messages. No database, no HTTP.

A body without any message is the sender's fault (`BadBody`). A bad message inside a batch is not: SDKs drop the whole
batch on any 4xx, so it is rejected with a reason and the rest is accepted.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from regulars.base.errors import DomainError
from regulars.base.json_reader import MAX_DEPTH, UnreadableJson, cut_at_depth, is_deeper, read_json, write_json
from regulars.base.text import storable

from .identifiers import is_missing
from .own_events import is_own_name

MAX_BODY = 512 * 1024  # bytes, unpacked; Segment's own limit is 500 KB
MAX_MESSAGE = 32 * 1024
MAX_MESSAGES = 2500
MAX_ID = 255  # characters
MAX_SENT_AT = 40
LINKED = 2  # ids that an alias joins
DEEPEST_BATCH = MAX_DEPTH + 3  # a batch, its list, a message that is one level too deep
# Prefix of message ids that Regulars generates: a sender who used one first could suppress that event.
OWN_PREFIX = "regulars-"
# A type or its first letter, as analytics.js sends it.
TYPES = {
    word: name
    for name in ("identify", "track", "page", "screen", "group", "alias")
    for word in (name, name[0])  # no two have the same first letter
}
NAMES_OF_TYPES = frozenset(TYPES.values())
BATCHES = frozenset({"batch", "import", "b"})


class BadBody(DomainError):
    """The body as a whole is not valid: `invalid_json`, `invalid_body`, `invalid_message`.

    `parsed` is what the operator is shown of a single message that was refused.
    """

    parsed: Parsed | None = None


class InboxMessage(msgspec.Struct, frozen=True):  # cheaper to make than a dataclass
    """One valid message. `body` is its JSON, for `read_json`; `key` its own write key, if any."""

    message_id: str
    type: str
    body: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """One message of a batch that cannot become an event, with the reason."""

    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Parsed:
    messages: list[InboxMessage]
    rejected: list[RejectedMessage]
    key: str
    sent_at: str


Id = str | int | float | bool | None


class _Message(msgspec.Struct, rename="camel"):
    type: str = ""
    message_id: Any = None
    user_id: Id = None
    anonymous_id: Id = None
    previous_id: Id = None
    group_id: Id = None
    event: str | None = None
    write_key: str | None = None
    sent_at: Any = None


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[Any]
    write_key: str | None = None
    sent_at: Any = None
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None


class _Unfit(Exception):
    pass


def parse(word: str, body: bytes) -> Parsed:
    """Parse the body of `/v1/<word>`. Raises `BadBody`."""
    return _batch(body) if word in BATCHES else _single(TYPES[word], body)


def _single(type_: str, body: bytes) -> Parsed:
    try:
        value = read_json(body, repair=True)
        message = msgspec.convert(value, _Message)
        kept = _kept(message, type_, value)
    except msgspec.ValidationError as fault:
        raise BadBody("invalid_body", f"The body does not fit: {fault}.") from None
    except UnreadableJson as fault:
        if fault.code != "too_deep":
            raise BadBody(fault.code, fault.message) from None
        raise _refused("too_deep", body, "") from None
    except _Unfit as reason:
        raise _refused(str(reason), body, message.write_key or "") from None
    return Parsed([kept], [], message.write_key or "", _moment(message.sent_at))


def _refused(reason: str, body: bytes, key: str) -> BadBody:
    refused = BadBody("invalid_message", f"The message cannot be taken: {reason}.")
    refused.parsed = Parsed([], [RejectedMessage(reason, excerpt(body))], key, "")
    return refused


def _batch(body: bytes) -> Parsed:
    batch, is_cut = _read_batch(body)
    kept: list[InboxMessage] = []
    aside: list[RejectedMessage] = []
    # the context of a batch is merged into its messages; the values of a message win
    common = {name: part for name in ("context", "integrations") if (part := getattr(batch, name))}
    for number, each in enumerate(batch.batch):
        value = _merged(each, common) if common and isinstance(each, dict) else each
        try:
            if number >= MAX_MESSAGES:
                raise _Unfit("too_many_in_batch")
            kept.append(_one_of_many(value, is_cut=is_cut))
        except _Unfit as reason:
            aside.append(RejectedMessage(str(reason), excerpt(write_json(value))))
    key = batch.write_key or next((message.key for message in kept if message.key), "")
    return Parsed(kept, aside, key, _moment(batch.sent_at))


def _read_batch(body: bytes) -> tuple[_Batch, bool]:
    """Read a batch, of which one bottomless message must not cost the others. Returns also whether it had to be cut."""
    is_cut = False
    try:
        try:
            value = read_json(body, repair=True)
        except UnreadableJson as fault:
            if fault.code != "too_deep":
                raise
            is_cut = True
            value = read_json(cut_at_depth(body, DEEPEST_BATCH), DEEPEST_BATCH, repair=True)
        return msgspec.convert(value, _Batch), is_cut
    except UnreadableJson as fault:
        raise BadBody("invalid_json" if fault.code == "invalid_json" else "invalid_body", fault.message) from None
    except msgspec.ValidationError as fault:
        raise BadBody("invalid_body", f"The body does not fit: {fault}.") from None


def _merged(message: dict[str, Any], common: dict[str, dict[str, Any]]) -> dict[str, Any]:
    merged = dict(message)
    for name, part in common.items():
        own = message.get(name)
        merged[name] = {**part, **own} if isinstance(own, dict) else part
    return merged


def _one_of_many(value: Any, *, is_cut: bool) -> InboxMessage:
    try:
        message = msgspec.convert(value, _Message)
    except msgspec.ValidationError:
        raise _Unfit("not_a_message") from None
    if message.type not in NAMES_OF_TYPES:
        raise _Unfit("unknown_type")
    if is_cut and is_deeper(value, MAX_DEPTH):
        raise _Unfit("too_deep")
    return _kept(message, message.type, value)


def _kept(message: _Message, type_: str, value: Any) -> InboxMessage:
    body = write_json(value)
    if len(body) > MAX_MESSAGE:
        raise _Unfit("message_too_large")
    user, browser = not is_missing(message.user_id), not is_missing(message.anonymous_id)
    if not (user or browser):
        raise _Unfit("no_id")
    if type_ == "alias" and user + browser + (not is_missing(message.previous_id)) < LINKED:
        raise _Unfit("no_id")
    name = (message.event or "").strip()
    if type_ == "track" and not name:
        raise _Unfit("event_without_name")
    if type_ == "track" and is_own_name(name):
        raise _Unfit("name_is_ours")
    message_id = _message_id(message.message_id)
    if message_id.startswith(OWN_PREFIX):
        raise _Unfit("message_id_is_ours")
    message_id = message_id or f"{OWN_PREFIX}{uuid.uuid4()}"
    if len(message_id) > MAX_ID:
        raise _Unfit("message_id_too_long")
    return InboxMessage(message_id, type_, body.decode(), message.write_key or "")


def _message_id(value: Any) -> str:
    """Return the id of a message as text. What is no text and no number is left out, and the message gets one of ours."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _moment(sent_at: Any) -> str:
    """Return `sentAt` as text, for `base.moments.read_moment`."""
    known = isinstance(sent_at, str | int | float) and not isinstance(sent_at, bool)
    return str(sent_at)[:MAX_SENT_AT] if known else ""


def excerpt(raw: bytes) -> str:
    return str(storable(raw[:500].decode(errors="replace")))
