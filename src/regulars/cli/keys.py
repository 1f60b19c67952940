"""Commands about the keys that sign tokens."""

from __future__ import annotations

import click

from .errors import wake_django


@click.group()
def keys() -> None:
    """The keys that sign tokens."""
    wake_django()


@keys.command("list")
def list_keys() -> None:
    """Every key that apps are told of, oldest first."""
    from regulars.base.tokens.keys import ring, still_verifying
    from regulars.base.tokens.models import SigningKey

    ring()
    for key in SigningKey.objects.filter(still_verifying()).order_by("created_at", "id"):
        click.echo(f"{key.kid}  {key.state:8}  made {key.created_at:%Y-%m-%d %H:%M}")


@keys.command()
@click.option("--at-once", is_flag=True, help="Even if apps may not have seen the next key yet: for a key that leaked.")
def rotate(at_once: bool) -> None:
    """Sign with the next key from now on. What the old one signed stays good until it runs out."""
    from regulars.base.tokens.rotate import rotate

    signer = rotate(at_once=at_once)
    click.echo(f"{signer.kid} signs now. Every process notices within seconds.")


# A kid is base64url: one in sixty-four begins with "-", and names a key all the same.
@keys.command(context_settings={"ignore_unknown_options": True})
@click.argument("kid")
def revoke(kid: str) -> None:
    """Take a retired key away: whatever it signed is refused from now on."""
    from regulars.base.tokens.rotate import revoke

    revoke(kid)
    click.echo(f"{kid} is gone. Every process notices within seconds.")
