"""Commands about the staff of the console."""

from __future__ import annotations

import json

import click

from .command_errors import setup_django


@click.group()
def staff() -> None:
    """Manage the staff of the console."""
    setup_django()


@staff.command("list")
def list_staff() -> None:
    """List the staff: address, role, second factor."""
    from regulars.operations.staff import list_members

    for member in list_members():
        factor = "second factor" if member.second_factor else "no second factor yet"
        click.echo(f"{member.email}  {member.role or 'no role'}  {factor}{'' if member.is_active else '  closed'}")


@staff.command("add")
@click.argument("email")
@click.option("--role", default="viewer", show_default=True, help="viewer, marketer or admin.")
def add_staff(email: str, role: str) -> None:
    """Add a member of staff. Prints the first password, once. The second factor is set up at the first sign-in."""
    from regulars.operations.staff import add

    click.echo(f"{email} may sign in as {role}. Password, shown this once: {add(email, role)}")


@staff.command("role")
@click.argument("email")
@click.argument("role")
def change_role(email: str, role: str) -> None:
    """Give a member of staff another role: viewer, marketer or admin. It holds from their next request."""
    from regulars.operations.staff import change_role

    change_role(email, role)
    click.echo(f"{email} is {role} now.")


@staff.command("remove")
@click.argument("email")
def remove(email: str) -> None:
    """Remove a member of staff. Their sessions end at once; what they did stays in the log, without their address."""
    from regulars.operations.staff import remove

    remove(email)
    click.echo(f"{email} is removed.")


@staff.command("reset-second-factor")
@click.argument("email")
def reset_second_factor(email: str) -> None:
    """Remove the second factors of a member of staff who lost the device. Verify their identity first."""
    from regulars.operations.staff import reset_second_factor

    count = reset_second_factor(email)
    click.echo(f"{count} removed. {email} sets up a new one at the next sign-in.")


@staff.command("log")
@click.option("--what", default="", help="An action, such as segment.exported, or its first word: segment.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000_000))
def log(what: str, limit: int) -> None:
    """Print what staff did, the newest first, one JSON object a line."""
    from regulars.operations.staff import audit_entries

    for entry in audit_entries(limit, what):
        click.echo(json.dumps(entry, ensure_ascii=False, sort_keys=True))
