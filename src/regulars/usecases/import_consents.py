"""Import decisions that another system recorded, with their evidence: when, to which words, and where from.

A yes becomes `imported`: it permits what its words covered, and never counts against a no of the customer. A list is checked
as a whole first: with one bad row nothing is recorded. A list may be imported again: what is there already is left out.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.notices import ShownNotice
from regulars.consent.record import Decision
from regulars.profiles.assertions import Asserter
from regulars.profiles.contacts import EMAIL, contact_of, holders_of
from regulars.profiles.models import Profile

from .browsers import stand_for
from .refuse_consent import LATEST, LONGEST_WORDS
from .unit_of_work import changes

Action = ConsentEvent.Action
PORTION = 200  # rows that are recorded in one transaction
MOST_PROBLEMS = 20
COLUMNS = ("user_id", "email", "purpose", "decision", "at", "version", "language", "words", "source")
REQUIRED = ("purpose", "decision", "at")
EVIDENCE = ("words", "source", "version")  # of a yes
DECISIONS = {"given": Action.IMPORTED, "refused": Action.REFUSED}
LONGEST_SOURCE = 200


@dataclass(frozen=True)
class ImportedDecision:
    """One row of the list. `number` counts from 1, without the heading."""

    number: int
    profile: int
    purpose: str
    action: str
    at: dt.datetime
    version: int
    locale: str
    words: str
    source: str


@dataclass(frozen=True)
class RowProblem:
    """Why a row was refused."""

    row: int
    code: str
    message: str


@dataclass(frozen=True)
class ImportResult:
    """How many decisions were recorded, and how many were there already. With `problems` nothing was recorded."""

    recorded: int = 0
    known: int = 0
    problems: tuple[RowProblem, ...] = ()


def read_list(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file with a heading. Raises `Invalid`: `unknown_column`, `missing_column`, `unreadable_list`."""
    try:
        rows = csv.DictReader(lines, strict=True)
        names = [(name or "").strip().lower() for name in rows.fieldnames or []]
        if unknown := sorted(set(names) - set(COLUMNS)):
            raise Invalid("unknown_column", f"There is no column {unknown[0]!r}. Columns: {', '.join(COLUMNS)}.")
        if missing := [name for name in REQUIRED if name not in names]:
            raise Invalid("missing_column", f"The column {missing[0]!r} is missing.")
        rows.fieldnames = names
        for row in rows:
            if None in row:
                raise Invalid("unreadable_list", f"Line {rows.line_num} has more values than the heading.")
            yield {name: (value or "").strip() for name, value in row.items()}
    except (csv.Error, UnicodeDecodeError) as fault:
        raise Invalid("unreadable_list", f"The list is not CSV in UTF-8: {fault}.") from None


def import_consents(rows: Iterable[Mapping[str, str]], actor: str) -> ImportResult:
    """Record the decisions of a list. `actor` is who imports it: `staff:<key>`, `app:<client id>` or `operator`."""
    purposes = {each.key: each for each in Purpose.objects.filter(active=True)}
    decisions, problems = [], []
    numbered = enumerate(rows, start=1)
    while portion := list(islice(numbered, PORTION)):
        people = _by_user_id([row.get("user_id", "") for _, row in portion])
        for number, row in portion:
            try:
                decisions.append(_read(number, row, people, purposes))
            except DomainError as wrong:
                problems.append(RowProblem(number, wrong.code, wrong.message))
    if problems:
        return ImportResult(problems=tuple(problems[:MOST_PROBLEMS]))
    recorded = 0
    ordered = iter(sorted(decisions, key=lambda each: (each.profile, each.at)))
    while due := list(islice(ordered, PORTION)):
        recorded += _record(due, purposes, actor)
    return ImportResult(recorded, len(decisions) - recorded)


def _by_user_id(user_ids: list[str]) -> dict[str, int]:
    found = Profile.objects.filter(user_id__in={each for each in user_ids if each})
    return {profile.user_id: profile.merged_into_id or profile.pk for profile in found}


