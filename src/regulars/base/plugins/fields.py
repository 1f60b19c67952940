"""The settings a plug-in declares: the house draws the form, checks what was given, encrypts and hides secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regulars.base.errors import Invalid

HIDDEN = "••••••••"


@dataclass(frozen=True)
class Field:
    """One setting, always text. A `secret` is never shown again after it was saved."""

    key: str
    label: str
    help: str = ""
    default: str = ""
    secret: bool = False
    required: bool = True


def filled(fields: Sequence[Field], given: Mapping[str, str], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every declared setting: what was given, else (a secret left alone) what was kept, else the default.

    Raises `Invalid("unknown_setting" | "setting_missing")`.
    """
    unknown = sorted(given.keys() - {field.key for field in fields})
    if unknown:
        raise Invalid("unknown_setting", f"There is no setting called {unknown[0]!r}.")
    values = {field.key: _value(field, given, kept or {}) for field in fields}
    for field in fields:
        if field.required and not values[field.key]:
            raise Invalid("setting_missing", f"{field.label} is missing.", field.key)
    return values


def shown(fields: Sequence[Field], settings: Mapping[str, str]) -> dict[str, str]:
    """The settings as people and machines may read them: secrets that are set are dots."""
    values = {field.key: settings.get(field.key, "") for field in fields}
    return {field.key: HIDDEN if field.secret and values[field.key] else values[field.key] for field in fields}


def redacted(text: str, fields: Sequence[Field], settings: Mapping[str, str]) -> str:
    """The text without any secret of these settings, whoever repeated it."""
    secrets = [settings.get(field.key, "") for field in fields if field.secret]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _value(field: Field, given: Mapping[str, str], kept: Mapping[str, str]) -> str:
    value = given.get(field.key, "").strip()
    if field.secret and value in ("", HIDDEN):
        return kept.get(field.key, "") or field.default
    return value if field.key in given else kept.get(field.key, field.default)
