"""A model field for settings that hold secrets: JSON in Python, ciphertext in the table."""

from __future__ import annotations

from typing import Any

from django.db import models

from regulars.base import crypto


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Any JSON value, encrypted at rest. Cannot be searched."""

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else crypto.encrypt(value)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        return None if value is None else crypto.decrypt(value)

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))
