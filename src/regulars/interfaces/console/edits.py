"""Forms of staff that undo nothing and make nothing twice.

An edit form carries the version of what it showed. When a colleague saved meanwhile, the save is refused with what differs:
saving again, with the version that is then in the form, is a decision. A form that creates carries a one-time number: the
second press lands on what the first one made.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import models, transaction
from django.http import HttpRequest, QueryDict
from django.utils.crypto import constant_time_compare, salted_hmac

from regulars.base import clock
from regulars.base.crypto import random_secret
from regulars.base.db.rows import deleted_meanwhile
from regulars.base.errors import Conflict, Invalid

from .models import AuditEntry, SentForm

VERSION, NUMBER = "version", "form_number"
NUMBER_LENGTH = 32
SECRET_INPUTS = ("secret", "value", "new_value")
LEFT_OUT = ("csrfmiddlewaretoken", VERSION, NUMBER)
Value = str | bool | list[str]
M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True)
class FormContent:
    """What an edit form shows of one object: input → text, tick (`bool`) or texts of several inputs of one name.

    An input that is no stored value, such as a tick that does something, is here as it is left alone. `secrets` count for the
    version and are never shown. `actions` of the audit log about `subject` (None: about anything) change what is shown.
    """

    subject: str | None
    actions: tuple[str, ...]
    values: Mapping[str, Value]
    secrets: object = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return _digest("version", [dict(self.values), self.secrets])

    @property
    def version(self) -> str:
        """The digest with the time of loading in milliseconds, after which a change counts as made meanwhile."""
        return f"{self.digest}.{int(clock.now().timestamp() * 1000)}"


@dataclass(frozen=True)
class Difference:
    """One input of which the stored value is another than the typed one."""

    name: str
    label: str
    stored: str
    typed: str


@dataclass(frozen=True)
class SavedMeanwhile:
    """What was saved since a form was loaded: by whom and when, if the audit log has it, and what differs now."""

    version: str
    differences: tuple[Difference, ...]
    entry: AuditEntry | None = None


class OutdatedForm(Conflict):
    """The form was loaded before a colleague saved, or carries no version."""

    def __init__(self, code: str, message: str, change: SavedMeanwhile) -> None:
        super().__init__(code, message)
        self.change = change


class UsedForm(Conflict):
    """The number of this form has made something else already."""


class SecondPress(Exception):
    """The same form was sent again. `address` is the page of what it made."""

    def __init__(self, address: str, secret: bool) -> None:
        super().__init__(address)
        self.address, self.secret = address, secret


@dataclass(frozen=True)
class FormState:
    """The hidden input of a form."""

    name: str
    value: str


def edit_state(request: HttpRequest, shown: FormContent, change: SavedMeanwhile | None = None) -> FormState:
    """Return the version that the form carries: after a refused save the new one, else the one that it was loaded with."""
    if change is not None:
        return FormState(VERSION, change.version)
    return FormState(VERSION, request.POST.get(VERSION, shown.version))


def create_state(request: HttpRequest, *, used: bool = False) -> FormState:
    """Return the number that the form carries: another one where its own has made something."""
    sent = request.POST.get(NUMBER, "")
    return FormState(NUMBER, sent if len(sent) == NUMBER_LENGTH and not used else random_secret(NUMBER_LENGTH))


@contextmanager
def editing(
    request: HttpRequest, row: M, shown: Callable[[M], FormContent], typed: Mapping[str, Value] | None = None
) -> Iterator[M]:
    """Open a transaction and yield the row as it is now, locked. What is saved of it belongs inside, with its audit entry.

    Raises `OutdatedForm` as `refuse_outdated`, and `NotFound("deleted_meanwhile")`.
    """
    with transaction.atomic():
        # No key lock: rows that refer to this one are still written, by customers who sign in.
        locked = type(row)._default_manager.select_for_update(no_key=True).filter(pk=row.pk).first()
        if locked is None:
            raise deleted_meanwhile()
        refuse_outdated(request, shown(locked), typed)
        yield locked


def refuse_outdated(request: HttpRequest, shown: FormContent, typed: Mapping[str, Value] | None = None) -> None:
    """Compare the form's version with what is stored now; the caller holds a lock on it. `typed` is read from the POST if not given.

    What was typed may equal what is stored, as after a second press: that is no conflict. Raises
    `OutdatedForm("changed_meanwhile" | "version_missing")`.
    """
    digest, _, loaded = request.POST.get(VERSION, "").partition(".")
    if constant_time_compare(digest, shown.digest):
        return
    differences = tuple(_differences(shown, request.POST if typed is None else typed))
    if not digest:
        change = SavedMeanwhile(shown.version, differences)
        sentence = "This form does not say which version it was loaded from. Compare, and save again."
        raise OutdatedForm("version_missing", sentence, change)
    if not differences:
        return
    entry = _last_change(shown, loaded)
    raise OutdatedForm("changed_meanwhile", _sentence(entry), SavedMeanwhile(shown.version, differences, entry))


def lock_form(name: str) -> None:
    """Keep this form's other saves waiting until the transaction ends: what it shows may not be a row yet."""
    SentForm.objects.select_for_update().get_or_create(number=f"lock:{name}")


