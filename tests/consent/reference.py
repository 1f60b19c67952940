"""The gate once more, as plainly as can be and apart from the product: functions over the journal of two persons."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

BASIS = {"serve": "contract", "measure": "legitimate_interest", "personalise": "consent", "message": "consent"}
NOES = ("refused", "withdrawn", "objected", "gpc")
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(eq=False)
class Entry:
    """`kind`: decide, learn, widen, restrict, lift, suppress, or merge and split of person 1 into and out of person 0."""

    kind: str
    at: dt.datetime
    who: int = 0
    purpose: str = ""
    action: str = ""
    pieces: tuple[str, ...] = ()
    version: int = 1
    until: dt.datetime = NEVER
    proved: bool = True
    attribute: str = ""
    basis: str = ""
    under: tuple[Entry, ...] = ()


@dataclass
class Yes:
    same: list[Entry]  # accepted again and again

    @property
    def until(self) -> dt.datetime:
        return self.same[-1].until

    @property
    def wording(self) -> tuple[object, ...]:
        first = self.same[0]
        return first.purpose, first.action, first.pieces, first.version


@dataclass
class Person:
    said: dict[str, str] = field(default_factory=dict)
    yeses: list[Yes] = field(default_factory=list)
    facts: list[Entry] = field(default_factory=list)


def gate(journal: list[Entry], who: int, purpose: str, now: dt.datetime, purposes_of: dict[str, list[str]]) -> set[str]:
    """Return the attributes of a person that may be used for a purpose."""
    person = lived(journal, who)
    if restricted_since(journal, who):
        return set()
    covers_from = {each.purpose: each.version for each in journal if each.kind == "widen"}
    standing = [each for each in person.yeses if each.until > now]
    standing = [each for each in standing if each.same[0].version >= covers_from.get(each.same[0].purpose, 1)]
    to_this = [each for each in standing if each.same[0].purpose == purpose]
    objected = person.said.get("measure") in NOES
    if (BASIS[purpose] == "consent" and not to_this) or (BASIS[purpose] == "legitimate_interest" and objected):
        return set()
    found = set()
    for fact in person.facts:
        under = [[yes for yes in standing if each in yes.same] for each in fact.under]
        stands = (
            all(under) and (fact.basis != "consent" or under) and not (fact.basis == "legitimate_interest" and objected)
        )
        covered = {
            "contract": True,
            "legitimate_interest": fact.basis == "legitimate_interest" or bool(under),
            "consent": any(not yes.same[0].pieces or [yes] in under for yes in to_this),
        }
        if stands and covered[BASIS[purpose]] and purpose in purposes_of[fact.attribute]:
            found.add(fact.attribute)
    return found


def lived(journal: list[Entry], who: int) -> Person:
    """Return what a person said and gave, by the journal."""
    split = place_of("split", journal)
    person = Person()
    for number, each in enumerate(journal):
        together = are_one(journal, number)
        is_mine = whose(journal, number) == who
        if who == 1 and together and each.action in NOES and split < len(journal):
            is_mine = True  # a no while the two were one is said by both
        if each.kind == "merge" and who == 0 and split == len(journal):
            join(person, lived(journal[:number], 1), each.at)
        elif each.kind == "decide" and is_mine:
            decide(person, replace(each, proved=False) if is_suppressed(journal, number) else each, each)
        elif each.kind == "learn" and is_mine:
            person.facts.append(each)
    return person


def restored(journal: list[Entry], kept: int) -> list[Entry]:
    """Return the journal after a backup of its first entries was restored: of the others, what closes something is left."""
    left = journal[:kept]
    for number, each in enumerate(journal[kept:], kept):
        if each.kind == "restrict" or (each.kind == "decide" and each.action in NOES):
            concerned = (0, 1) if are_one(journal, number) else (each.who,)
            left += [replace(each, who=who) for who in concerned]
        elif each.kind == "suppress":
            left.append(each)
    return left


def restricted_since(journal: list[Entry], who: int) -> dt.datetime | None:
    since = None
    for number, each in enumerate(journal):
        if each.kind == "restrict" and whose(journal, number) == who:
            since = since or each.at
        elif each.kind == "lift" and whose(journal, number) == who:
            since = None
        elif each.kind == "merge" and who == 0:
            since = since or restricted_since(journal[:number], 1)
        elif each.kind == "split" and who == 1:  # what was restricted while the two were one holds for both
            other = restricted_since(journal[:number], 0)
            merged_at = journal[place_of("merge", journal)].at
            since = since or (other if other and other >= merged_at else None)
    return since


def is_suppressed(journal: list[Entry], number: int) -> bool:
    """Return whether an imported yes is of a contact whose holder said no before. The two hold each other's while they are one."""
    entry = journal[number]
    if entry.action != "imported":
        return False
    before = [each for each in journal[:number] if each.kind == "suppress" and each.purpose == entry.purpose]
    return any(are_one(journal, number) or each.who == entry.who for each in before)


def place_of(kind: str, journal: list[Entry]) -> int:
    return next((number for number, each in enumerate(journal) if each.kind == kind), len(journal))


def are_one(journal: list[Entry], number: int) -> bool:
    return place_of("merge", journal) < number < place_of("split", journal)


def whose(journal: list[Entry], number: int) -> int:
    """Return of whom an entry is: while the two are one, it is of person 0."""
    return 0 if are_one(journal, number) else journal[number].who


def decide(person: Person, entry: Entry, named: Entry) -> None:
    """Add a decision; `named` is the entry under which facts name it."""
    mine = [each for each in person.yeses if each.same[0].purpose == entry.purpose]
    if entry.action not in ("given", "imported"):
        person.said[entry.purpose] = entry.action
        person.yeses = [each for each in person.yeses if each not in mine]
    elif entry.action == "imported" and (person.said.get(entry.purpose) in NOES or (not entry.proved and mine)):
        pass
    else:
        person.said[entry.purpose] = entry.action
        person.yeses = [each for each in person.yeses if each not in mine or each.until > entry.at]
        new = Yes([named])
        again = [each for each in person.yeses if each.wording == new.wording]
        if again:
            again[0].same.append(named)
        elif entry.proved:
            person.yeses.append(new)


def join(person: Person, other: Person, at: dt.datetime) -> None:
    person.facts += other.facts
    for purpose in other.said.keys() | person.said.keys():
        words = [each.said[purpose] for each in (person, other) if purpose in each.said]
        person.said[purpose] = next((each for each in words if each in NOES), words[0])
    person.yeses = [each for each in person.yeses + other.yeses if person.said[each.same[0].purpose] not in NOES]
    person.yeses = [each for each in person.yeses if each.until > at]
