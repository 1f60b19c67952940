"""The version of the configuration, and the models whose changes make a new one."""

from __future__ import annotations

from typing import TypeVar

from django.db import models

M = TypeVar("M", bound=type[models.Model])
versioned_models: list[type[models.Model]] = []


def versioned(model: M) -> M:
    """Decorate a model: each change of its table, by whatever road, makes a new version (`triggers`)."""
    versioned_models.append(model)
    return model


class ConfigurationVersion(models.Model):
    """One row, written by triggers of the database only. Without the row nothing is cached.

    `number` is drawn at random. A counter that was rolled back or restored would reach the same number again with
    other content.
    """

    id = models.PositiveSmallIntegerField(primary_key=True)
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.number)
