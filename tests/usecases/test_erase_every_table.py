"""A marked person in every table that can hold a name is gone from each of them after the erasure."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.utils import timezone
from tests.usecases.test_erase import EMAIL, MARK, home, marked, rows_that_name

from regulars.accounts.models import Account
from regulars.base.db.encrypted import EncryptedJSONField
from regulars.profiles.models import Profile
from regulars.usecases.erase import erase_customer
from regulars.usecases.personal_data import WRITTEN_BY_STAFF, Way, ways

__all__ = ["home", "marked"]  # fixtures

PAGE = Path(__file__).parents[2] / "docs/operator/purposes-and-consents.md"
numbers = iter(range(1, 100_000))


def holds_names(field: models.Field) -> bool:
    if isinstance(field, EncryptedJSONField):
        return False
    if not isinstance(field, models.CharField | models.TextField | models.JSONField) or field.choices:
        return False
    return not (field.primary_key or field.unique) and (field.max_length or 255) >= len(EMAIL)


def row_of(model: type[models.Model], profile: Profile, *, marked: bool, owned: bool) -> models.Model:
    """Make a row of any table: with the address in every text of it, and of the customer where it can be."""
    values = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey):
            if field.null and not owned:
                values[field.attname] = None
            elif field.related_model in (Profile, Account):
                values[field.name] = profile if field.related_model is Profile else profile.account
            elif not field.null:
                found = field.related_model._default_manager.first()
                values[field.name] = found or row_of(field.related_model, profile, marked=False, owned=owned)
        elif isinstance(field, models.AutoField | models.BigAutoField):
            continue
        elif field.attname == "profile_id":  # of events, which no relation connects
            values[field.attname] = profile.pk
        elif marked and holds_names(field):
            is_json = isinstance(field, models.JSONField)
            values[field.name] = {"email": EMAIL} if is_json else EMAIL
        elif (not field.has_default() and not (field.null or field.blank)) or (
            field.unique and isinstance(field, models.CharField)
        ):
            values[field.name] = filler(field)
    return model._default_manager.create(**values)


def filler(field: models.Field) -> object:
    if field.choices:
        return field.choices[0][0]
    match field:
        case EncryptedJSONField():
            return {}
        case models.DateTimeField():
            return timezone.now()
        case models.DateField():
            return timezone.now().date() - dt.timedelta(days=next(numbers))
        case models.UUIDField():
            return uuid.uuid4()
        case models.BooleanField():
            return False
        case models.DecimalField():
            return Decimal(0)
        case models.IntegerField() | models.FloatField():
            return next(numbers)
        case models.JSONField():
            return {}
        case models.GenericIPAddressField():
            return "203.0.113.7"
        case _:
            return f"row-{next(numbers)}"[: field.max_length or 255]


def tables() -> list[type[models.Model]]:
    every = (model for model in apps.get_models() if not model._meta.proxy and model not in (Profile, Account))
    with_texts = [model for model in every if any(holds_names(field) for field in model._meta.concrete_fields)]
    return sorted(
        (each for each in with_texts if each._meta.label not in WRITTEN_BY_STAFF), key=lambda m: m._meta.label
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", [model._meta.label for model in tables()])
def test_a_marked_person_leaves_the_table(home, marked, table):
    model = apps.get_model(table)
    before = rows_that_name(MARK).get(table, 0)
    if table == "consent.PermittedView":  # one per purpose
        model._default_manager.all().delete()
    row_of(model, marked, marked=True, owned=True)
    nullable = any(
        isinstance(field, models.ForeignKey) and field.null and field.related_model in (Profile, Account)
        for field in model._meta.concrete_fields
    )
    # Of a session without an account only its contents say whom it names: `tests/login/test_stored_sessions.py`.
    if nullable and table != "accounts.StoredSession":
        row_of(model, marked, marked=True, owned=False)
    assert rows_that_name(MARK)[table] > (0 if table == "consent.PermittedView" else before)

    erase_customer(marked, "customer")

    assert table not in rows_that_name(MARK)


def test_the_documented_way_of_every_table_is_that_of_the_code():
    page = PAGE.read_text()

    for way in Way:
        listed = ", ".join(f"`{label}`" for label, each in sorted(ways().items()) if each == way)
        assert f"| {way.value} | {listed} |" in page
