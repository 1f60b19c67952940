"""The shape of a mapping: which scopes a piece costs, and where in the answer each attribute is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from regulars.flows.arrive import Told

Raw = dict[str, Any]  # {"userinfo": {…}, "id_token": {…}, "people": {…}}, unchanged


@dataclass(frozen=True)
class Piece:
    """Something optional that she may share. `purpose` is why we ask; saying yes to the piece says yes to it."""

    name: str
    label: str
    why: str
    scopes: tuple[str, ...]
    purpose: str = "personalise"


@dataclass(frozen=True)
class More:
    """One more address to ask after userinfo, once one of `scopes` was granted. `key` names it in the raw answer.

    `url` is the provider's own; a connection that is pointed at another issuer has `urls[key]`, or `path` below it.
    """

    key: str
    url: str
    path: str
    parameters: dict[str, str]
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Strategy:
    """`issuer` is where discovery starts unless the connection says otherwise. `read` turns an answer into what it tells.

    `aliases` are other words the provider uses for a scope when it says what was granted. `fresh` is what makes it
    ask her again. `scoped_ids`: its user ids are unique within a connection only.
    """

    name: str
    scopes: tuple[str, ...]
    pieces: tuple[Piece, ...]
    read: Callable[[Raw], Iterable[Told]]
    issuer: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    more: More | None = None
    fresh: str = "login"
    scoped_ids: bool = False

    def offered(self, wanted: Iterable[str]) -> list[Piece]:
        """The pieces that a connection asks for, in our order; words we do not know are passed over."""
        names = set(wanted)
        return [piece for piece in self.pieces if piece.name in names]


def claims(info: Raw) -> list[Told]:
    """OpenID Connect's standard claims that come with the login itself. A provider vouches for what it calls verified."""
    email, proved = text(info.get("email")), info.get("email_verified") in (True, "true")
    told = [Told(key, value, "verified") for key in PLAIN if (value := text(info.get(key)))]
    if email:
        told += [Told("email", email, "verified" if proved else "social"), Told("email_verified", proved, "verified")]
    return told


def text(value: Any) -> str:
    return value.strip()[:500] if isinstance(value, str) else ""


def gender_of(value: Any) -> str:
    """One of the words that the house's own attribute has; nothing when she keeps it to herself."""
    word = text(value).lower()
    return word if word in ("", "female", "male") else "" if word == "unspecified" else "other"


def mapping(value: Any) -> Raw:
    return value if isinstance(value, dict) else {}


PLAIN = ("name", "given_name", "family_name", "nickname", "picture", "locale")
