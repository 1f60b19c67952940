"""Reads the forms of the console, and shows them again with the error beside its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from regulars.base.errors import Conflict, DomainError, Invalid, NotFound
from regulars.base.plugins.fields import SettingField

from .edits import FormContent, FormState, OutdatedForm, SavedMeanwhile, UsedForm, create_state, edit_state
from .pages import may, show

SETTING = "setting."  # prefix of the inputs of a plug-in's fields


@dataclass(frozen=True)
class FormError:
    """Why a form was refused. `field` is the input's name; empty: the form as a whole. `change`: what was saved meanwhile.

    `used`: the form's one-time number has made something else, and it gets another.
    """

    message: str
    field: str = ""
    status: int = 400
    change: SavedMeanwhile | None = None
    used: bool = False


def form_error(
    error: DomainError, inputs: Mapping[str, str] | None = None, fields: Sequence[SettingField] = ()
) -> FormError:
    """Return the error beside its input: the field it names, else the input that `inputs` names for its code.

    A plug-in's own `bad_<setting>` is about that setting. An input that is not on the form is never pointed at.
    """
    if isinstance(error, OutdatedForm):
        return FormError(error.message, status=409, change=error.change)
    status = 409 if isinstance(error, Conflict) else 404 if isinstance(error, NotFound) else 400
    keys = {field.key for field in fields}
    about = error.field or error.code.removeprefix("bad_")
    if about in keys:
        return FormError(error.message, SETTING + about, status)
    place = (inputs or {}).get(error.code, error.field)
    return FormError(error.message, place, status, used=isinstance(error, UsedForm))


def form_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, object],
    *,
    role: str,
    problem: FormError | None = None,
    part: str = "",
    edits: FormContent | None = None,
) -> HttpResponse:
    """Render a form with its error, if any, and `may_write`, whether `role` lets this member of staff save.

    `edits` is what the form shows of a stored object; without it the form creates one.
    """
    shown = {
        **context,
        "problem": problem,
        "may_write": may(request, role),
        "form_state": form_state(request, edits, problem),
    }
    return show(request, template, shown, part, problem.status if problem else 200)


def form_state(request: HttpRequest, edits: FormContent | None, problem: FormError | None = None) -> FormState:
    """Return the hidden input of a form: its version, or where it edits nothing its one-time number."""
    if edits is None:
        return create_state(request, used=bool(problem and problem.used))
    return edit_state(request, edits, problem.change if problem else None)


def settings_given(request: HttpRequest, fields: Sequence[SettingField]) -> dict[str, str]:
    """Return the submitted inputs of declared fields, key → text."""
    return {key.key: request.POST[SETTING + key.key] for key in fields if SETTING + key.key in request.POST}


def settings_shown(fields: Sequence[SettingField], kept: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return what the inputs show: what was submitted, except secrets, which are shown as they were kept."""
    return {
        field.key: kept.get(field.key, field.default)
        if field.secret
        else given.get(field.key, kept.get(field.key, field.default))
        for field in fields
    }


def whole_number(text: str, digits: int = 18) -> int | None:
    """Return a whole number of at most so many ASCII digits; None for anything else."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def row_number(request: HttpRequest, name: str) -> int:
    """Return the row id in the query from which a list continues; 0, the start, where there is none."""
    return whole_number(request.GET.get(name, "")) or 0


def decimal_number(text: str, field: str, message: str) -> float:
    """Return a number with a decimal point or comma. Raises `Invalid("bad_number")` about the field."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise Invalid("bad_number", message, field) from None
