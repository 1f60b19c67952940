"""Parse a request body of Segment's API into messages. No database, no HTTP.

A body without any message is the sender's fault (`BadBody`). A bad message inside a batch is not: SDKs drop the whole
batch on any 4xx, so it is rejected with a reason and the rest is accepted.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from regulars.base.errors import DomainError
from regulars.base.text import storable

MAX_BODY = 512 * 1024  # bytes, unpacked; Segment's own limit is 500 KB
MAX_MESSAGE = 32 * 1024
MAX_MESSAGES = 2500
MAX_ID = 255  # characters
# Prefix of message ids that Regulars generates: a sender who used one first could suppress that event.
OWN_PREFIX = "regulars-"
# A type or its first letter, as analytics.js sends it.
TYPES = {
    word: name
    for name in ("identify", "track", "page", "screen", "group", "alias")
    for word in (name, name[0])  # no two have the same first letter
}
BATCHES = frozenset({"batch", "import", "b"})


class BadBody(DomainError):
    """The body as a whole is not valid: `invalid_json`, `invalid_body`."""


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One valid message. `body` is its JSON as received, `key` its own write key, if any."""

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


Id = str | int | float | None


class _Message(msgspec.Struct, rename="camel"):
    type: str = ""
    message_id: str | None = None
    user_id: Id = None
    anonymous_id: Id = None
    previous_id: Id = None
    group_id: Id = None
    event: str | None = None
    write_key: str | None = None
    sent_at: Any = None


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[msgspec.Raw]
    write_key: str | None = None
    sent_at: Any = None
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None


_MESSAGE = msgspec.json.Decoder(_Message)
_BATCH = msgspec.json.Decoder(_Batch)


class _Unfit(Exception):
    pass


def parse(word: str, body: bytes) -> Parsed:
    """Parse the body of `/v1/<word>`. Raises `BadBody`."""
    return _batch(body) if word in BATCHES else _single(TYPES[word], body)


def _single(type_: str, body: bytes) -> Parsed:
    message = _decoded(_MESSAGE, body)
    try:
        kept = _kept(message, type_, body)
    except _Unfit as reason:
        raise BadBody("invalid_message", f"The message cannot be taken: {reason}.") from None
    return Parsed([kept], [], message.write_key or "", _moment(message.sent_at))


def _batch(body: bytes) -> Parsed:
    batch = _decoded(_BATCH, body)
    kept: list[InboxMessage] = []
    aside: list[RejectedMessage] = []
    # the context of a batch is merged into its messages; the values of a message win
    common = {name: part for name in ("context", "integrations") if (part := getattr(batch, name))}
    for number, each in enumerate(batch.batch):
        raw = _merged(bytes(each), common) if common else bytes(each)
        try:
            if number >= MAX_MESSAGES:
                raise _Unfit("too_many_in_batch")
            kept.append(_one_of_many(raw))
        except _Unfit as reason:
            aside.append(RejectedMessage(str(reason), excerpt(raw)))
    key = batch.write_key or next((message.key for message in kept if message.key), "")
    return Parsed(kept, aside, key, _moment(batch.sent_at))


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            if isinstance(fault, msgspec.ValidationError):
                raise
            # browsers send half surrogate pairs for truncated emoji: one such character must not cost a batch
            try:
                value = json.loads(body)
            except (ValueError, RecursionError):
                raise BadBody("invalid_json", "The body is not JSON.") from None
            return decoder.decode(msgspec.json.encode(storable(value)))
    except msgspec.ValidationError as fault:
        raise BadBody("invalid_body", f"The body does not fit: {fault}.") from None


def _merged(raw: bytes, common: dict[str, dict[str, Any]]) -> bytes:
    try:
        message = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw
    if not isinstance(message, dict):
        return raw
    for name, part in common.items():
        own = message.get(name)
        message[name] = {**part, **own} if isinstance(own, dict) else part
    return msgspec.json.encode(message)


def _one_of_many(raw: bytes) -> InboxMessage:
    try:
        message = _MESSAGE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Unfit("not_a_message") from None
    if message.type not in TYPES or len(message.type) == 1:
        raise _Unfit("unknown_type")
    return _kept(message, message.type, raw)


def _kept(message: _Message, type_: str, raw: bytes) -> InboxMessage:
    if len(raw) > MAX_MESSAGE:
        raise _Unfit("message_too_large")
    has_id = any(map(_word, (message.user_id, message.anonymous_id)))
    if not has_id or (type_ == "alias" and not _word(message.previous_id)):
        raise _Unfit("no_id")
    if type_ == "track" and not message.event:
        raise _Unfit("event_without_name")
    if (message.message_id or "").startswith(OWN_PREFIX):
        raise _Unfit("message_id_is_ours")
    message_id = storable(message.message_id or f"{OWN_PREFIX}{uuid.uuid4()}")
    if len(message_id) > MAX_ID:
        raise _Unfit("message_id_too_long")
    try:
        return InboxMessage(message_id, type_, raw.decode(), message.write_key or "")
    except UnicodeDecodeError:
        raise _Unfit("not_a_message") from None


def _word(id_: Id) -> str:
    return "" if id_ is None else str(id_).strip()


def _moment(sent_at: Any) -> str:
    return storable(sent_at)[:40] if isinstance(sent_at, str) else ""


def excerpt(raw: bytes) -> str:
    return str(storable(raw[:500].decode(errors="replace")))
