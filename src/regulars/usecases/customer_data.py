"""All data about one customer, from every package. The customer's page and the export show the same."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from regulars.base import clock
from regulars.clients.models import Client
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.purposes import whole_words_in
from regulars.consent.status import ConsentStatus
from regulars.events.models import Source
from regulars.profiles.assertions import voice
from regulars.profiles.attributes import words_in as attribute_words
from regulars.profiles.document import known
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.premises import fallen
from regulars.profiles.resolve import resolve
from regulars.profiles.values import comparable
from regulars.questions.models import Question
from regulars.questions.wording import text_in
from regulars.segments.models import Membership

from .correct_facts import DELETED, may_correct, may_remove
from .recipients import recipients_by_purpose

UNDECLARED = ("serve",)


@dataclass(frozen=True)
class CustomerFact:
    """One fact as the customer reads it.

    `since` is when its source said so first, `confirmed_at` when it did last (None: once only). `why_not` is why it is not
    used: `""`, `blocked`, `expired`, `retracted`, `fallen` (what it follows from changed), `another_wins`, `replaced` (by a
    newer value of its source), or `confirms`: it has the value that is used. `follows_from` are the labels of the facts it was concluded from.
    """

    id: int
    attribute: str
    label: str
    value: Any
    options: dict[str, str]
    source: str
    source_kind: str
    asserter: str
    source_label: str
    app_name: str  # of the application or event source that it came from; empty for none, and for one that was deleted
    since: dt.datetime
    confirmed_at: dt.datetime | None
    expires_at: dt.datetime | None
    confidence: float
    purposes: tuple[str, ...]
    consents: tuple[int, ...]
    follows_from: tuple[str, ...]
    reason: str
    why_not: str
    may_correct: bool
    may_remove: bool


@dataclass(frozen=True)
class PurposeStatus:
    """One purpose with the customer's consent status.

    `notice` is the text of the last decision, `seen` its number (0: none). `outdated`: consent was given, but the purpose
    has become wider since. `barred`: the customer is too young to allow it. `recipients` may be sent the data now, and
    `new_recipients` are those of them that the notice of an open consent did not name. `restricted`: nothing is used while
    processing is restricted; `may_end` is whether there is a yes to take back, or an interest to object to, all the same.
    `is_partial`: consent is given to single attributes only, so that no event of a source is used for it.
    """

    key: str
    basis: str
    label: str
    text: str
    locale: str
    is_open: bool
    status: str
    since: dt.datetime | None
    until: dt.datetime | None
    notice: str
    seen: int
    outdated: bool
    barred: bool
    restricted: bool
    may_end: bool
    is_partial: bool
    recipients: tuple[str, ...]
    new_recipients: tuple[str, ...]


def facts_of(profile: Profile, locale: str = "en", *, everything: bool = False) -> list[CustomerFact]:
    """Return the facts by attribute, the winning one first. `everything`: retracted and expired ones too."""
    attributes = {each.key: each for each in Attribute.objects.all()}
    now = clock.now()
    status = ConsentStatus.of([profile], now)[profile.pk]
    facts = list(profile.facts.order_by("attribute", "-collected_at", "-id"))
    usable = [fact for fact in facts if fact.retracted_at is None and status.fact_stands(fact)]
    half_lives = {key: attribute.half_life_days for key, attribute in attributes.items()}
    no_longer = fallen([known(fact) for fact in usable], now, half_lives)
    usable = [fact for fact in usable if fact.pk not in no_longer]
    winners, newest = _winners(usable, attributes, now), _newest(usable)
    questions = {each.key: text_in(each, locale) for each in Question.objects.all()}
    apps = _app_names(facts)
    words = {key: attribute_words(attribute, locale) for key, attribute in attributes.items()}
    names = {
        fact.pk: words[fact.attribute][0]
        if fact.attribute in words
        else fact.attribute.rpartition(".")[2].replace("_", " ").capitalize()
        for fact in facts
    }
    found = []
    for fact in facts:
        if fact.retracted_at:
            why_not = "retracted"
        elif fact.expires_at and fact.expires_at <= now:
            why_not = "expired"
        elif not status.fact_stands(fact):
            why_not = "blocked"
        elif fact.pk in no_longer:
            why_not = "fallen"
        else:
            why_not = _beside(fact, winners.get(fact.attribute), newest[_voice_of(fact)])
        if fact.value is None or (not everything and why_not in ("retracted", "expired")):
            continue
        # The source said the same under an earlier decision: one fact to the customer, two in the record.
        last = newest.get(_voice_of(fact), fact)
        if not everything and why_not in ("confirms", "blocked") and last is not fact and last.value == fact.value:
            continue
        options = words[fact.attribute][1] if fact.attribute in words else {}
        found.append(_known(fact, attributes.get(fact.attribute), options, why_not, names, questions, apps))
    order = {"": 0, "confirms": 1}
    return sorted(found, key=lambda each: (each.label.lower(), each.attribute, order.get(each.why_not, 2), -each.id))


def purposes_of(profile: Profile, locale: str = "en") -> list[PurposeStatus]:
    """Return every active purpose; those that need consent first."""
    status = ConsentStatus.of([profile], clock.now())[profile.pk]
    states = {s.purpose_id: s for s in profile.consent_states.select_related("event__notice")}
    purposes = Purpose.objects.filter(active=True)
    order = {Purpose.Basis.CONSENT: 0, Purpose.Basis.LEGITIMATE_INTEREST: 1, Purpose.Basis.CONTRACT: 2}
    listed = sorted(purposes, key=lambda each: (order[Purpose.Basis(each.basis)], each.key))
    found, recipients = [], recipients_by_purpose()
    for purpose in listed:
        state = states.get(purpose.key)
        named = tuple(map(str, recipients.get(purpose.key, ())))
        is_open, may_end = status.allows(purpose), status.would_allow(purpose)
        known = state.event.notice.recipients if state and state.event.notice else ()
        has_given = may_end and purpose.basis == Purpose.Basis.CONSENT
        language, label, text = whole_words_in(purpose, locale)
        has_consented = state is not None and state.status in (ConsentEvent.Action.GIVEN, ConsentEvent.Action.IMPORTED)
        found.append(
            PurposeStatus(
                key=purpose.key,
                basis=purpose.basis,
                label=label,
                text=text,
                locale=language,
                is_open=is_open,
                status=state.status if state else "",
                since=state.since if state else None,
                until=status.runs_out(purpose.key),
                notice=state.event.notice.body if state and state.event.notice else "",
                seen=state.event_id if state else 0,
                outdated=bool(
                    has_consented
                    and state
                    and state.event.purpose_version < purpose.consents_from
                    and not status.is_given(purpose.key)
                ),
                barred=status.is_child and purpose.basis != Purpose.Basis.CONTRACT,
                restricted=status.is_restricted,
                may_end=may_end,
                is_partial=has_given and not status.is_given_as_a_whole(purpose.key),
                recipients=named,
                new_recipients=tuple(each for each in named if has_given and each not in known),
            )
        )
    return found


def decisions_of(profile: Profile) -> list[ConsentEvent]:
    """Return the customer's ledger and those of merged profiles, newest first, each decision with its notice."""
    events = ConsentEvent.objects.filter(Q(profile=profile) | Q(profile__merged_into=profile))
    return list(events.select_related("purpose", "notice").order_by("-at", "-id"))


