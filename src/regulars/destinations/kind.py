"""The contract of destination kinds: plug-ins under the entry point group `regulars.destination_kinds`.

A kind declares its settings and sends one message. The core draws the form, encrypts the settings, checks consent, orders
messages, retries, keeps the log and removes secrets from it. Every optional ability has a default in `DestinationKind`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regulars.base.errors import Invalid
from regulars.base.plugins.catalog import Catalog
from regulars.base.plugins.fields import ConfigurablePlugin, SettingField

from .calls import HttpCall, SendFailed

__all__ = [
    "KINDS",
    "DeletionRequest",
    "DestinationKind",
    "FieldUpdate",
    "HttpCall",
    "SegmentMessage",
    "SendFailed",
    "SettingField",
]


@dataclass(frozen=True)
class SegmentMessage:
    """One customer entered or left one segment at `at` (UTC).

    `id` stays the same when the message is sent again, so that receivers recognise it. `traits` is what the destination's
    purpose may use of the customer, field → value as its mapping says, and nothing else. `match` holds, unmapped, the
    usable ones of the kind's `needs` and `matches`: what the destination recognises the customer by.
    """

    id: str
    at: dt.datetime
    user_id: str
    segment_slug: str
    segment_name: str
    entered: bool
    traits: Mapping[str, Any] = field(default_factory=dict)
    match: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return "segment.entered" if self.entered else "segment.left"


@dataclass(frozen=True)
class DeletionRequest:
    """Ask a destination to stop using one customer's data, or (`erase`) to erase the customer.

    `match` is what it recognises the customer by, `segments` those it believes the customer is in, `fields` the names of
    the fields it received. `id` stays the same when the request is sent again.
    """

    id: str
    at: dt.datetime
    user_id: str
    match: Mapping[str, Any]
    segments: tuple[str, ...]
    fields: tuple[str, ...]
    erase: bool

    @property
    def type(self) -> str:
        return "customer.deleted" if self.erase else "customer.removed"


@dataclass(frozen=True)
class FieldUpdate:
    """Ask a destination to replace or remove single fields of one customer; the customer stays.

    `fields`: field → new value, None where it may not be used any more or is not known any more. `current` are all fields
    that the destination was sent, as they may be used now. `match` is what it recognises the customer by, as it was sent,
    and `new_match` the same as it is now. `segments` are those it believes the customer is in. `id` stays the same when
    the request is sent again.
    """

    id: str
    at: dt.datetime
    user_id: str
    match: Mapping[str, Any]
    new_match: Mapping[str, Any]
    fields: Mapping[str, Any]
    current: Mapping[str, Any]
    segments: tuple[str, ...]

    @property
    def type(self) -> str:
        return "customer.updated"

    @property
    def takes_away(self) -> bool:
        """Whether something must go: a field, or the old value of what the customer was recognised by."""
        return None in self.fields.values() or self.match != self.new_match


class DestinationKind(ConfigurablePlugin):
    """A kind of destination. Override `send`, and whatever else it can do.

    `needs` are attributes without which a message is pointless (an e-mail tool needs `email`): such messages are dropped.
    """

    # Attributes it recognises customers by when they are known, besides `needs`.
    matches: tuple[str, ...] = ()
    # (attribute, field, transform) for destinations without a mapping of their own. None: all traits under their own
    # names. Empty: it sends no traits at all.
    default_mapping: tuple[tuple[str, str, str], ...] | None = None
    # (field, help) of its receivers, offered by the form; other fields may be written in.
    targets: tuple[tuple[str, str], ...] = ()
    # Whether the receiver recognises a message by its id or its effect, so that sending it again changes nothing.
    is_idempotent: bool = False
    # Whether the receiver keeps the last state (a list, a tag), so that an older message after a newer one is dropped.
    latest_only: bool = False
    # How many messages may be in flight to one destination at a time.
    concurrency: int = 1
    # How many messages, each of another customer, `send_batch` takes in one call; 1: it has no `send_batch`.
    batch_size: int = 1
    # Whether it has `remove`.
    can_remove: bool = False
    # Whether the return of `remove` means that an erasure, or the end of a use, was carried out there. Otherwise the request
    # was only received: people or a job of the receiver carry it out later.
    confirms_erasure: bool = True
    confirms_removal: bool = True
    # Whether it has `update`. Without it the customer is removed there, and sent again with what may be used now.
    can_update: bool = False
    # Secret settings that name the account, so that another one is another place: not those that only sign or authenticate.
    account_settings: tuple[str, ...] = ()
    # Whether it has `calls`.
    has_preview: bool = False

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        """Return when the message has arrived, else raise `SendFailed`. May be called twice for one message."""
        raise NotImplementedError

    def send_batch(self, messages: Sequence[SegmentMessage], settings: Mapping[str, str]) -> None:
        """Return when all have arrived, else raise `SendFailed`.

        After a permanent failure each message is sent by itself, so that a refused one does not block the others. Some
        may have arrived then: what arrives twice must change nothing.
        """
        raise NotImplementedError

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Return when the destination has confirmed, else raise `SendFailed`. An unknown customer (404) confirms."""
        raise Invalid("cannot_remove", f"{self.title} cannot remove a customer. Remove them there by hand.")

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Return when the destination has confirmed, else raise `SendFailed`. An unknown customer (404) confirms."""
        raise Invalid("cannot_update", f"{self.title} cannot change single fields. Change them there by hand.")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        """Return the calls of one message, in order, for a preview. Makes no call itself.

        A value that comes from the answer to an earlier call is a placeholder in braces.
        """
        return []


def match_attributes(kind: DestinationKind) -> tuple[str, ...]:
    """Return the attributes a kind recognises customers by: the necessary ones first."""
    return tuple(dict.fromkeys((*kind.needs, *kind.matches)))


def maps_fields(kind: DestinationKind) -> bool:
    """Return whether there is anything to map: some kinds send no traits at all."""
    return kind.default_mapping != ()


KINDS: Catalog[DestinationKind] = Catalog("destination_kinds")
