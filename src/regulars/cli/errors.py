"""What every command shares: how a "no" is said, and when Django wakes up."""

from __future__ import annotations

from typing import Any

import click

from regulars.base.errors import DomainError


class Problem(click.ClickException):
    """A named reason why a command cannot go on."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{sentence} ({name})")


class ErrorHandlingGroup(click.Group):
    """Whatever the house refuses on the way, the operator reads as a sentence with its name, and the command ends with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DomainError as no:
            raise Problem(no.code, no.message) from None


def wake_django() -> None:
    """Only commands that need it call this, so that the process that waits for the others stays small."""
    import django

    django.setup()
