"""Rules ready to switch on: one TOML file each, whose examples are its tests."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import Field, filled

from ..models import Rule
from ..save import save_rule

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Example:
    """What the rule does to whom. `expect` names what comes of it, out of: id_token, access_token, scopes, redirect, denied,
    user_metadata, app_metadata, enrichments; what it does not name must be empty. Settings not given are the defaults.

    `http` is what the rule asks outside, in any order, and what it hears: `{method = "GET", url = "…", headers = {…},
    sends = ["part of the body"], status = 200, answer = {…} or text = "…"}`; it asks exactly that and nothing else."""

    name: str
    user: dict[str, Any]
    context: dict[str, Any]
    expect: dict[str, Any]
    settings: dict[str, str]
    http: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Template:
    """A rule that somebody else wrote and tested. `key` is its file's name; it reads a setting as `configuration.<key>`."""

    key: str
    title: str
    why: str
    category: str
    script: str
    deny_on_failure: bool
    settings: tuple[Field, ...]
    examples: tuple[Example, ...]


def all_templates() -> list[Template]:
    """Every template, by category and title."""
    return sorted(_templates().values(), key=lambda template: (template.category, template.title))


def get_template(key: str) -> Template:
    """Raises `Invalid("unknown_template")`."""
    if key not in _templates():
        raise Invalid("unknown_template", f"There is no rule template called {key!r}.")
    return _templates()[key]


def switch_on(key: str, settings: dict[str, str] | None = None) -> Rule:
    """The template as an enabled rule (slug: the key), last in order. Switched on again, it keeps what is not given.

    Raises `Invalid("unknown_template" | "unknown_setting" | "setting_missing")`.
    """
    template = get_template(key)
    before = Rule.objects.filter(slug=key).first()
    return save_rule(
        template.title,
        slug=key,
        script=template.script,
        template=key,
        deny_on_failure=template.deny_on_failure,
        settings=filled(template.settings, settings or {}, before.settings if before else None),
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
                tuple(example.get("http", [])),
            )
            for example in data["examples"]
        ),
    )
