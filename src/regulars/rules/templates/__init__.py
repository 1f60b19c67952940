"""Rules ready to switch on: one TOML file each, whose examples are its tests."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from regulars.base.kit.errors import Refused

from ..models import Rule
from ..save import save_rule

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Field:
    """One setting to fill in. A rule reads it as `configuration.<key>`. `default` "" and `required`: must be given."""

    key: str
    label: str
    help: str = ""
    default: str = ""
    required: bool = True
    secret: bool = False


@dataclass(frozen=True)
class Example:
    """What the rule does to whom. `expect` names what comes of it, out of: id_token, access_token, denied, user_metadata,
    app_metadata, enrichments; what it does not name must be empty. Settings not given are the defaults."""

    name: str
    user: dict[str, Any]
    context: dict[str, Any]
    expect: dict[str, Any]
    settings: dict[str, str]


@dataclass(frozen=True)
class Template:
    """A rule that somebody else wrote and tested. `key` is its file's name."""

    key: str
    title: str
    why: str
    category: str
    script: str
    deny_on_failure: bool
    settings: tuple[Field, ...]
    examples: tuple[Example, ...]

    def filled(self, given: dict[str, str]) -> dict[str, str]:
        """The settings of a rule: what was given, else the default. Raises `Refused("unknown_setting" | "setting_missing")`."""
        unknown = sorted(given.keys() - {field.key for field in self.settings})
        if unknown:
            raise Refused("unknown_setting", f"{self.title} has no setting called {unknown[0]}.")
        filled = {field.key: given.get(field.key) or field.default for field in self.settings}
        for field in self.settings:
            if field.required and not filled[field.key]:
                raise Refused("setting_missing", f"{self.title} needs {field.label}.")
        return filled


def all_templates() -> list[Template]:
    """Every template, by category and title."""
    return sorted(_templates().values(), key=lambda template: (template.category, template.title))


def get_template(key: str) -> Template:
    """Raises `Refused("unknown_template")`."""
    if key not in _templates():
        raise Refused("unknown_template", f"There is no rule template called {key!r}.")
    return _templates()[key]


def switch_on(key: str, settings: dict[str, str] | None = None) -> Rule:
    """The template as an enabled rule (slug: the key), last in order; switched on again, it gets the new settings.

    Raises `Refused("unknown_template" | "unknown_setting" | "setting_missing")`.
    """
    template = get_template(key)
    return save_rule(
        template.title,
        slug=key,
        script=template.script,
        template=key,
        deny_on_failure=template.deny_on_failure,
        settings=template.filled(settings or {}),
    )


@cache
def _templates() -> dict[str, Template]:
    return {path.stem: _read(path) for path in sorted(_FOLDER.glob("*.toml"))}


def _read(path: Path) -> Template:
    data = tomllib.loads(path.read_text())
    return Template(
        key=path.stem,
        title=data["title"],
        why=data["why"],
        category=data["category"],
        script=data["script"].strip(),
        deny_on_failure=data.get("deny_on_failure", False),
        settings=tuple(Field(**field) for field in data.get("settings", [])),
        examples=tuple(
            Example(
                example["name"],
                example["user"],
                example.get("context", {}),
                example.get("expect", {}),
                example.get("settings", {}),
            )
            for example in data["examples"]
        ),
    )
