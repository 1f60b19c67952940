"""Write values of root attributes and metadata as facts, by the table of `writers`.

Metadata stays a document: of what rules and applications write the last write counts. Where a person
said or deleted the value, that stands, and the write is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.json_values import same_json
from regulars.consent.models import Purpose
from regulars.consent.status import ConsentStatus
from regulars.consent.view import LOGIN_NEEDS
from regulars.profiles.document import BAGS, is_open, known
from regulars.profiles.learn import CUSTOMER, FIRST_PARTY_KINDS, WHY_REFUSED, NewFact, accepted, record_refused
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.resolve import expired, rank

from .grant_purposes import ACCOUNT
from .unit_of_work import Changes
from .writers import BY_RULES, WORDS, Writer, is_word_of_a_person

LONGEST_PATH = 128  # characters of `Fact.attribute`
Values = Mapping[str, object]


@dataclass(frozen=True)
class Authorship:
    """Who writes, the source of the facts (`app:shop`, `rule:add-tier@3`), and their purpose; empty: the contract's."""

    writer: Writer
    source: str
    purpose: str = ""


def by_app(client_id: str) -> Authorship:
    """Return an application with its own access token as the writer."""
    return Authorship(Writer.APP, f"app:{client_id}")


@dataclass(frozen=True)
class RefusedValue:
    """A value that was not written. `why` is a key of `learn.WHY_REFUSED`."""

    path: str
    why: str

    @property
    def error(self) -> Invalid:
        return Invalid(self.why, f"{self.path} was not written: {WHY_REFUSED[self.why]}.", self.path)


@dataclass(frozen=True)
class _Live:
    """A live fact with its path in the document."""

    fact: Fact
    path: str
    is_special: bool
    is_served: bool  # no decision closed it, and it has not expired


def write_values(c: Changes, values: Values, by: Authorship) -> list[RefusedValue]:
    """Write values, and retract the facts that they replace. None removes a value. Returns what was refused; the rest is written.

    Keys are root attributes and first-level paths of metadata (`user_metadata.shoe`). Facts of every source but a person's word are
    retracted, because an older one could otherwise outrank the newer value.

    Raises `Invalid` with a key of `learn.WHY_REFUSED`, before anything is written, for what that writer may write nowhere or
    not in this form; a value that is there already is not looked at again.
    """
    attributes = {each.key: each for each in Attribute.objects.all()}
    live = list(_live_facts(c.profile, attributes))
    news = _news(values)
    refused = _refused(news, values, live, attributes, by)
    wanted = {path: value for path, value in news.items() if path not in refused}
    unchanged = {each.path for each in live if each.path in wanted and same_json(wanted[each.path], each.fact.value)}
    facts = [_new_fact(path, value, by, live) for path, value in wanted.items()]
    _refuse_unacceptable(attributes, [new for new in facts if new.attribute not in unchanged])
    ground = _ground(c.profile, by.purpose) if facts else None
    if ground is None:
        refused |= {new.attribute: "purpose_closed" for new in facts}
    kept, old = _replaced(wanted, values, live, refused, by)
    c.retract(old, "replaced_by_rule" if by.writer in BY_RULES else "replaced_by_app")
    if ground:
        basis, consents = ground
        c.learn(
            replace(new, basis=basis, purpose=by.purpose, consents=consents)
            for new in facts
            if new.attribute not in kept
        )
    key_of = {each.metadata_path: each.key for each in attributes.values() if each.metadata_path}
    record_refused({(key_of.get(path, path), by.source): why for path, why in refused.items()})
    return [RefusedValue(path, why) for path, why in sorted(refused.items())]


def refused_among(c: Changes, values: Values, by: Authorship) -> set[str]:
    """Return the paths of `values` that `write_values` would refuse because of what a person said or deleted."""
    attributes = {each.key: each for each in Attribute.objects.all()}
    return set(_refused(_news(values), values, list(_live_facts(c.profile, attributes)), attributes, by))


def retract_overlapping(c: Changes, path: str) -> None:
    """Retract the facts above and below a path of metadata: in the document they would hide a value written there.

    Facts of special categories stay: only customers themselves change them, each by its own key.
    """
    c.retract(
        [
            each.fact
            for each in _live_facts(c.profile, {each.key: each for each in Attribute.objects.all()})
            if not each.is_special and each.path != path and _overlaps(each.path, path)
        ]
    )


def _refused(
    news: Values, values: Values, live: list[_Live], attributes: Mapping[str, Attribute], by: Authorship
) -> dict[str, str]:
    """Return path → why it is not written: the customer deleted it, a person said otherwise, or it is a special category."""
    word, refused = WORDS[by.writer], dict[str, str]()
    deleted = _deleted(live)
    said = _said(live)
    special = [
        each.metadata_path or each.key
        for each in attributes.values()
        if each.sensitivity == Attribute.Sensitivity.SPECIAL
    ]
    repeated = {each.path for each in live if each.path in news and same_json(news[each.path], each.fact.value)}
    for path, value in news.items():
        may_be_special = by.writer not in BY_RULES and word.kind_at(path) in FIRST_PARTY_KINDS
        standing = [fact for other, fact in said.items() if _overlaps(path, other)]
        if not word.revives and any(_overlaps(path, each) for each in deleted):
            refused[path] = "deleted_by_customer"
        elif standing and not word.replaces_the_customer and not (path in said and same_json(said[path].value, value)):
            refused[path] = _whose(standing)
        elif path not in repeated and not may_be_special and any(_is_within(path, each) for each in special):
            refused[path] = "special_category"
    if not word.replaces_the_customer:
        for path, fact in said.items():  # what is to be removed
            if _first_level(path) in values and not any(_overlaps(path, each) for each in news):
                refused[path] = _whose([fact])
    return refused


