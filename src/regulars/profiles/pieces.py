"""The optional pieces that each kind of provider can share: what they cost and which attributes they fill.

Two doors need this list, which must not know each other: the sign-in pages offer the pieces, the console switches them on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

GOOGLE = "https://www.googleapis.com/auth/"


@dataclass(frozen=True)
class Piece:
    """Something a customer may share. `label` and `why` are read by her, and `purpose` is what her yes says yes to.

    `review` is what the provider wants to see before it grants the scopes to everybody; empty: nothing.
    """

    key: str
    label: str
    why: str
    scopes: tuple[str, ...]
    attributes: tuple[str, ...]
    review: str = ""
    purpose: str = "personalise"


@dataclass(frozen=True)
class Strategy:
    """A kind of provider. `issuer` is where discovery starts; empty: every connection has its own."""

    key: str
    label: str
    issuer: str
    scopes: tuple[str, ...]
    pieces: tuple[Piece, ...]


_AGE, _CUT = "So that we show you what people of your age like.", "So that we show you things in your cut first."
_PLACE, _CALL = (
    "So that we know which shop and which season is near you.",
    "So that we can reach you about your orders.",
)
_ADDRESS = ("city", "postal_code", "country")
_SENSITIVE = "Google verifies apps that ask for this."

GOOGLE_PIECES = (
    Piece("birthday", "Your date of birth", _AGE, (f"{GOOGLE}user.birthday.read",), ("birthdate",), _SENSITIVE),
    Piece("gender", "Your gender", _CUT, (f"{GOOGLE}user.gender.read",), ("gender",), _SENSITIVE),
    Piece("address", "Your address", _PLACE, (f"{GOOGLE}user.addresses.read",), _ADDRESS, _SENSITIVE),
    Piece(
        "phone",
        "Your phone number",
        _CALL,
        (f"{GOOGLE}user.phonenumbers.read",),
        ("phone_number",),
        _SENSITIVE,
        "serve",
    ),
)
OIDC_PIECES = (
    Piece("address", "Your address", _PLACE, ("address",), _ADDRESS),
    Piece("phone", "Your phone number", _CALL, ("phone",), ("phone_number",), purpose="serve"),
    Piece("gender", "Your gender", _CUT, ("profile",), ("gender",)),
    Piece("birthday", "Your date of birth", _AGE, ("profile",), ("birthdate",)),
)
LOGIN_SCOPES = ("openid", "email", "profile")

STRATEGIES = {
    each.key: each
    for each in (
        Strategy("google-oauth2", "Google", "https://accounts.google.com", LOGIN_SCOPES, GOOGLE_PIECES),
        Strategy("oidc", "OpenID Connect", "", LOGIN_SCOPES, OIDC_PIECES),
    )
}


def scopes_of(strategy: str, pieces: Iterable[str]) -> list[str]:
    """What the pieces cost at this kind of provider, each scope once."""
    wanted = set(pieces)
    known = STRATEGIES[strategy].pieces if strategy in STRATEGIES else ()
    return list(dict.fromkeys(scope for piece in known if piece.key in wanted for scope in piece.scopes))
