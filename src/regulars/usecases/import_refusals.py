"""Import withdrawals and objections from a CSV file of another system: the list of those who do not want to be written to."""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

from regulars.base.errors import DomainError, Invalid
from regulars.profiles.contacts import EMAIL, PHONE, contact_of

from .refuse_consent import Refusal, refuse, refuse_for_contact
from .users import find_user

NAMES = ("user_id", EMAIL, PHONE)
COLUMNS = frozenset({*NAMES, "purpose", "action", "at", "words"})
ACTIONS = ("", "withdrawn", "objected")
FIRST_LINE = 2  # below the names of the columns


@dataclass
class ImportReport:
    """How many rows were imported, how many of these are of no customer yet, and (line, reason) of those refused."""

    imported: int = 0
    unknown: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)


def import_refusals(path: Path) -> ImportReport:
    """Record each row by itself, so that a wrong one stops no other. A second import of a file changes nothing.

    Raises `Invalid`: `bad_file`, `bad_columns`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            names = set(rows.fieldnames or ())
            if unknown := names - COLUMNS:
                raise Invalid("bad_columns", f"Unknown columns: {', '.join(sorted(map(str, unknown)))}.")
            if not names.intersection(NAMES):
                raise Invalid("bad_columns", f"One of these columns is needed: {', '.join(NAMES)}.")
            return _import(rows, path.name)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Invalid("bad_file", f"{path} is not a CSV file in UTF-8: {error}.") from None


def _import(rows: csv.DictReader[str], file: str) -> ImportReport:
    report = ImportReport()
    for number, row in enumerate(rows, FIRST_LINE):
        try:
            given = {key: (value or "").strip() for key, value in row.items() if key is not None}
            if None in row:
                raise Invalid("bad_row", "There are more values than columns.")
            report.unknown += not _record(given, f"{file}:{number}")
            report.imported += 1
        except DomainError as error:
            report.errors.append((number, f"{error.code}: {error.message}"))
    return report


def _record(row: dict[str, str], place: str) -> bool:
    """Record one row. Returns whether it is of a customer who is known."""
    named = [name for name in NAMES if row.get(name)]
    if len(named) != 1:
        raise Invalid("bad_row", f"Name the customer by one of {', '.join(NAMES)}.")
    action = row.get("action", "")
    if action not in ACTIONS:
        raise Invalid("bad_action", "An action is withdrawn or objected.")
    purpose = row.get("purpose", "")
    refusal = Refusal(
        "import",
        "operator",
        (purpose,) if purpose else (),
        objects=action == "objected",
        words=row.get("words", ""),
        at=_moment(row.get("at", "")),
        evidence={"line": place},
    )
    name = named[0]
    if name == "user_id":
        refuse(find_user(row[name]), refusal)
        return True
    contact = contact_of(name, row[name])
    if contact is None:
        raise Invalid("bad_contact", f"{row[name]!r} is no {name}.")
    return refuse_for_contact(contact, refusal) > 0


def _moment(text: str) -> dt.datetime | None:
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("bad_time", f"{text!r} is no time in ISO 8601.") from None
    if moment.tzinfo is None:
        raise Invalid("bad_time", f"{text!r} has no zone: add +00:00 for UTC.")
    return moment.astimezone(dt.UTC)
