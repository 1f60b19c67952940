"""Commands about who works in the console."""

from __future__ import annotations

import click

from .errors import wake_django


@click.group()
def staff() -> None:
    """Who works in the console."""
    wake_django()


@staff.command("list")
def list_staff() -> None:
    """One line per person: address, role, second factor."""
    from regulars.operations.staff import members

    for member in members():
        factor = "second factor" if member.second_factor else "no second factor yet"
        click.echo(f"{member.email}  {member.role or 'no role'}  {factor}{'' if member.is_active else '  closed'}")


@staff.command("add")
@click.argument("email")
@click.option("--role", default="viewer", show_default=True, help="viewer, marketer or admin.")
def add_staff(email: str, role: str) -> None:
    """Let somebody into the console. Prints her first password, once; she sets up her second factor when she signs in."""
    from regulars.operations.staff import add

    click.echo(f"{email} may sign in as {role}. Password, shown this once: {add(email, role)}")


@staff.command("reset-second-factor")
@click.argument("email")
def reset_second_factor(email: str) -> None:
    """Her phone is gone: take her second factors away. Make sure that it is her who asks."""
    from regulars.operations.staff import reset_second_factor

    count = reset_second_factor(email)
    click.echo(f"{count} taken away. {email} sets up a new one at the next sign-in.")
