"""Commands about personal data: verify the ledger, erase customers, back up, restore, refill the lake, set retention."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from .command_errors import CommandError, setup_django


@click.group()
def consent() -> None:
    """The consent ledger."""
    setup_django()


@consent.command()
def verify() -> None:
    """Verify that the ledger is unchanged, and that facts rest on it. Exits with 1 at the first broken link and names it."""
    from regulars.consent.bases import wrong_bases
    from regulars.consent.record import verify_ledgers

    checked = 0
    for user_id, broken in verify_ledgers():
        checked += 1
        if broken:
            click.echo(
                f"BROKEN  decision {broken.pk} of {user_id}: {broken.action} {broken.purpose_id} at {broken.at:%Y-%m-%d %H:%M}"
            )
            raise SystemExit(1)
    click.echo(f"ok  The ledgers of {checked} customers hold.")
    for fact, why in wrong_bases():
        click.echo(f"BROKEN  fact {fact.pk} ({fact.attribute} from {fact.source}): {why}")
        raise SystemExit(1)
    click.echo("ok  Every fact has a legal basis, and the decision that it needs.")


@consent.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def refuse(path: Path) -> None:
    """Import withdrawals and objections from the CSV file PATH.

    Columns: one of `user_id`, `email`, `phone_number` in each row; `purpose` (empty: any advertising), `action` (`withdrawn` or
    `objected`), `at` (ISO 8601 with a zone), `words`. An address that no customer has is kept as a fingerprint, for those
    who come later. Rows with errors are named; the others are imported.
    """
    from regulars.usecases.import_refusals import import_refusals

    report = import_refusals(path)
    for line, message in report.errors:
        click.echo(f"line {line}  {message}", err=True)
    click.echo(
        f"{report.imported} rows imported, {report.unknown} of them of no customer yet; {len(report.errors)} refused."
    )
    if report.errors:
        raise SystemExit(1)


@consent.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_list(path: Path) -> None:
    """Import decisions that another system recorded, from a CSV file. With one bad row nothing is recorded."""
    from regulars.usecases.import_consents import import_consents, read_list

    with path.open(encoding="utf-8-sig", newline="") as lines:
        result = import_consents(read_list(lines), "operator")
    for problem in result.problems:
        click.echo(f"row {problem.row}: {problem.code}: {problem.message}", err=True)
    if result.problems:
        raise CommandError("refused_rows", "Nothing was imported. Correct these rows.")
    click.echo(f"{result.recorded} decisions imported, {result.known} were there already.")


@click.command()
@click.argument("name")
@click.option("--since", type=click.DateTime(), help="Only events and facts from this day (UTC) on …")
@click.option("--until", type=click.DateTime(), help="… until before this day.")
@click.option("--keep-events", is_flag=True, help="Keep events, without the customer.")
@click.option("--yes", is_flag=True, help="Do not ask again.")
def erase(name: str, since: dt.datetime | None, until: dt.datetime | None, keep_events: bool, yes: bool) -> None:
    """Erase every customer with the identifier NAME: a user id, an e-mail address, a telephone number, an id at a provider or of a browser."""
    setup_django()
    from regulars.profiles.models import Profile
    from regulars.usecases.erase import erase_customer, erase_period, find_customers

    people = find_customers(name)
    if not people:
        raise CommandError("not_found", "No customer has this identifier.")
    if not yes:
        click.confirm(f"Erase {len(people)} customer(s)? This cannot be undone", abort=True)
    for person in people:
        if not Profile.objects.filter(pk=person.pk).exists():
            continue  # erased with another one that is the same person
        if since or until:
            proof = erase_period(person, _utc(since, dt.datetime.min), _utc(until, dt.datetime.max), "operator")
        else:
            proof = erase_customer(person, "operator", keep_events=keep_events)
        click.echo(f"{proof.mode}  proof {proof.pk}")
        for label, (before, after) in sorted(proof.removed.items()):
            click.echo(f"  {label:32} {before:>8} → {after}")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
def backup(path: Path) -> None:
    """Write database and keys into one file while Regulars runs. Protect the file like the keys."""
    setup_django()
    from regulars.operations.backup import write_backup

    for line in write_backup(path):
        click.echo(line)


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--erasures",
    "lists",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An erasures.jsonl of another machine; may be repeated.",
)
@click.option("--without-erasures", is_flag=True, help="Restore on a new machine although no erasures.jsonl was kept.")
@click.option(
    "--journal",
    "journals",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A journal.jsonl of another machine; may be repeated.",
)
@click.option(
    "--without-journal",
    is_flag=True,
    help="Restore although no journal.jsonl reaches back to the backup, or it is damaged.",
)
@click.option("--yes", is_flag=True, help="Do not ask again.")
def restore(
    path: Path,
    lists: tuple[Path, ...],
    without_erasures: bool,
    journals: tuple[Path, ...],
    without_journal: bool,
    yes: bool,
) -> None:
    """Replace this installation by a backup. Stop Regulars first. What was erased, withdrawn or deleted since then stays so."""
    setup_django(with_database=False, during_restore=True)
    from regulars.operations.backup import Since, restore_backup

    if not yes:
        click.confirm("Replace this installation?", abort=True)
    since = Since(lists, without_erasures, journals, without_journal)
    for line in restore_backup(path, since):
        click.echo(line)


@click.group()
def lake() -> None:
    """The lake."""
    setup_django()


@lake.command()
def refill() -> None:
    """Write the lake anew from the database. The worker does it; counts are incomplete meanwhile."""
    from regulars.usecases.lake import queue_lake_refill

    queue_lake_refill()
    click.echo("Queued. The worker writes the lake anew; `regulars doctor` compares it with the database.")


@click.command()
@click.argument("kind", required=False)
@click.argument("days", required=False)
def retention(kind: str | None, days: str | None) -> None:
    """Show how long each KIND of data is kept, or set it to DAYS ("forever" for no end)."""
    setup_django()
    from regulars.usecases.retention import KINDS, days_of, set_retention, starts, upcoming

    if kind:
        if days != "forever" and not (days or "").isdigit():
            raise CommandError("bad_days", "Give a number of days, or forever.")
        set_retention(kind, None if days == "forever" else int(days or 0))
    waiting = starts()
    for key, kept in days_of().items():
        begins = f" (from {waiting[key]:%Y-%m-%d} on)" if key in waiting else ""
        click.echo(f"{key:18} {'forever' if kept is None else f'{kept} days':>10}  {KINDS[key].label}{begins}")
    for each in upcoming():
        click.echo(f"{each.label}: {each.number:,} will be erased within 30 days, the first on {each.first:%Y-%m-%d}.")


COMMANDS = (consent, erase, backup, restore, lake, retention)


def _utc(moment: dt.datetime | None, otherwise: dt.datetime) -> dt.datetime:
    return (moment or otherwise).replace(tzinfo=dt.UTC)
