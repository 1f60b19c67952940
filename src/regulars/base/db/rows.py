"""Insert a row that must be new, and update one that must exist: `Model.save()` does either, as it happens."""

from __future__ import annotations

from django.db import DatabaseError, IntegrityError, models, transaction

from regulars.base.errors import DomainError, NotFound


def insert_row(row: models.Model, taken: DomainError) -> None:
    """Insert a row. Raises `taken` where a unique value of it exists already, also one that was saved a moment ago."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise taken from None


def update_row(row: models.Model) -> None:
    """Update a row. Raises `NotFound("deleted_meanwhile")` where it was deleted since it was read: an edit never creates."""
    try:
        with transaction.atomic():
            row.save(force_update=True)
    except DatabaseError:
        if type(row)._default_manager.filter(pk=row.pk).exists():
            raise
        raise deleted_meanwhile() from None


def deleted_meanwhile() -> NotFound:
    return NotFound("deleted_meanwhile", "This was deleted meanwhile, and is not made again.")
