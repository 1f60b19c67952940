"""Inputs with their label, help and error. Settings that a plug-in declares are drawn only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import template

from regulars.base.plugins.fields import HIDDEN, SettingField

from ..forms import SETTING, FormError

register = template.Library()


@register.inclusion_tag("console/parts/input.html")
def text_input(name: str, label: str, value: Any = "", problem: FormError | None = None, **more: Any) -> dict[str, Any]:
    """Draw one input.

    `more`: help, kind (text url number password area code), required, optional (shown as such), rows, most (characters),
    counted (shows how many are used).
    """
    return _input(name, label, value, problem, **more)


@register.inclusion_tag("console/parts/select.html")
def select_input(
    name: str, label: str, value: str, options: Sequence[tuple[str, str]], problem: FormError | None = None, **more: Any
) -> dict[str, Any]:
    """Draw a select; options are `(value, label)`."""
    return {**_input(name, label, value, problem, **more), "options": options}


@register.inclusion_tag("console/parts/check.html")
def check_input(name: str, label: str, checked: bool, help: str = "", value: str = "on") -> dict[str, Any]:  # noqa: A002
    return {
        "name": name,
        "label": label,
        "checked": checked,
        "help": help,
        "value": value,
        "id": _id(f"{name}-{value}"),
    }


@register.inclusion_tag("console/parts/settings.html")
def settings_inputs(
    fields: Sequence[SettingField], values: Mapping[str, str], problem: FormError | None = None, prefix: str = ""
) -> dict[str, Any]:
    """Draw the form of declared fields. `values` are as `base.plugins.fields.masked_settings` gives them: a secret is dots, never itself.

    `prefix` keeps ids apart where a page has several such forms.
    """
    return {"inputs": [_setting(field, values, problem, prefix) for field in fields]}


@register.inclusion_tag("console/parts/input.html")
def block_input(
    kind: str, number: int, name: str, label: str, block: Mapping[str, str], problem: FormError | None = None
) -> dict[str, Any]:
    """Draw one input of a numbered block: `translation.0.text`."""
    return _input(f"{kind}.{number}.{name}", label, block[name], problem, kind="area" if name == "options" else "text")


@register.inclusion_tag("console/parts/problem.html")
def problem_summary(problem: FormError | None) -> dict[str, Any]:
    """Draw the error at the top of a form, with a link to its input."""
    return {"problem": problem, "id": _id(problem.field) if problem else ""}


def _setting(field: SettingField, values: Mapping[str, str], problem: FormError | None, prefix: str) -> dict[str, Any]:
    value = values.get(field.key, field.default)
    kept = field.secret and bool(value)
    help_text = f"{field.help} Kept: leave empty to keep it.".strip() if kept else field.help
    drawn = _input(
        SETTING + field.key,
        field.label,
        "" if field.secret else value,
        problem,
        help=help_text,
        kind="password" if field.secret else "text",
        required=field.required and not kept,
        prefix=prefix,
    )
    return {**drawn, "placeholder": HIDDEN if kept else ""}


def _input(
    name: str, label: str, value: Any, problem: FormError | None, prefix: str = "", **more: Any
) -> dict[str, Any]:
    wrong = problem.message if problem and problem.field == name else ""
    identity = _id(prefix + name)
    described = [f"{identity}-{part}" for part, there in (("help", more.get("help")), ("problem", wrong)) if there]
    return {
        "kind": "text",
        "rows": 4,
        **more,
        "name": name,
        "label": label,
        "value": value,
        "wrong": wrong,
        "id": identity,
        "described": " ".join(described),
    }


def _id(name: str) -> str:
    return "in-" + "".join(character if character.isalnum() else "-" for character in name)
