"""Ask a source about a customer, if consent permits it, unless the cached answer is still fresh."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from regulars.base import clock
from regulars.base.crypto import fingerprint
from regulars.base.errors import DomainError, Invalid
from regulars.base.json_reader import MAX_DEPTH, is_deeper
from regulars.base.plugins.fields import redacted
from regulars.base.text import has_hidden, storable
from regulars.consent.models import Purpose
from regulars.consent.status import ConsentStatus
from regulars.consent.view import may, view
from regulars.profiles.assertions import Asserter, Place, longest, thing_of
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.values import fit

from .budget import acquire_call, record_outcome
from .models import Lookup, SourceSetting
from .reliability import confidences
from .save import refuse_purpose
from .source import LAST_IP, SOURCES, EnrichmentSource, LookupFailed

log = logging.getLogger("regulars.enrichment")

# A plug-in's word is a look-up's, whatever it calls itself: never the customer's own or a provider's.
KINDS = (Fact.SourceKind.ENRICHED, Fact.SourceKind.INFERRED)
# A wrong key is not tried again at every login; after a correction the wait is no longer than this.
FAILURE_CACHED_FOR = dt.timedelta(hours=1)


Before = Callable[[Profile, SourceSetting, EnrichmentSource, Sequence[str]], None]


def look_up(profile: Profile, source_key: str, before: Before | None = None) -> list[NewFact]:
    """Return the source's answer as facts to learn; a fact without value retracts the one of an earlier answer.

    Makes a call when no fresh answer is cached: call it outside a transaction. `before` is called with the attributes that
    are about to leave; what it raises stops the call. Raises what `permitted_source` raises and
    `Invalid("unknown_plugin")` before anything was sent, or `LookupFailed`, after which there is nothing to learn.
    """
    setting = permitted_source(profile, source_key)
    source = SOURCES[source_key].for_settings(setting.settings)
    # Not about what rules may not see, such as the word of a public key: they see the answer.
    permitted = view(profile, setting.purpose_id, place=Place.RULES)
    traits = {key: value for key, value in permitted.items() if key in source.needs}
    known = {key: value.value for key, value in traits.items()}
    if LAST_IP in source.needs:
        known[LAST_IP] = profile.last_ip
    question = source.question(known)
    answer = {} if question is None else _Query(profile, setting, source, question, tuple(known), before).answer()
    facts = [value.fact_id for value in traits.values()]
    # the consent of the purpose, if consent is its basis, and those of the facts that were asked about
    under = {consent for row in Fact.objects.filter(pk__in=facts) for consent in row.consents}
    if setting.purpose.basis == Purpose.Basis.CONSENT:
        under.update(ConsentStatus.of([profile], clock.now())[profile.pk].decisions_to(setting.purpose_id))
    # Facts depend on the facts and the consent they came from, and expire unless the source confirms them. The
    # source's own confidence counts until agreement with customers' own answers replaces it.
    consents = sorted(under)
    learned = confidences(setting.key)
    return [
        NewFact(
            attribute,
            answer.get(attribute),
            source.source_kind if source.source_kind in KINDS else Fact.SourceKind.ENRICHED,
            f"source:{setting.key}",
            basis=setting.purpose.basis,
            purpose=setting.purpose_id,
            consents=consents,
            confidence=min(max(learned.get(attribute, source.confidence), 0.0), 1.0),
            expires_at=clock.now() + dt.timedelta(days=2 * fresh_days(setting, source)),
            derived_from=facts,
            asserter=Asserter.LOOKUP,
        )
        for attribute in source.gives
        if source.may_give(attribute)  # settings of earlier versions may name others
    ]


def permitted_source(profile: Profile, source_key: str) -> SourceSetting:
    """Return the setting of a source that may be asked about this customer now.

    Raises `Invalid("source_off" | "purpose_needs_consent" | "purpose_is_for_groups" | "no_consent")`.
    """
    setting = SourceSetting.objects.select_related("purpose").filter(key=source_key, enabled=True).first()
    if setting is None:
        raise Invalid("source_off", f"The source {source_key!r} is not switched on.")
    if source_key in SOURCES:  # earlier versions had other purposes, and a purpose may have another basis since
        refuse_purpose(SOURCES[source_key], setting.purpose)
    if not may(profile, setting.purpose_id):
        raise Invalid("no_consent", f"The customer does not allow the purpose {setting.purpose_id!r}.")
    return setting


def fresh_days(setting: SourceSetting, source: EnrichmentSource) -> int:
    """Return how many days an answer is not asked for again: the operator's setting, else the source's."""
    return setting.fresh_days or source.fresh_days


def _fitting(attribute: Attribute | None, key: str, value: Any) -> Any:
    """Return a value of an answer as it is cached, shown to staff and learned. Raises `Invalid` when it has another form."""
    if value is None:
        return None
    if is_deeper(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    clean = storable(value)
    if isinstance(clean, str):
        clean = "".join(each for each in clean if not has_hidden(each)).strip()
    path = attribute.metadata_path if attribute else ""
    return fit(attribute, key, clean, longest(Asserter.LOOKUP, thing_of(key, path))) if clean != "" else None


@dataclass(frozen=True)
class _Query:
    """One question to one source about one customer."""

    profile: Profile
    setting: SourceSetting
    source: EnrichmentSource
    question: str
    asked_about: tuple[str, ...]
    before: Before | None

    def answer(self) -> dict[str, Any]:
        """Return the cached answer while it is fresh, or a new one. Raises `LookupFailed`."""
        lookup = Lookup.objects.filter(**self._key(), fresh_until__gt=clock.now()).first() or self._ask()
        if lookup.error:
            raise LookupFailed(lookup.error, lookup.last_error, permanent=True)
        answer: dict[str, Any] = lookup.answer
        return answer

    def _ask(self) -> Lookup:
        """Make the call and cache its outcome. A temporary failure is raised: the next attempt may ask again."""
        acquire_call(self.setting)
        if self.before is not None:
            self.before(self.profile, self.setting, self.source, self.asked_about)
        try:
            answer = self._call()
        except LookupFailed as fault:
            record_outcome(self.setting.key, "faults")
            sentence = redacted(fault.message, self.source.fields, self.setting.settings)
            kept_for = FAILURE_CACHED_FOR if fault.permanent else dt.timedelta()
            lookup = self._cache(kept_for, error=fault.code[:64], last_error=sentence)
            if not fault.permanent:
                raise LookupFailed(fault.code, sentence, after=fault.after) from None
            return lookup
        record_outcome(self.setting.key, "answers" if answer else "nothing")
        fresh, nothing = fresh_days(self.setting, self.source), self.source.nothing_days
        return self._cache(dt.timedelta(days=fresh if answer else nothing), answer)

    def _call(self) -> dict[str, Any]:
        """Take only what the source declared, in the form of its attribute; the rest is left out, by its name.

        A third party's plug-in may raise anything; only the type is kept.
        """
        try:
            found = dict(self.source.ask(self.question, self.setting.settings))
        except LookupFailed:
            raise
        except Exception as fault:
            log.warning("enrichment source %r raised %s", self.setting.key, type(fault).__name__)
            raise LookupFailed("plugin_failed", f"The plug-in raised {type(fault).__name__}.") from None
        attributes = Attribute.objects.in_bulk(self.source.gives)
        answer = {}
        for key in self.source.gives:
            try:
                answer[key] = _fitting(attributes.get(key), key, found.get(key))
            except (DomainError, TypeError, ValueError, RecursionError) as fault:
                log.warning("enrichment source %r: %s is left out: %s", self.setting.key, key, type(fault).__name__)
        return {key: value for key, value in answer.items() if value is not None}

    def _cache(
        self, kept_for: dt.timedelta, answer: dict[str, Any] | None = None, *, error: str = "", last_error: str = ""
    ) -> Lookup:
        now = clock.now()
        outcome = {"answer": answer or {}, "error": error, "last_error": last_error}
        times = {"asked_at": now, "fresh_until": now + kept_for}
        return Lookup.objects.update_or_create(**self._key(), defaults={**outcome, **times})[0]

    def _key(self) -> dict[str, Any]:
        profile = None if self.source.is_about_areas else self.profile
        return {"source_key": self.setting.key, "profile": profile, "question": fingerprint(self.question)}
