"""Branding of one app on the hosted pages: its colours, its logo and its texts.

Colours with too little contrast are refused with the figure. Values that are not set are the defaults of Regulars.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields
from urllib.parse import urlsplit

from regulars.base.errors import DomainError, Invalid

from .models import Client

# The client id of the app on whose behalf this request is answered; empty: none. Mails bear its name and colours.
current_app: ContextVar[str] = ContextVar("current_app", default="")
READABLE = 4.5  # WCAG 2.2, 1.4.3
# The defaults of Regulars, as in pages.css.
CARD, CARD_DARK = "#ffffff", "#131c31"
ACCENT, ACCENT_DARK = "#4338ca", "#a5b4fc"
WHITE, BLACK = "#ffffff", "#0f172a"
COLOUR = re.compile(r"#[0-9a-f]{6}")
LONGEST_ADDRESS = 2000
LONGEST = {"title": 60, "greeting": 200}
ADDRESSES = ("logo", "favicon", "terms", "privacy")


@dataclass(frozen=True)
class Branding:
    """Colours as `#rrggbb`, addresses as `https://…` or a path of this installation. Empty: not set.

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
    """Return the stored branding; the defaults for an app without one, or with one that today's checks refuse."""
    try:
        return checked(client.branding)
    except DomainError:
        return Branding()


def save_branding(client: Client, given: Mapping[str, str]) -> Branding:
    """Store the branding. Raises as `checked`."""
    branding = checked(given)
    client.branding = asdict(branding)
    client.save(update_fields=["branding"])
    return branding


def checked(given: Mapping[str, str]) -> Branding:
    """Return the branding. Raises `Invalid` with its field: `bad_colour`, `low_contrast`, `bad_address`, `too_long`."""
    values = {field.name: str(given.get(field.name, "")).strip() for field in fields(Branding)}
    for name in COLOURS:
        colour = values[name].lower()
        if re.fullmatch(r"#[0-9a-f]{3}", colour):
            colour = "#" + "".join(2 * digit for digit in colour[1:])
        if colour and not COLOUR.fullmatch(colour):
            raise Invalid("bad_colour", f"{values[name][:20]!r} is not a colour such as #4338ca.", name)
        values[name] = colour
    for name in ADDRESSES:
        _refuse_bad_address(name, values[name])
    for name, most in LONGEST.items():
        if len(values[name]) > most:
            raise Invalid("too_long", f"Write at most {most} characters.", name)
    branding = Branding(**values)
    _refuse_unreadable(branding)
    return branding


@dataclass(frozen=True)
class Palette:
    """The values of the stylesheet's variables, for light or for dark."""

    accent: str
    on_accent: str
    link: str
    page: str = ""

    @property
    def variables(self) -> dict[str, str]:
        set_here = {"accent": self.accent, "on-accent": self.on_accent, "link": self.link, "page": self.page}
        return {f"--{name}": value for name, value in set_here.items() if value}


def light(branding: Branding) -> Palette:
    accent = branding.accent or ACCENT
    return Palette(accent, branding.on_accent or ink_on(accent), branding.link or accent, branding.page)


def dark(branding: Branding) -> Palette:
    """Return the dark palette. Without a dark accent, the accent is lightened until it is readable."""
    accent = branding.accent_dark or (lightened(branding.accent, CARD_DARK) if branding.accent else ACCENT_DARK)
    return Palette(accent, ink_on(accent), accent, branding.page_dark)


def ink_on(colour: str) -> str:
    """Return white or black, whichever has more contrast to the colour."""
    return max((WHITE, BLACK), key=lambda ink: contrast(ink, colour))


def lightened(colour: str, behind: str) -> str:
    """Return the colour, mixed with as little white as makes it readable."""
    parts = list(zip(_rgb(colour), _rgb(WHITE), strict=True))
    mixes = (
        "#" + "".join(f"{round(part + (white - part) * (step / 20)):02x}" for part, white in parts)
        for step in range(21)
    )
    return next(mix for mix in mixes if contrast(mix, behind) >= READABLE)


def contrast(one: str, other: str) -> float:
    """Return WCAG's contrast ratio of two colours, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def stylesheet(branding: Branding, scopes: tuple[str, str] = (":root", "")) -> str:
    """Return CSS that sets the variables, for light in the first scope and for dark in the second.

    Without a second scope, dark applies where the browser prefers it. Every value was checked, so none can end the rule.
    """
    at_light, at_dark = (
        "; ".join(f"{name}: {value}" for name, value in each(branding).variables.items()) for each in (light, dark)
    )
    if scopes[1]:
        return f"{scopes[0]} {{ {at_light} }}\n{scopes[1]} {{ {at_dark} }}\n"
    return f"{scopes[0]} {{ {at_light} }}\n@media (prefers-color-scheme: dark) {{ {scopes[0]} {{ {at_dark} }} }}\n"


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


def _refuse_unreadable(branding: Branding) -> None:
    """Refuse too little contrast of text on buttons and of links on the card, for light and dark."""
    for palette, card, names in (
        (light(branding), CARD, ("accent", "on_accent", "link")),
        (dark(branding), CARD_DARK, ("accent_dark", "accent_dark", "accent_dark")),
    ):
        accent, on_accent, link = names
        about = on_accent if branding.on_accent else accent
        _refuse_low(palette.on_accent, palette.accent, "The text on buttons", about)
        _refuse_low(palette.link, card, "A link", link if branding.link else accent)


def _refuse_low(ink: str, behind: str, what: str, about: str) -> None:
    ratio = contrast(ink, behind)
    if ratio < READABLE:
        figure = f"{ratio:.2f}".rstrip("0").rstrip(".")
        sentence = f"{what} ({ink} on {behind}) has a contrast of {figure}:1. To be read it needs {READABLE}:1."
        raise Invalid("low_contrast", sentence, about)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _luminance(colour: str) -> float:
    parts = (part / 255 for part in _rgb(colour))
    red, green, blue = (part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4) for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
