"""Commands about mail."""

from __future__ import annotations

import click

from .command_errors import setup_django


@click.group()
def mail() -> None:
    """The mail server."""
    setup_django(with_database=False)


@mail.command()
@click.argument("address")
def test(address: str) -> None:
    """Send a mail to ADDRESS, and print each step. Exits with 1 at the step that fails and names it."""
    from regulars.operations.mail_probe import send_test_mail

    send_test_mail(address, lambda step: click.echo(f"ok  {step}"))
