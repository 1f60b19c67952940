"""The settings that a plug-in declares: the core draws the form, checks the input, encrypts and hides secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from regulars.base.errors import Invalid
from regulars.base.text import has_hidden, storable

HIDDEN = "••••••••"
LONGEST_FAULT = 300  # characters of a sentence about a fault
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?(/\S*)?|\[[0-9a-fA-F:.]+\](:\d+)?|localhost(:\d+)?")


@dataclass(frozen=True)
class SettingField:
    """One setting, always text. A `secret` is never shown again after it was saved."""

    key: str
    label: str
    help: str = ""
    default: str = ""
    secret: bool = False
    required: bool = True


class ConfigurablePlugin:
    """The common part of plug-ins with settings: how a form names them, what they ask for, the attributes they need."""

    title: str = ""
    help: str = ""
    fields: tuple[SettingField, ...] = ()
    needs: tuple[str, ...] = ()

    def check(self, settings: Mapping[str, str]) -> None:
        """Raise `DomainError` when these settings (complete, all text) cannot work. Makes no call."""

    def place(self, settings: Mapping[str, str]) -> str:
        """Return the host that data is sent to, as customers read it; empty when it stays on this machine.

        It is the host of the first setting that is a web address.
        """
        return next(filter(None, (host_of(settings.get(field.key, "")) for field in self.fields)), "")


def fill_settings(
    fields: Sequence[SettingField], given: Mapping[str, str], stored: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return every declared setting: the one given, else the stored one (also for a secret left empty), else the default.

    A stored secret stays with the addresses that it was entered for, because it would otherwise go to any new one.
    Raises `Invalid("unknown_setting" | "setting_missing" | "secret_required")`.
    """
    unknown = sorted(given.keys() - {field.key for field in fields})
    if unknown:
        raise Invalid("unknown_setting", f"There is no setting called {unknown[0]!r}.")
    stored, values = stored or {}, dict[str, str]()
    for field in fields:
        value = given.get(field.key, "").strip()
        if field.secret and value in ("", HIDDEN):
            value = stored.get(field.key, "") or field.default
        elif field.key not in given:
            value = stored.get(field.key, field.default)
        values[field.key] = value
    for field in fields:
        if field.required and not values[field.key]:
            raise Invalid("setting_missing", f"{field.label} is missing.", field.key)
    kept = [field for field in fields if field.secret and stored.get(field.key) == values[field.key] != field.default]
    kept = [field for field in kept if given.get(field.key, "").strip() in ("", HIDDEN)]
    for field in fields if kept else ():
        before, after = stored.get(field.key, field.default), values[field.key]
        if not field.secret and before != after and any(map(_is_address, (before, after))):
            message = f"{field.label} changes where {kept[0].label} is sent. Enter {kept[0].label} again."
            raise Invalid("secret_required", message, kept[0].key)
    return values


def _is_address(text: str) -> bool:
    """Return whether a setting may decide which server is called: a web address or the name of a host."""
    return "://" in text or bool(_HOST.fullmatch(text.strip()))


def masked_settings(fields: Sequence[SettingField], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings as people and programs may read them: secrets that are set become dots."""
    values = {field.key: settings.get(field.key, "") for field in fields}
    return {field.key: HIDDEN if field.secret and values[field.key] else values[field.key] for field in fields}


def redacted(text: str, fields: Sequence[SettingField], settings: Mapping[str, str]) -> str:
    """Return a sentence about a fault as it is stored and shown: without any secret of these settings, in one short line.

    A plug-in may repeat what a third party answered.
    """
    secrets = [settings.get(field.key, "") for field in fields if field.secret]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    line = " ".join(
        "".join(" " if has_hidden(each) else each for each in str(storable(text))[: 4 * LONGEST_FAULT]).split()
    )
    return line if len(line) <= LONGEST_FAULT else f"{line[: LONGEST_FAULT - 1]}…"


def host_of(address: str) -> str:
    """Return the host of a web address, in small letters; empty for any other text."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "" if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def check_web_address(address: str, label: str = "The address") -> None:
    """`Invalid("bad_url")` for anything but an absolute http or https address without control characters."""
    try:
        parts = urlsplit(address)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname
    except ValueError:
        wrong = True
    if wrong or any(ord(character) < 32 for character in address):
        raise Invalid("bad_url", f"{label} is not a web address.")