def segments_of(profile: Profile) -> list[Membership]:
    rows = profile.memberships.filter(state=Membership.State.IN).select_related("segment__purpose")
    return list(rows.order_by("segment__name"))


def _winners(usable: list[Fact], attributes: dict[str, Attribute], now: dt.datetime) -> dict[str, Fact]:
    """Return attribute → the winning fact, of those whose consents are given."""
    by_attribute: dict[str, list[Fact]] = {}
    for fact in usable:
        by_attribute.setdefault(fact.attribute, []).append(fact)
    by_id = {fact.pk: fact for fact in usable}
    found = {}
    for key, rows in by_attribute.items():
        half_life = attributes[key].half_life_days if key in attributes else None
        if winner := resolve([known(each) for each in rows], now, half_life):
            found[key] = by_id[winner.fact_id]
    return found


def _voice_of(fact: Fact) -> tuple[str, str, bool]:
    return fact.attribute, *voice(fact.source, fact.asserter)


def _newest(usable: list[Fact]) -> dict[tuple[str, str, bool], Fact]:
    """Return what each source said last of each attribute."""
    return {_voice_of(fact): fact for fact in sorted(usable, key=lambda fact: (fact.as_of, fact.pk))}


def _beside(fact: Fact, winner: Fact | None, newest: Fact) -> str:
    """Return the `why_not` of a usable fact beside the one that wins."""
    if winner is None or fact.pk == winner.pk:
        return ""
    if comparable(fact.value) == comparable(winner.value):
        return "confirms"
    return "another_wins" if newest.pk == fact.pk else "replaced"


def _app_names(facts: list[Fact]) -> dict[str, str]:
    """Return the names of applications and event sources, by what `app:…` in the source of a fact calls them."""
    keys = {app for app in map(_app_of, facts) if app}
    named = dict(Source.objects.filter(slug__in=keys).values_list("slug", "name"))
    return named | dict(Client.objects.filter(pk__in=keys).values_list("pk", "name"))


def _app_of(fact: Fact) -> str:
    """Return `shop` of `app:shop` and of `app:shop:looking_for@1`; empty for other sources."""
    kind, _, rest = fact.source.partition(":")
    return rest.partition(":")[0] if kind == "app" else ""


def _known(
    fact: Fact,
    attribute: Attribute | None,
    options: dict[str, str],
    why_not: str,
    names: dict[int, str],
    questions: dict[str, str],
    apps: dict[str, str],
) -> CustomerFact:
    path = attribute.metadata_path if attribute else ""
    # The question's key in `question:looking_for@1` or, for an answer inside an app, `app:shop:looking_for@1`.
    kind, _, rest = fact.source.partition(":")
    question = (rest if kind == "question" else rest.partition(":")[2] if kind == "app" else "").partition("@")[0]
    return CustomerFact(
        id=fact.pk,
        attribute=fact.attribute,
        label=names[fact.pk],
        value=fact.value,
        options=options,
        source=fact.source,
        source_kind=fact.source_kind,
        asserter=fact.asserter,
        source_label=questions.get(question, ""),
        app_name=apps.get(_app_of(fact), ""),
        since=fact.collected_at,
        confirmed_at=fact.confirmed_at,
        expires_at=fact.expires_at,
        confidence=fact.confidence,
        purposes=tuple(attribute.purposes) if attribute else UNDECLARED,
        consents=tuple(fact.consents),
        follows_from=tuple(dict.fromkeys(names[each] for each in fact.derived_from if each in names)),
        reason="" if fact.retracted_why == DELETED else fact.reason,
        why_not=why_not,
        may_correct=may_correct(fact.attribute, path),
        may_remove=may_remove(fact.attribute, path),
    )