@contextmanager
def creating(request: HttpRequest) -> Iterator[SentForm]:
    """Open a transaction in which this form makes one thing; the caller sets the `address` of what it made.

    Raises `SecondPress` for the same form again, `UsedForm("form_used")` for one that was changed after it had made something,
    and `Invalid("form_number_missing")`.
    """
    number = request.POST.get(NUMBER, "")
    if len(number) != NUMBER_LENGTH:
        raise Invalid("form_number_missing", "This form was not loaded from here. Check it, and save again.")
    content = _digest(
        "content", [request.get_full_path(), *sorted((k, v) for k, v in request.POST.lists() if k not in LEFT_OUT)]
    )
    with transaction.atomic():
        sent, is_new = SentForm.objects.get_or_create(number=number, defaults={"content": content})
        if not is_new and sent.content == content:
            raise SecondPress(sent.address, sent.secret)
        if not is_new:
            raise UsedForm("form_used", "This form has made something already. Save again to make another.")
        yield sent
        sent.save(update_fields=["address", "secret"])


def typed_in(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what was typed in an edit form, input by input, to be copied: what it edits was deleted. Never a secret."""
    if request.method != "POST" or VERSION not in request.POST:
        return []
    found = ((name, "\n".join(texts).strip()) for name, texts in request.POST.lists())
    return [(_label(name), text) for name, text in found if text and name not in LEFT_OUT and not _may_be_secret(name)]


def _may_be_secret(name: str) -> bool:
    """Return whether an input may hold a secret: which settings of a plug-in do, only the deleted object knew."""
    return name in SECRET_INPUTS or name.startswith("setting.")


def _label(name: str) -> str:
    return name.removeprefix("setting.").replace("_", " ").replace(".", " ").capitalize()


def _digest(about: str, content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return salted_hmac(f"regulars.console.{about}", text, algorithm="sha256").hexdigest()


def _differences(shown: FormContent, typed: QueryDict | Mapping[str, Value]) -> Iterator[Difference]:
    for name, stored in shown.values.items():
        given = _given(typed, name, stored)
        if given is not None and _plain(given) != _plain(stored):
            label = shown.labels.get(name) or _label(name)
            yield Difference(name, label, _words(stored), _words(given))


def _given(typed: QueryDict | Mapping[str, Value], name: str, stored: Value) -> Value | None:
    """Return what was typed in an input; None where the form has no such input."""
    if not isinstance(typed, QueryDict):
        return typed.get(name)
    if isinstance(stored, bool):
        return name in typed
    if isinstance(stored, list):
        return typed.getlist(name)
    return typed.get(name)


def _plain(value: Value) -> Value:
    if isinstance(value, list):
        return sorted(value)
    return value if isinstance(value, bool) else value.replace("\r\n", "\n").strip()


def _words(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(value) if isinstance(value, list) else value


def _last_change(shown: FormContent, loaded: str) -> AuditEntry | None:
    """Return the newest entry about the object since the form was loaded; None: it was changed elsewhere."""
    if not (loaded.isascii() and loaded.isdigit() and len(loaded) < 15):
        return None
    since = dt.datetime.fromtimestamp(int(loaded) / 1000, dt.UTC)
    entries = AuditEntry.objects.filter(what__in=shown.actions, at__gte=since)
    if shown.subject is not None:
        entries = entries.filter(subject=shown.subject[:255])
    return entries.select_related("account").order_by("-at", "-id").first()


def _sentence(entry: AuditEntry | None) -> str:
    by, at = "the API or a command", ""
    if entry is not None:
        by, at = (
            str(entry.account) if entry.account else "a member of staff who is gone",
            f" at {entry.at:%H:%M:%S} UTC on {entry.at:%d %B %Y}",
        )
    return (
        f"This was changed by {by}{at}, after you opened it. What you typed is still in the form: compare it with what is"
        " stored now. Saving again replaces that."
    )