def _read(
    number: int, row: Mapping[str, str], people: Mapping[str, int], purposes: Mapping[str, Purpose]
) -> ImportedDecision:
    """Check one row.

    Raises `Invalid`: `missing_value`, `unknown_decision`, `unknown_purpose`, `needs_no_consent`, `bad_time`, `in_the_future`,
    `missing_evidence`, `unknown_version`, `too_long`, `unknown_customer`, `several_customers`.
    """
    for name in REQUIRED:
        if not row.get(name):
            raise Invalid("missing_value", f"{name!r} is empty.", name)
    action = DECISIONS.get(row["decision"].lower())
    if action is None:
        message = "A decision is given or refused. Withdrawals and objections have a list of their own."
        raise Invalid("unknown_decision", message, "decision")
    purpose = purposes.get(row["purpose"])
    if purpose is None:
        raise Invalid("unknown_purpose", f"There is no active purpose called {row['purpose']!r}.", "purpose")
    if purpose.basis != Purpose.Basis.CONSENT:
        raise Invalid("needs_no_consent", f"{purpose.label} does not rest on consent.", "purpose")
    at = _moment(row["at"])
    if action == Action.IMPORTED and (lacking := [name for name in EVIDENCE if not row.get(name)]):
        raise Invalid(
            "missing_evidence",
            f"A yes needs evidence; {lacking[0]!r} is empty. It would permit nothing.",
            lacking[0],
        )
    version = row.get("version") or str(purpose.version)
    if not (version.isascii() and version.isdigit() and 1 <= int(version[:9]) <= purpose.version):
        raise Invalid(
            "unknown_version", f"{purpose.key!r} has the versions 1 to {purpose.version}; not {version!r}.", "version"
        )
    words, source, locale = row.get("words", ""), row.get("source", ""), row.get("language") or "en"
    if len(words) > LONGEST_WORDS or len(source) > LONGEST_SOURCE or len(locale) > 16:
        raise Invalid(
            "too_long", f"At most {LONGEST_WORDS} characters of words and {LONGEST_SOURCE} of a source.", "words"
        )
    profile = _customer(row, people)
    return ImportedDecision(number, profile, purpose.key, action, at, int(version), locale, words, source)


def _moment(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
        moment = found.replace(tzinfo=found.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Invalid("bad_time", f"{text!r} is no ISO 8601 time, such as 2024-05-31T10:00:00Z.", "at") from None
    if moment > clock.now() + LATEST:
        raise Invalid("in_the_future", f"A decision cannot be made in the future: {text}.", "at")
    return moment


def _customer(row: Mapping[str, str], people: Mapping[str, int]) -> int:
    if user_id := row.get("user_id", ""):
        if user_id not in people:
            raise Invalid("unknown_customer", f"No customer has the user id {user_id!r}.", "user_id")
        return people[user_id]
    contact = contact_of(EMAIL, row.get("email", ""))
    found = holders_of([contact], believed=True) if contact else []
    if not found:
        raise Invalid("unknown_customer", "No customer has this user id or e-mail address.", "email")
    if len(found) > 1:
        raise Invalid("several_customers", "Several customers have this address. Name one by user_id.", "email")
    return found[0]


def _record(due: list[ImportedDecision], purposes: Mapping[str, Purpose], actor: str) -> int:
    """Record one portion in a transaction of its own. Returns how many were new."""
    written = 0
    with changes(sorted({each.profile for each in due}), "consent") as c:
        found = {each.profile: c.find(each.profile) for each in due if c.locked(each.profile) is not None}
        there = set(
            ConsentEvent.objects.filter(profile__in=found.values()).values_list("profile", "purpose", "action", "at")
        )
        decisions: dict[Profile, list[Decision]] = {}
        for named in found.values():
            stand_for(c, named, Asserter.IMPORT)
        for each in due:
            profile = found.get(each.profile)
            key = (profile.pk if profile else 0, each.purpose, each.action, each.at)
            if profile is None or key in there:
                continue
            there.add(key)
            decisions.setdefault(profile, []).append(_decision(each, purposes[each.purpose], actor))
            written += 1
        c.decide_all(list(decisions.items()))
    return written


def _decision(each: ImportedDecision, purpose: Purpose, actor: str) -> Decision:
    evidence = {name: text for name, text in (("words", each.words), ("source", each.source)) if text}
    words = each.words or purpose.text
    return Decision(
        each.purpose,
        each.action,
        "import",
        evidence={**evidence, "at": each.at.isoformat()},
        actor=actor[:64],
        at=each.at,
        notice=ShownNotice(each.purpose, each.version, each.locale, words),
    )
