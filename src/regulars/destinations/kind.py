"""What a kind of destination is. The house's own and a stranger's are the same: entry point `regulars.destination_kinds`.

A kind declares and sends one message; the house draws its form, keeps its settings encrypted, asks for consent, puts
messages in order, retries, keeps the log and takes secrets out of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from regulars.base.kit.catalog import Catalog
from regulars.base.kit.errors import Refused
from regulars.base.kit.fields import Field

__all__ = ["KINDS", "DestinationKind", "Field", "Message", "SendFailed"]


@dataclass(frozen=True)
class Message:
    """One customer entered or left one segment at `at` (UTC).

    `id` stays the same when the message is sent again, so that receivers can tell. `traits` is what may be used of her
    for the destination's purpose, attribute → value, and nothing else.
    """

    id: str
    at: dt.datetime
    user_id: str
    segment_slug: str
    segment_name: str
    entered: bool
    traits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return "segment.entered" if self.entered else "segment.left"


class SendFailed(Refused):
    """The message did not arrive. `permanent`: trying again changes nothing; `after`: seconds the receiver asks for."""

    def __init__(self, name: str, sentence: str = "", *, permanent: bool = False, after: float | None = None) -> None:
        super().__init__(name, sentence)
        self.permanent = permanent
        self.after = after


class DestinationKind(Protocol):
    """`needs` are attributes without which a message is pointless (an e-mail tool needs `email`): such are dropped."""

    @property
    def title(self) -> str: ...

    @property
    def help(self) -> str: ...

    @property
    def fields(self) -> tuple[Field, ...]: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    def check(self, settings: Mapping[str, str]) -> None:
        """Raise `Refused` when these settings (complete, all text) cannot work. Calls nobody."""

    def send(self, message: Message, settings: Mapping[str, str]) -> None:
        """Return when the message has arrived, else raise `SendFailed`. May be called twice for one message."""


KINDS: Catalog[DestinationKind] = Catalog("destination_kinds")
