"""Rule templates: one TOML file each, whose examples are its tests."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import SettingField, fill_settings
from regulars.base.text import JsonObject

from ..declaration import DeclaredRecipient, read_recipients, read_sends
from ..geoip import has_places
from ..models import Rule
from ..save import save_rule

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Example:
    """One example of a template. `expect` is the expected effect, out of: id_token, withheld, access_token, scopes, redirect,
    second_factor, denied, user_metadata, app_metadata, enrichments; everything else must be empty. Missing settings have their defaults.

    `http` are the HTTP requests of the rule, in any order, with their answers: `{method = "GET", url = "…", headers = {…},
    sends = ["part of the body"], status = 200, answer = {…} or text = "…"}`; the rule must send exactly these."""

    name: str
    user: JsonObject
    context: JsonObject
    expect: JsonObject
    settings: dict[str, str]
    http: tuple[JsonObject, ...] = ()


@dataclass(frozen=True)
class Template:
    """A tested rule template. `key` is its file name; it reads settings as `configuration.<key>`.

    `purpose`, `recipients` and `sends` are its declaration (`rules.declaration`).
    `needs_geoip`: it does nothing useful without a database of the places of internet addresses (`rules.geoip`).
    """

    key: str
    title: str
    why: str
    category: str
    script: str
    deny_on_failure: bool
    settings: tuple[SettingField, ...]
    examples: tuple[Example, ...]
    purpose: str
    recipients: tuple[DeclaredRecipient, ...]
    sends: tuple[str, ...]
    needs_geoip: bool = False

    def check_needs(self) -> None:
        """Raises `Invalid("no_geoip_database")`."""
        if self.needs_geoip and not has_places():
            raise Invalid(
                "no_geoip_database",
                "This rule needs the countries of internet addresses, and there is no database of them yet."
                " `regulars rules geoip install` fetches one; REGULARS_GEOIP_FILE names a file of your own.",
            )


def all_templates() -> list[Template]:
    """Return every template by category and title."""
    return sorted(_templates().values(), key=lambda template: (template.category, template.title))


def get_template(key: str) -> Template:
    """Return a template. Raises `Invalid("unknown_template")`."""
    if key not in _templates():
        raise Invalid("unknown_template", f"There is no rule template called {key!r}.")
    return _templates()[key]


def enable_template(key: str, settings: dict[str, str] | None = None) -> Rule:
    """Create the template's rule (slug: the key), enabled and last in order.

    Raises `Conflict("name_taken")` where it exists, and
    `Invalid("unknown_template" | "unknown_setting" | "setting_missing" | "no_geoip_database")`.
    """
    template = get_template(key)
    template.check_needs()
    return save_rule(
        template.title,
        slug=key,
        script=template.script,
        template=key,
        deny_on_failure=template.deny_on_failure,
        settings=fill_settings(template.settings, settings or {}),
        purpose=template.purpose,
        recipients=[each.as_json() for each in template.recipients],
        sends=template.sends,
        new=True,
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
        needs_geoip=data.get("needs_geoip", False),
        settings=tuple(SettingField(**field) for field in data.get("settings", [])),
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
        purpose=data["purpose"],
        recipients=read_recipients(data.get("recipients", [])),
        sends=read_sends(data.get("sends", [])),
    )
