"""Errors of commands, and the set-up of Django that every command shares."""

from __future__ import annotations

from typing import Any

import click

from regulars.base.errors import DomainError


class CommandError(click.ClickException):
    """A named reason why a command fails."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{sentence} ({name})")


class ErrorHandlingGroup(click.Group):
    """A group that prints a `DomainError` as a sentence with its code and exits with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DomainError as error:
            raise CommandError(error.code, error.message) from None


def setup_django() -> None:
    """Set up Django. Only commands that need it call this, so that the supervising process stays small."""
    import django

    django.setup()
