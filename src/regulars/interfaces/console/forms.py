"""What every form of the console shares: reading it, saying beside which field it is wrong, and going on after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import Field

from . import audit

SETTING = "setting."


@dataclass(frozen=True)
class FormError:
    """Why a form was not taken. `field` is the input's name; empty: the form as a whole."""

    message: str
    field: str = ""


def problem_of(
    refused: DomainError, inputs: Mapping[str, str] | None = None, fields: Sequence[Field] = ()
) -> FormError:
    """The refusal beside its input: what it says it is about, else the input that `inputs` names for its name.

    A plug-in's own `bad_<setting>` is about that setting. An input that is not on the form is never pointed at.
    """
    keys = {field.key for field in fields}
    about = refused.field or refused.code.removeprefix("bad_")
    if about in keys:
        return FormError(refused.message, SETTING + about)
    return FormError(refused.message, (inputs or {}).get(refused.code, refused.field))


def settings_given(request: HttpRequest, fields: Sequence[Field]) -> dict[str, str]:
    """What was written into the inputs of declared fields, key → text."""
    return {key.key: request.POST[SETTING + key.key] for key in fields if SETTING + key.key in request.POST}


def settings_drawn(fields: Sequence[Field], shown: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What the inputs show: what was written, but never a secret, which is shown as it was kept."""
    return {
        field.key: shown.get(field.key, field.default)
        if field.secret
        else given.get(field.key, shown.get(field.key, field.default))
        for field in fields
    }


def lines(text: str) -> list[str]:
    """The lines of a text that say something, each once."""
    return list(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))


def done(request: HttpRequest, address: str, what: str, subject: str, sentence: str, **details: Any) -> HttpResponse:
    """Write the act down, say that it worked, and go on: reloading the next page repeats nothing."""
    audit.note(request, what, subject, **details)
    messages.success(request, sentence)
    return HttpResponseRedirect(address)
