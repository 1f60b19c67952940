"""Append facts with their sources, and the conclusions that follow from them."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.db.models import Q

from regulars.base import clock
from regulars.base.email_address import canonical_email
from regulars.base.errors import Invalid
from regulars.base.json_values import same_json
from regulars.base.text import storable

from . import derive
from .assertions import Asserter, asserter_of, longest, may_write, thing_of, voice
from .contacts import contact_of
from .document import known, rebuild, rebuild_all
from .known_customers import is_known_customer
from .models import Attribute, Fact, Profile, RefusedGuess
from .premises import fallen
from .resolve import KnownFact, expired, resolve
from .row_locks import hold
from .values import fit

log = logging.getLogger("regulars.profiles")

# The source of customers on their own page. Their value None means: keep nothing of this.
CUSTOMER = "customer"
RULE = "rule:"
# These say something once, by an act; software repeats all it knows with every page, which is confirmed once a day.
ACTS = (Asserter.CUSTOMER_FRESH, Asserter.CUSTOMER, Asserter.PROVIDER_VOUCHING, Asserter.PROVIDER, Asserter.STAFF)
# Of `consent.models.Purpose`, which is a layer above; a test compares them.
CONSENT = "consent"
BASES = frozenset({"contract", CONSENT, "legitimate_interest"})
A_DAY = dt.timedelta(days=1)
THEMSELVES = (Asserter.CUSTOMER_FRESH, Asserter.CUSTOMER)
FIRST_PARTY_KINDS = (Fact.SourceKind.CORRECTED, Fact.SourceKind.DECLARED)
# Why a fact was refused, as staff read it.
WHY_REFUSED = {
    "special_category": "only the customer may provide a special category",
    "not_theirs_to_write": "this source may not write this attribute",
    "too_long": "the value is too long",
    "bad_value": "the value does not fit the attribute",
    "deleted_by_customer": "the customer deleted it, and only the customer may enter it again",
    "said_by_customer": "the customer said otherwise, and their word stands",
    "corrected_by_staff": "staff corrected it, and that stands",
    "purpose_closed": "the customer does not allow its purpose",
    "of_known_customer": "a public key gives no address or number to a customer who is known otherwise",
    "no_basis": "it has no legal basis",
    "no_decision": "it rests on consent, and names no decision",
}


@dataclass(frozen=True)
class NewFact:
    """A value of an attribute from a source. `value=None` withdraws the earlier value of this source.

    `attribute` is a key (`gender`) or a metadata path (`user_metadata.shoe.size`); `source` names the exact source
    (`google-oauth2`, `question:looking_for@1`, `app:shop`); `purpose` is the one it was collected for; `consents` are ids of
    consent events it was given under;
    `identity` is the one whose provider sent it. `asserter` is whose word it is; left out, it follows from kind and source.
    """

    attribute: str
    value: Any
    source_kind: str
    source: str
    basis: str = "contract"
    purpose: str = ""
    consents: list[int] = field(default_factory=list)
    confidence: float = 1.0
    collected_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    derived_from: list[int] = field(default_factory=list)
    identity: int | None = None
    reason: str = ""
    asserter: Asserter | None = None

    @property
    def whose(self) -> Asserter:
        return self.asserter or asserter_of(self.source_kind, self.source)


@dataclass(frozen=True)
class Learned:
    """The facts that were written, and those that their sources confirmed."""

    written: list[Fact]
    confirmed: list[Fact]


@transaction.atomic
def learn(profile: Profile, news: Iterable[NewFact]) -> list[Fact]:
    """Append the facts that say something new, and their conclusions. Returns what was written.

    Use cases call it through `usecases.unit_of_work.changes`, which also carries out what follows. A source
    that repeats its last value confirms it, unless the value was given under another decision, has expired, or counted more or
    less: a provider that no longer vouches for an address does not confirm that it did. What its asserter may not write, what does not fit its attribute, what has no
    legal basis, or names no decision where that basis is consent, and a special category that does not come from the
    customer are left out, and the attempt is recorded (`RefusedGuess`).
    """
    return learn_all([(profile, list(news))]).written


@transaction.atomic
def learn_all(
    news_of_many: Sequence[tuple[Profile, list[NewFact]]], first_of_equal: Mapping[int, int] | None = None
) -> Learned:
    """Append facts of many profiles in as many queries as for one.

    `first_of_equal`: consent → the one that it repeats (`consent.fold`); a fact is under the decision that came first.
    """
    profiles = {profile.pk: profile for profile, _ in news_of_many}
    hold(profiles.values())
    writer = _FactWriter(list(profiles.values()), first_of_equal or {})
    direct = writer.write((profile, new) for profile, news in news_of_many for new in news)
    premises = direct + writer.confirmed
    followers = writer.write(
        ((profiles[fact.profile_id], each) for fact, new in premises for each in _conclusions(fact, new)),
        concluded=True,
    )
    record_refused(writer.refused)
    learned = Learned([fact for fact, _ in direct + followers], writer.save_confirmed())
    changed = {fact.profile_id for fact in learned.written + learned.confirmed}
    rebuild_all([profile for pk, profile in profiles.items() if pk in changed])
    return learned


@transaction.atomic
def conclude_again(profiles: Sequence[Profile]) -> list[Fact]:
    """Write what follows from the facts of these profiles today: bands of ages change on birthdays."""
    hold(profiles)
    writer = _FactWriter(list(profiles), {})
    by_id = {profile.pk: profile for profile in profiles}
    premises = [
        fact for fact in writer.last.values() if fact.attribute in derive.RULES and not expired(fact, clock.now())
    ]
    news = [(by_id[fact.profile_id], each) for fact in premises for each in _conclusions(fact, _as_news(fact))]
    written = [fact for fact, _ in writer.write(news, concluded=True)]
    rebuild_all(list({fact.profile_id: by_id[fact.profile_id] for fact in written}.values()))
    return written


def is_known(profile: Profile, attribute: str) -> bool:
    """Return whether any live fact has this attribute: a question about it is not asked."""
    return bool(known_among(profile, {attribute}))


def known_among(profile: Profile, attributes: Collection[str]) -> set[str]:
    """Return those of `attributes` (keys or metadata paths) that any live fact has, in a few queries.

    A fact counts whether it was written before or after its path was declared as an attribute.
    """
    named = Attribute.objects.filter(Q(key__in=attributes) | Q(metadata_path__in=attributes)).exclude(metadata_path="")
    other_name = dict(named.values_list("key", "metadata_path"))
    other_name |= {path: key for key, path in other_name.items()}
    names = {each: {each, other_name.get(each, each)} for each in attributes}
    now = clock.now()
    rows = list(profile.facts.filter(attribute__in=set().union(*names.values()), retracted_at=None))
    if any(fact.derived_from for fact in rows):  # what they follow from decides too
        everything = [known(fact) for fact in profile.facts.filter(retracted_at=None)]
        half_lives = dict(Attribute.objects.exclude(half_life_days=None).values_list("key", "half_life_days"))
        no_longer = fallen(everything, now, half_lives)
        rows = [fact for fact in rows if fact.pk not in no_longer]
    found: dict[str, list[KnownFact]] = {}
    for fact in rows:
        found.setdefault(fact.attribute, []).append(known(fact))
    return {
        each
        for each, aliases in names.items()
        if resolve([fact for alias in aliases for fact in found.get(alias, [])], now) is not None
    }


@transaction.atomic(savepoint=False)
def retract(profile: Profile, facts: Sequence[Fact], why: str) -> None:
    """Mark facts of one profile as retracted, with everything concluded from them. Facts are not deleted here."""
    if not facts:
        return
    hold([profile])
    closure = {fact.pk for fact in facts}
    for fact in profile.facts.filter(retracted_at=None).exclude(derived_from=[]).order_by("id"):
        if closure.intersection(fact.derived_from):
            closure.add(fact.pk)
    profile.facts.filter(id__in=closure, retracted_at=None).update(retracted_at=clock.now(), retracted_why=why)
    rebuild(profile)


def record_refused(refused: Mapping[tuple[str, str], str]) -> None:
    """Record, once per source and day, for the operator, what was refused: (attribute, source) → a key of `WHY_REFUSED`."""
    rows = [
        RefusedGuess(attribute=key[:128], source=source[:128], why=why, day=clock.today())
        for (key, source), why in sorted(refused.items())
    ]
    for row in rows:
        # Any visitor can send what is refused: only what hints at a wrong configuration is a warning.
        level = logging.WARNING if row.why == "special_category" else logging.INFO
        log.log(level, "fact_refused: %s sent %s (%s); it was not kept", row.source, row.attribute, row.why)
    RefusedGuess.objects.bulk_create(rows, ignore_conflicts=True)


def was_deleted_by_customer(profile: Profile, key: str) -> bool:
    """Return whether the customer deleted this attribute and has not entered it again."""
    own = profile.facts.filter(attribute=key, source=CUSTOMER, retracted_at=None).order_by("collected_at", "id")
    last = own.last()
    return last is not None and last.value is None


class _FactWriter:
    """The last fact per (profile, attribute, source), read once, so that twenty facts of a login cost few queries."""

    def __init__(self, profiles: list[Profile], first_of_equal: Mapping[int, int]) -> None:
        self.first_of_equal = first_of_equal
        self.attributes = {attribute.key: attribute for attribute in Attribute.objects.all()}
        self.special = {
            name
            for each in self.attributes.values()
            if each.sensitivity == Attribute.Sensitivity.SPECIAL
            for name in (each.key, each.metadata_path)
            if name
        }
        self.refused: dict[tuple[str, str], str] = {}
        self.key_of_path = {each.metadata_path: each.key for each in self.attributes.values() if each.metadata_path}
        live = Fact.objects.filter(profile__in=profiles, retracted_at=None)
        # Two accounts at one provider are two sources: each may be unlinked, with what it said.
        self.last = {
            (fact.profile_id, fact.attribute, *voice(fact.source, fact.asserter), fact.identity_id): fact
            for fact in sorted(live, key=lambda fact: (fact.as_of, fact.pk))
        }
        self.confirmed: list[tuple[Fact, NewFact]] = []

    def write(self, news: Iterable[tuple[Profile, NewFact]], *, concluded: bool = False) -> list[tuple[Fact, NewFact]]:
        """Write the facts that bring something new. Returns each with the `NewFact` it was made from.

        `concluded`: they follow from facts that were checked, and their asserter did not write them.
        """
        written = [(fact, new) for profile, new in news if (fact := self._fact(profile, new, concluded))]
        Fact.objects.bulk_create([fact for fact, _ in written], batch_size=500)
        return written

    def _fact(self, profile: Profile, new: NewFact, concluded: bool) -> Fact | None:
        key = storable(self.key_of_path.get(new.attribute, new.attribute))
        if key == "email" and isinstance(new.value, str):
            new = replace(new, value=canonical_email(new.value))
        try:
            new = new if concluded else replace(new, value=accepted(self.attributes.get(key), key, new))
        except Invalid as error:
            self.refused[key[:128], new.source[:128]] = error.code
            return None
        place = (profile.pk, key, *voice(new.source, new.whose), new.identity)
        last = self.last.get(place)
        if last is None:
            repeats, brings_nothing = False, new.value is None and (new.source != CUSTOMER or concluded)
        else:
            has_expired = expired(last, clock.now())
            has_new_consent = not self._decisions(new.consents) <= self._decisions(last.consents)
            is_same_word = new.value is None or _word_of(last) == (new.source_kind, new.whose)
            repeats = same_json(last.value, new.value) and is_same_word and not has_expired and not has_new_consent
            brings_nothing = repeats and (new.value is None or last.pk is None)
        if brings_nothing:
            return None
        if self._is_guess_at_special(key, new):
            if not repeats:
                self.refused[key[:128], new.source[:128]] = "special_category"
            return None
        contact = contact_of(key, new.value)
        if contact and new.whose == Asserter.PUBLIC_KEY and is_known_customer(profile, held := self._held(profile)):
            if contact not in {each.contact for each in held}:
                self.refused[key[:128], new.source[:128]] = "of_known_customer"
            return None
        if self._is_unwanted(profile, key, new):
            if new.value is not None:
                self.refused[key[:128], new.source[:128]] = "deleted_by_customer"
            return None
        if why := _basis_missing(new):
            self.refused[key[:128], new.source[:128]] = why
            return None
        if last and repeats:
            self._confirm(last, new)
            return None
        at = new.collected_at or clock.now()
        if last and concluded:
            at = max(at, last.as_of)  # it replaces that one, also where its premise is older
        fact = Fact(
            profile=profile,
            attribute=key,
            value=storable(new.value),
            source_kind=new.source_kind,
            source=new.source,
            asserter=new.whose,
            collected_at=at,
            basis=new.basis,
            purpose=new.purpose,
            consents=sorted(self._decisions(new.consents)),
            confidence=new.confidence,
            expires_at=new.expires_at or self._default_expiry(key),
            derived_from=new.derived_from,
            identity_id=new.identity,
            reason=storable(new.reason)[:200],
            contact=contact,
        )
        self.last[place] = fact
        return fact

    def _held(self, profile: Profile) -> list[Fact]:
        return [fact for fact in self.last.values() if fact.profile_id == profile.pk]

    def _decisions(self, consents: Iterable[int]) -> set[int]:
        return {self.first_of_equal.get(each, each) for each in consents}

    def _confirm(self, fact: Fact, new: NewFact) -> None:
        """Record that the source said the same again: what ages or expires counts from now on."""
        at = new.collected_at or clock.now()
        pause = dt.timedelta() if new.whose in ACTS else A_DAY
        if fact.expires_at:
            pause = min(pause, (fact.expires_at - fact.as_of) / 10)
        same_premises = fact.derived_from == new.derived_from
        if at <= fact.as_of or (same_premises and at - fact.as_of < pause):
            return
        fact.confirmed_at, fact.derived_from, fact.confidence = at, new.derived_from, new.confidence
        fact.expires_at = new.expires_at or self._default_expiry(fact.attribute)
        self.confirmed.append((fact, new))

    def save_confirmed(self) -> list[Fact]:
        facts = list({fact.pk: fact for fact, _ in self.confirmed}.values())
        if facts:
            Fact.objects.bulk_update(
                facts, ["confirmed_at", "expires_at", "derived_from", "confidence"], batch_size=200
            )
        return facts

    def _is_guess_at_special(self, key: str, new: NewFact) -> bool:
        """Only customers themselves provide facts of special categories: no rule, look-up, network, import or event.

        What reveals it by deduction is as special as the thing itself (Court of Justice, C-184/20).
        """
        if new.value is None or not any(key == name or key.startswith(f"{name}.") for name in self.special):
            return False
        return new.source_kind not in FIRST_PARTY_KINDS or bool(new.derived_from) or new.source.startswith(RULE)

    def _is_unwanted(self, profile: Profile, key: str, new: NewFact) -> bool:
        """Return whether the customer deleted this attribute: only customers themselves may enter it again."""
        last = self.last.get((profile.pk, key, *voice(CUSTOMER, Asserter.CUSTOMER), None))
        return last is not None and last.value is None and new.whose not in THEMSELVES

    def _default_expiry(self, key: str) -> dt.datetime | None:
        attribute = self.attributes.get(key)
        days = attribute.expires_days if attribute else None
        return clock.now() + dt.timedelta(days=days) if days else None


def _basis_missing(new: NewFact) -> str:
    """Return why a fact has no legal basis, as a key of `WHY_REFUSED`. One that rests on consent names the decision."""
    if new.value is None:
        return ""
    if new.basis not in BASES:
        return "no_basis"
    return "no_decision" if new.basis == CONSENT and not new.consents else ""


def accepted(attribute: Attribute | None, key: str, new: NewFact) -> Any:
    """Return the value in the form of its attribute. Raises `Invalid` with a key of `WHY_REFUSED`.

    None, which takes back what the source said before, is always accepted.
    """
    if new.value is None:
        return None
    thing = thing_of(key, attribute.metadata_path if attribute else "")
    if not may_write(new.whose, thing):
        raise Invalid("not_theirs_to_write", f"{key} cannot be written this way.", key)
    most = longest(new.whose, thing)
    fitting = fit(attribute, key, new.value, most)
    # Applications read their own values back as they wrote them.
    return new.value if new.whose in (Asserter.APP_TOKEN, Asserter.RULE) else fitting


def _word_of(fact: Fact) -> tuple[str, str]:
    """Return how a fact was said and who asserted it, which decide how far it is believed."""
    return fact.source_kind, fact.asserter or asserter_of(fact.source_kind, fact.source)


def _as_news(fact: Fact) -> NewFact:
    """Return a stored fact as the one it was written from."""
    return NewFact(
        attribute=fact.attribute,
        value=fact.value,
        source_kind=fact.source_kind,
        source=fact.source,
        basis=fact.basis,
        purpose=fact.purpose,
        consents=fact.consents,
        confidence=fact.confidence,
        collected_at=fact.as_of,
        expires_at=fact.expires_at,
        identity=fact.identity_id,
        asserter=Asserter(fact.asserter) if fact.asserter else None,
    )


def _conclusions(fact: Fact, premise: NewFact) -> list[NewFact]:
    """Conclusions inherit source, basis, consent and date: they live and die with what they follow from."""
    premise = replace(premise, collected_at=fact.as_of, basis=fact.basis, purpose=fact.purpose, consents=fact.consents)
    found = [] if fact.value is None else derive.conclusions(fact.attribute, fact.value, clock.now())
    # What no longer follows, of a corrected date of birth for instance, is taken back.
    lapsed = set(derive.CONCLUDES.get(fact.attribute, ())) - {each.attribute for each in found}
    return [replace(premise, attribute=name, value=None, derived_from=[fact.pk]) for name in sorted(lapsed)] + [
        replace(
            premise,
            attribute=each.attribute,
            value=each.value,
            derived_from=[fact.pk],
            expires_at=min(filter(None, (each.expires_at, premise.expires_at)), default=None),
        )
        for each in found
    ]
