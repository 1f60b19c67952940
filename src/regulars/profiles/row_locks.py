"""Hold the rows of customers while facts about them are read and written.

A document that was derived from facts read before the row was held would overwrite what another transaction wrote meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import IntegrityError

from regulars.base.errors import NotFound

from .models import Profile

_held: ContextVar[tuple[Mapping[int, Profile], ...]] = ContextVar("held_rows", default=())


@contextmanager
def holding(rows: Mapping[int, Profile]) -> Iterator[None]:
    """Say that the rows of these customers are locked in this transaction, or were made in it: `hold` asks for them no more."""
    token = _held.set((*_held.get(), rows))
    try:
        yield
    finally:
        _held.reset(token)


def hold(profiles: Iterable[Profile]) -> None:
    """Lock those rows that are not held, in ascending order of ids, and bring the given objects up to date.

    Raises `NotFound("customer_erased")`.
    """
    held = _held.get()
    missing = {each.pk: each for each in profiles if not any(each.pk in rows for rows in held)}
    if not missing:
        return
    rows = {each.pk: each for each in Profile.objects.select_for_update().filter(pk__in=missing).order_by("pk")}
    if rows.keys() != missing.keys():
        raise NotFound("customer_erased", "This customer was erased.")
    for number, row in rows.items():
        copy_columns(row, missing[number])


@contextmanager
def noticing_erasure(profile: Profile) -> Iterator[None]:
    """Say that the customer was erased, where the database says that a new row refers to a customer who is gone.

    For rows that are written without the lock of the customer's row, which would cost each sign-in a query. Around the
    transaction: SQLite looks at its end. Raises `NotFound("customer_erased")`.
    """
    try:
        yield
    except IntegrityError:
        if Profile.objects.filter(pk=profile.pk).exists():
            raise
        raise NotFound("customer_erased", "This customer was erased.") from None


def copy_columns(row: Profile, target: Profile) -> None:
    for field in Profile._meta.concrete_fields:
        setattr(target, field.attname, getattr(row, field.attname))
