"""What a kind of destination is. The house's own and a stranger's are the same: entry point `regulars.destination_kinds`.

A kind declares and sends one message; the house draws its form, keeps its settings encrypted, asks for consent, puts
messages in order, retries, keeps the log and takes secrets out of it. What a kind can do besides is told by the small
protocols `Removes`, `Batches` and `Shows`, and by the optional attributes that `DestinationKind` names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from regulars.base.plugins.catalog import Catalog
from regulars.base.plugins.fields import SettingField

from .calls import Call, SendFailed

__all__ = [
    "KINDS",
    "Batches",
    "Call",
    "DestinationKind",
    "Message",
    "Removal",
    "Removes",
    "SendFailed",
    "SettingField",
    "Shows",
]


@dataclass(frozen=True)
class Message:
    """One customer entered or left one segment at `at` (UTC).

    `id` stays the same when the message is sent again, so that receivers can tell. `traits` is what may be used of her
    for the destination's purpose, field → value as its mapping says, and nothing else. `match` holds, unmapped, those
    of the kind's `needs` and `matches` that may be used: what the destination knows her by.
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
class Removal:
    """A destination shall let go of one customer: no longer tell of her, or (`erase`) forget her.

    `match` is what it knows her by, `segments` those it believes she is in, `told` the names of the fields it was given.
    `id` stays the same when the removal is sent again.
    """

    id: str
    at: dt.datetime
    user_id: str
    match: Mapping[str, Any]
    segments: tuple[str, ...]
    told: tuple[str, ...]
    erase: bool

    @property
    def type(self) -> str:
        return "customer.deleted" if self.erase else "customer.removed"


class DestinationKind(Protocol):
    """`needs` are attributes without which a message is pointless (an e-mail tool needs `email`): such are dropped.

    A kind may also have `matches: tuple[str, ...]`, attributes it recognises people by when they are known, and
    `default_mapping: tuple[tuple[attribute, field, transform], ...]` for destinations whose owner mapped nothing (an
    empty one: it tells no traits at all), `targets: tuple[tuple[field, help], ...]`, the fields its receivers have and
    the form offers (others may be written in), `tells_repeats: bool`, whether the receiver knows a message by its id or
    its effect (so that sending it again changes nothing), `keeps_last: bool`, whether it holds what it was told last (a list,
    a tag), so that older news after newer would make it wrong and is dropped, and
    `parallel: int`, how many messages may be under way to one destination at a time (1 unless it says more).
    """

    @property
    def title(self) -> str: ...

    @property
    def help(self) -> str: ...

    @property
    def fields(self) -> tuple[SettingField, ...]: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    def check(self, settings: Mapping[str, str]) -> None:
        """Raise `DomainError` when these settings (complete, all text) cannot work. Calls nobody."""

    def send(self, message: Message, settings: Mapping[str, str]) -> None:
        """Return when the message has arrived, else raise `SendFailed`. May be called twice for one message."""


@runtime_checkable
class Removes(Protocol):
    """A kind whose destinations can let go of a customer."""

    def remove(self, removal: Removal, settings: Mapping[str, str]) -> None:
        """Return when the destination has confirmed, else raise `SendFailed`. Nobody there (404) is a confirmation."""


@runtime_checkable
class Batches(Protocol):
    """A kind whose receivers take up to `batch_size` messages in one call, each of another customer."""

    @property
    def batch_size(self) -> int: ...

    def send_batch(self, messages: Sequence[Message], settings: Mapping[str, str]) -> None:
        """Return when all have arrived, else raise `SendFailed`; after a permanent one each is sent by itself, so that one
        which is refused holds up nobody. Some may have arrived then: what arrives twice must change nothing."""


@runtime_checkable
class Shows(Protocol):
    """A kind that can say beforehand what it would send."""

    def calls(self, message: Message, settings: Mapping[str, str]) -> list[Call]:
        """The calls of one message, in order. Calls nobody; what a call needs of the one before it is named in words."""


def known_by(kind: DestinationKind) -> tuple[str, ...]:
    """The attributes a kind recognises people by: those it cannot do without, then those it can."""
    return tuple(dict.fromkeys((*kind.needs, *getattr(kind, "matches", ()))))


def takes_fields(kind: DestinationKind) -> bool:
    """Whether there is anything to map: some kinds tell no traits at all."""
    return getattr(kind, "default_mapping", None) != ()


KINDS: Catalog[DestinationKind] = Catalog("destination_kinds")
