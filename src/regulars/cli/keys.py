"""Commands about the keys that sign tokens."""

from __future__ import annotations

import click

from .command_errors import setup_django


@click.group()
def keys() -> None:
    """Manage the keys that sign tokens."""
    setup_django()


@keys.command("list")
def list_keys() -> None:
    """List every published key, oldest first."""
    from regulars.base.tokens.keys import key_set, still_verifying
    from regulars.base.tokens.models import SigningKey

    key_set()
    for key in SigningKey.objects.filter(still_verifying()).order_by("created_at", "id"):
        click.echo(f"{key.kid}  {key.state:8}  made {key.created_at:%Y-%m-%d %H:%M}")


@keys.command()
@click.option("--at-once", is_flag=True, help="Even if apps may not have seen the next key yet: for a key that leaked.")
def rotate(at_once: bool) -> None:
    """Sign with the next key from now on. Tokens of the old key stay valid until they expire."""
    from regulars.base.tokens.rotate import rotate

    signer = rotate(at_once=at_once)
    click.echo(f"{signer.kid} signs now, in every process from its next request.")


# A kid is base64url, so one in sixty-four begins with "-".
@keys.command(context_settings={"ignore_unknown_options": True})
@click.argument("kid")
def revoke(kid: str) -> None:
    """Revoke a retired key: its tokens are rejected from now on."""
    from regulars.base.tokens.rotate import revoke

    revoke(kid)
    click.echo(f"{kid} is revoked, in every process from its next request.")
