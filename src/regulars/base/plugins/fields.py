"""Settings that a plug-in declares: the core draws the form, validates, encrypts and hides secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regulars.base.errors import Invalid

HIDDEN = "••••••••"


@dataclass(frozen=True)
class SettingField:
    """One setting, always text. A `secret` is never shown again after it was saved."""

    key: str
    label: str
    help: str = ""
    default: str = ""
    secret: bool = False
    required: bool = True


def fill_settings(
    fields: Sequence[SettingField], given: Mapping[str, str], stored: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return every declared setting: the given value, else the stored one (also for a hidden secret), else the default.

    Raises `Invalid("unknown_setting" | "setting_missing")`.
    """
    unknown = sorted(given.keys() - {field.key for field in fields})
    if unknown:
        raise Invalid("unknown_setting", f"There is no setting called {unknown[0]!r}.")
    values = {field.key: _value(field, given, stored or {}) for field in fields}
    for field in fields:
        if field.required and not values[field.key]:
            raise Invalid("setting_missing", f"{field.label} is missing.", field.key)
    return values


def masked_settings(fields: Sequence[SettingField], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings with dots in place of secrets."""
    values = {field.key: settings.get(field.key, "") for field in fields}
    return {field.key: HIDDEN if field.secret and values[field.key] else values[field.key] for field in fields}


def redacted(text: str, fields: Sequence[SettingField], settings: Mapping[str, str]) -> str:
    """Return the text with every secret of these settings replaced by dots."""
    secrets = [settings.get(field.key, "") for field in fields if field.secret]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _value(field: SettingField, given: Mapping[str, str], stored: Mapping[str, str]) -> str:
    value = given.get(field.key, "").strip()
    if field.secret and value in ("", HIDDEN):
        return stored.get(field.key, "") or field.default
    return value if field.key in given else stored.get(field.key, field.default)
