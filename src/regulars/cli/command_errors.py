"""Errors of commands, and the set-up of Django that every command shares."""

from __future__ import annotations

import sys
from typing import Any

import click

from regulars.base.errors import DomainError


class CommandError(click.ClickException):
    """A named reason why a command fails."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{sentence} ({name})")


class ErrorHandlingGroup(click.Group):
    """A group that prints a fault with a name as a sentence with its code and exits with 1. Others are errors of ours."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DomainError as error:
            raise CommandError(error.code, error.message) from None
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            from regulars.serving.storage import fault_of

            fault = fault_of(error)
            if fault is None:
                raise
            raise CommandError(fault.code, fault.message) from None


def share_home() -> None:
    """Keep a restore from beginning before this command has ended. Raises `Conflict("home_in_use")` during one."""
    from regulars.base.home_folder import WORKERS, home, locked

    click.get_current_context().with_resource(locked(home() / WORKERS, shared=True))


def setup_django(*, with_database: bool = True, during_restore: bool = False) -> None:
    """Set up Django in a folder that holds an installation. Raises `NotFound("no_installation")`, and makes nothing there.

    While a restore is unfinished, and over a database of a newer version, only commands with `during_restore` run; others
    raise `Conflict`: `restore_unfinished`, `database_is_newer`.
    Only commands that need Django call this, so that the supervising process stays small.
    """
    import django

    from regulars.base.home_folder import home, refuse_unfinished_restore, require_installation

    if "--help" in sys.argv:  # of a command in a group: it will run nothing
        return
    require_installation(with_database=with_database)
    if not during_restore:
        refuse_unfinished_restore(home())
    # A worker on PostgreSQL, with its key in the environment, may start on a machine without the folder.
    home().mkdir(mode=0o700, parents=True, exist_ok=True)
    if not during_restore:
        share_home()
    django.setup()
    if with_database and not during_restore:
        from regulars.base.db.usable_database import refuse_unusable_database

        refuse_unusable_database()
