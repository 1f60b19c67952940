"""How the pages that customers see look when they come from one app: its colours, its logo, its words.

Colours that people could not read are refused with the figure. What is not set is the house's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from urllib.parse import urlsplit

from regulars.base.errors import DomainError, Invalid

from .models import Client

READABLE = 4.5  # WCAG 2.2, 1.4.3
# The house's own, as signin.css has them.
CARD, CARD_DARK = "#ffffff", "#131c31"
ACCENT, ACCENT_DARK = "#4338ca", "#a5b4fc"
WHITE, BLACK = "#ffffff", "#0f172a"
COLOUR = re.compile(r"#[0-9a-f]{6}")
LONGEST_ADDRESS = 2000
LONGEST = {"title": 60, "greeting": 200}
ADDRESSES = ("logo", "favicon", "terms", "privacy")


@dataclass(frozen=True)
class Branding:
    """Colours as `#rrggbb`, addresses as `https://…` or a path of this house. Empty: not set.

    `link` and the dark colours follow from `accent` when they are not set.
    """

    title: str = ""
    greeting: str = ""
    logo: str = ""
    favicon: str = ""
    terms: str = ""
    privacy: str = ""
    accent: str = ""
    on_accent: str = ""
    link: str = ""
    page: str = ""
    accent_dark: str = ""
    page_dark: str = ""


COLOURS = ("accent", "on_accent", "link", "page", "accent_dark", "page_dark")


def branding_of(client: Client) -> Branding:
    """What was saved; the house's own for an app that has none, or one that the rules of today refuse."""
    try:
        return checked(client.look)
    except DomainError:
        return Branding()


def save_branding(client: Client, given: Mapping[str, str]) -> Branding:
    """Keep what `checked` finds good."""
    look = checked(given)
    client.look = asdict(look)
    client.save(update_fields=["look"])
    return look


def checked(given: Mapping[str, str]) -> Branding:
    """The look, or `DomainError`: `bad_colour`, `low_contrast`, `bad_address`, `too_long`, each about its field."""
    written = {field.name: str(given.get(field.name, "")).strip() for field in fields(Branding)}
    for name in COLOURS:
        written[name] = _colour(name, written[name])
    for name in ADDRESSES:
        _refuse_bad_address(name, written[name])
    for name, most in LONGEST.items():
        if len(written[name]) > most:
            raise Invalid("too_long", f"Write at most {most} characters.", name)
    look = Branding(**written)
    _refuse_unreadable(look)
    return look


@dataclass(frozen=True)
class Palette:
    """What the stylesheet's variables are set to, for one of light and dark."""

    accent: str
    on_accent: str
    link: str
    page: str = ""

    @property
    def variables(self) -> dict[str, str]:
        set_here = {"accent": self.accent, "on-accent": self.on_accent, "link": self.link, "page": self.page}
        return {f"--{name}": value for name, value in set_here.items() if value}


def light(look: Branding) -> Palette:
    accent = look.accent or ACCENT
    return Palette(accent, look.on_accent or ink_on(accent), look.link or accent, look.page)


def dark(look: Branding) -> Palette:
    """A brand that says nothing of the dark gets its own colour, lightened until it can be read there."""
    accent = look.accent_dark or (lightened(look.accent, CARD_DARK) if look.accent else ACCENT_DARK)
    return Palette(accent, ink_on(accent), accent, look.page_dark)


def ink_on(colour: str) -> str:
    """The one of white and the house's black that reads better."""
    return max((WHITE, BLACK), key=lambda ink: contrast(ink, colour))


def lightened(colour: str, behind: str) -> str:
    """The colour, mixed with as little white as makes it readable."""
    mixes = (_mixed(colour, WHITE, step / 20) for step in range(21))
    return next(mix for mix in mixes if contrast(mix, behind) >= READABLE)


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def stylesheet(look: Branding, scopes: tuple[str, str] = (":root", "")) -> str:
    """CSS that sets the variables: for light in the first scope, for dark in the second, by default where the browser
    asks for dark. Every value was checked, so nothing in it can end the rule."""
    at_light, at_dark = (
        "; ".join(f"{name}: {value}" for name, value in each(look).variables.items()) for each in (light, dark)
    )
    if scopes[1]:
        return f"{scopes[0]} {{ {at_light} }}\n{scopes[1]} {{ {at_dark} }}\n"
    return f"{scopes[0]} {{ {at_light} }}\n@media (prefers-color-scheme: dark) {{ {scopes[0]} {{ {at_dark} }} }}\n"


def _colour(name: str, text: str) -> str:
    colour = text.lower()
    if re.fullmatch(r"#[0-9a-f]{3}", colour):
        colour = "#" + "".join(2 * digit for digit in colour[1:])
    if colour and not COLOUR.fullmatch(colour):
        raise Invalid("bad_colour", f"{text[:20]!r} is not a colour such as #4338ca.", name)
    return colour


def _refuse_bad_address(name: str, address: str) -> None:
    if not address:
        return
    try:
        parts = urlsplit(address)
        fine = (parts.scheme == "https" and bool(parts.hostname)) or bool(re.match(r"/(?![/\\])", address))
    except ValueError:
        fine = False
    if not fine or len(address) > LONGEST_ADDRESS or re.search(r"[\s\\\"'<>]", address):
        raise Invalid("bad_address", "Give a whole address that begins with https://.", name)


def _refuse_unreadable(look: Branding) -> None:
    """Text on the button, and links on the card, by day and by night."""
    for palette, card, names in (
        (light(look), CARD, ("accent", "on_accent", "link")),
        (dark(look), CARD_DARK, ("accent_dark", "accent_dark", "accent_dark")),
    ):
        accent, on_accent, link = names
        about = on_accent if look.on_accent else accent
        _refuse_low(palette.on_accent, palette.accent, "The text on buttons", about)
        _refuse_low(palette.link, card, "A link", link if look.link else accent)


def _refuse_low(ink: str, behind: str, what: str, about: str) -> None:
    ratio = contrast(ink, behind)
    if ratio < READABLE:
        figure = f"{ratio:.2f}".rstrip("0").rstrip(".")
        sentence = f"{what} ({ink} on {behind}) has a contrast of {figure}:1. To be read it needs {READABLE}:1."
        raise Invalid("low_contrast", sentence, about)


def _mixed(colour: str, other: str, share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(_rgb(colour), _rgb(other), strict=True))


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
