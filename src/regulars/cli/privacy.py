"""Commands about people's data: look after the ledger, erase somebody, back up and restore."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from .errors import Problem, wake_django


@click.group()
def consent() -> None:
    """The ledger of what customers allow."""
    wake_django()


@consent.command()
def verify() -> None:
    """Look whether anybody changed the ledger. Ends with 1 at the first broken link, named."""
    from regulars.consent.verify import verify_everybody

    checked = 0
    for user_id, broken in verify_everybody():
        checked += 1
        if broken:
            click.echo(
                f"BROKEN  decision {broken.pk} of {user_id}: {broken.action} {broken.purpose_id} at {broken.at:%Y-%m-%d %H:%M}"
            )
            raise SystemExit(1)
    click.echo(f"ok  The ledgers of {checked} customers hold.")


@click.command()
@click.argument("name")
@click.option("--since", type=click.DateTime(), help="Only what happened and was learned from this day (UTC) on …")
@click.option("--until", type=click.DateTime(), help="… until before this day.")
@click.option("--keep-events", is_flag=True, help="Keep what happened, without her.")
@click.option("--yes", is_flag=True, help="Do not ask again.")
def erase(name: str, since: dt.datetime | None, until: dt.datetime | None, keep_events: bool, yes: bool) -> None:
    """Erase whoever is known by NAME: a user id, an address, a telephone number, an id at a network or of a browser."""
    wake_django()
    from regulars.usecases.erase import find_people, forget, forget_period

    people = find_people(name)
    if not people:
        raise Problem("nobody", "Nobody is known by this name.")
    if not yes:
        click.confirm(f"Erase {len(people)} customer(s)? This cannot be undone", abort=True)
    for person in people:
        if since or until:
            proof = forget_period(person, _utc(since, dt.datetime.min), _utc(until, dt.datetime.max), "operator")
        else:
            proof = forget(person, "operator", keep_events=keep_events)
        click.echo(f"{proof.mode}  proof {proof.pk}")
        for label, (before, after) in sorted(proof.removed.items()):
            click.echo(f"  {label:32} {before:>8} → {after}")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
def backup(path: Path) -> None:
    """Write database, lake and keys into one file, while everything runs. Keep it as you keep the keys."""
    wake_django()
    from regulars.operations.backup import write_backup

    for line in write_backup(path):
        click.echo(line)


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask again.")
def restore(path: Path, yes: bool) -> None:
    """Put a backup in place of what is here. Stop Regulars first. Whoever was erased since is erased again."""
    wake_django()
    from regulars.operations.backup import restore_backup

    if not yes:
        click.confirm("Replace everything that is here?", abort=True)
    for line in restore_backup(path):
        click.echo(line)


@click.command()
@click.argument("kind", required=False)
@click.argument("days", required=False)
def retention(kind: str | None, days: str | None) -> None:
    """Show how long each KIND of data is kept, or keep it for DAYS from now on ("forever" for no end)."""
    wake_django()
    from regulars.usecases.retention import KINDS, days_of, keep

    if kind:
        if days != "forever" and not (days or "").isdigit():
            raise Problem("bad_days", "Say for how many days, or forever.")
        keep(kind, None if days == "forever" else int(days or 0))
    for key, kept in days_of().items():
        click.echo(f"{key:18} {'forever' if kept is None else f'{kept} days':>10}  {KINDS[key].label}")


COMMANDS = (consent, erase, backup, restore, retention)


def _utc(moment: dt.datetime | None, otherwise: dt.datetime) -> dt.datetime:
    return (moment or otherwise).replace(tzinfo=dt.UTC)