def _replaced(
    wanted: Values, values: Values, live: list[_Live], refused: Mapping[str, str], by: Authorship
) -> tuple[set[str], list[Fact]]:
    """Return the paths whose facts stay as they are, and the facts to retract."""
    kept, old = set[str](), list[Fact]()
    word, deleted = WORDS[by.writer], _deleted(live)
    for each in live:
        fact, path = each.fact, each.path
        if _first_level(path) not in values or path in refused or (by.writer in BY_RULES and each.is_special):
            continue
        if (
            path in deleted
            and fact.value is None
            and not (word.revives and any(_overlaps(path, new) for new in wanted))
        ):
            continue  # no one else undoes a deletion that the customer asked for
        if _stands(each) and not word.replaces_the_customer and path not in LOGIN_NEEDS:
            kept.add(path)  # a person's word; here it is only repeated
            continue
        repeats = fact.value is not None and same_json(wanted.get(path), fact.value)
        if repeats and fact.source == by.source:
            continue
        # A rule often writes back the whole bag that it was given: that takes no fact from its source and its consent.
        if repeats and by.writer in BY_RULES and each.is_served:
            kept.add(path)
        else:
            old.append(fact)
    return kept, old


def _new_fact(path: str, value: object, by: Authorship, live: list[_Live]) -> NewFact:
    """Return the fact of a value. The customer's own token corrects what they said or deleted: that is their word again."""
    word = WORDS[by.writer]
    kind = word.kind_at(path)
    if by.writer == Writer.APP_FOR_CUSTOMER:
        earlier = [each for each in live if _overlaps(path, each.path)]
        if any(map(_stands, earlier)) or any(_overlaps(path, each) for each in _deleted(live)):
            kind = Fact.SourceKind.CORRECTED
    return NewFact(path, value, kind, by.source, basis="contract", asserter=word.asserter)


def _stands(each: _Live) -> bool:
    return each.is_served and each.fact.value is not None and is_word_of_a_person(each.fact)


def _deleted(live: Iterable[_Live]) -> set[str]:
    """Return the paths that the customer deleted and has not entered again."""
    own = sorted(
        (each for each in live if each.fact.source == CUSTOMER), key=lambda each: (each.fact.as_of, each.fact.pk)
    )
    last = {each.path: each.fact.value for each in own}
    return {path for path, value in last.items() if value is None}


def _said(live: Iterable[_Live]) -> dict[str, Fact]:
    """Return path → the word of a person that stands there. An address or a number is changed with the account that has it."""
    words = [each for each in live if _stands(each) and each.path not in LOGIN_NEEDS]
    words.sort(key=lambda each: rank(known(each.fact), clock.now(), None))
    return {each.path: each.fact for each in words}


def _whose(facts: Iterable[Fact]) -> str:
    return "corrected_by_staff" if all(fact.source.startswith("staff:") for fact in facts) else "said_by_customer"


def _is_within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")


def _overlaps(one: str, other: str) -> bool:
    """Return whether one path is the other, or above it in the metadata, so that both have no place in one document."""
    return _is_within(one, other) or _is_within(other, one)


def _first_level(path: str) -> str:
    bag, _, rest = path.partition(".")
    return f"{bag}.{rest.partition('.')[0]}" if bag in BAGS and rest else path


def _ground(profile: Profile, purpose: str) -> tuple[str, list[int]] | None:
    """Return the legal basis and the decisions under which a fact is collected for a purpose. None: it is closed for the customer."""
    if purpose in ("", ACCOUNT):
        return Purpose.Basis.CONTRACT, []
    found = Purpose.objects.filter(key=purpose, active=True).first()
    if found is None or not (status := ConsentStatus.of([profile], clock.now())[profile.pk]).would_allow(found):
        return None
    return found.basis, status.decisions_to(purpose) if found.basis == Purpose.Basis.CONSENT else []


def _refuse_unacceptable(attributes: Mapping[str, Attribute], news: Iterable[NewFact]) -> None:
    by_path = {each.metadata_path: each for each in attributes.values() if each.metadata_path}
    for new in news:
        attribute = by_path.get(new.attribute) or attributes.get(new.attribute)
        accepted(attribute, attribute.key if attribute else new.attribute, new)


def _live_facts(profile: Profile, attributes: Mapping[str, Attribute]) -> Iterator[_Live]:
    now = clock.now()
    for fact in profile.facts.filter(retracted_at=None):
        attribute = attributes.get(fact.attribute)
        yield _Live(
            fact,
            (attribute and attribute.metadata_path) or fact.attribute,
            attribute is not None and attribute.sensitivity == Attribute.Sensitivity.SPECIAL,
            is_open(profile, fact) and not expired(fact, now),
        )


def _news(values: Values) -> Values:
    return {leaf: each for path, value in values.items() for leaf, each in leaves(path, value).items()}


def leaves(path: str, value: object) -> Values:
    """Nested objects become dotted facts, so that an attribute declared at a nested path is known by it.

    An object with a null, which no fact can say, or with a key that cannot be part of a path stays one value.
    """
    if not isinstance(value, dict) or not value or path.partition(".")[0] not in BAGS:
        return {} if value is None else {path: value}
    if _has_null(value) or any(not name or "." in name or len(f"{path}.{name}") > LONGEST_PATH for name in value):
        return {path: value}
    return {leaf: each for name, inner in value.items() for leaf, each in leaves(f"{path}.{name}", inner).items()}


def _has_null(value: object) -> bool:
    return value is None or (isinstance(value, dict) and any(map(_has_null, value.values())))
