"""The contract of enrichment sources: plug-ins under the entry point group `regulars.enrichment_sources`.

A source declares what it reads and gives, says what it would ask, and asks. The core draws the form, encrypts the settings,
checks consent first, caches, retries, keeps the log, removes secrets from it and turns answers into facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regulars.base.errors import DomainError
from regulars.base.plugins.catalog import Catalog
from regulars.base.plugins.fields import ConfigurablePlugin, SettingField
from regulars.consent.models import Purpose
from regulars.consent.uses import why_no_question
from regulars.profiles.assertions import Asserter, Thing, may_write, thing_of

__all__ = ["SOURCES", "EnrichmentSource", "LookupFailed", "SettingField"]

LAST_IP = "last_ip"  # no attribute: the address of the customer's last sign-in, for sources that need it


class LookupFailed(DomainError):
    """There is no answer. `permanent`: asking again soon changes nothing; `after`: seconds the source asks for."""

    def __init__(self, code: str, message: str = "", *, permanent: bool = False, after: float | None = None) -> None:
        super().__init__(code, message)
        self.permanent = permanent
        self.after = after


class EnrichmentSource(ConfigurablePlugin):
    """A source. Set `gives` and `needs`, and override `question` and `ask`.

    `needs` are the attributes it reads (only those may leave), `gives` those it may return, `purpose` why it is asked.
    A fact expires after twice `fresh_days` unless the source confirms it.
    """

    gives: tuple[str, ...] = ()
    # Who is asked, as customers read it in every language: a proper name. Empty: the title.
    company: str = ""
    purpose: str = "enrich"
    # Whether the question names no person, so that customers share answers and a purpose without consent is possible. One
    # about groups is not: the value that leaves is one person's.
    is_about_areas: bool = False
    # Whether it calls nothing outside this machine; then any purpose is possible.
    is_local: bool = False
    # Whether the operator's settings say what it gives: then no attribute that is concluded or made for another source.
    is_mapped: bool = False

    def may_give(self, key: str, path: str = "") -> bool:
        """Return whether the source may fill an attribute: nothing that is proved, or that belongs to an application."""
        thing = thing_of(key, path)
        return may_write(Asserter.LOOKUP, thing) and not (self.is_mapped and thing == Thing.CONCLUSION)

    # `enriched`, or `inferred` for a statistic: see `profiles.models.Fact.SourceKind`.
    source_kind: str = "enriched"
    confidence: float = 0.5
    # Days for which an answer, and "nothing is known", are not asked again.
    fresh_days: int = 90
    nothing_days: int = 30

    def why_not_for(self, purpose: Purpose) -> str:
        """Return why the source cannot be asked for a purpose: a code of `Invalid`; empty: it can."""
        if self.is_local:
            return ""
        if not self.is_about_areas and purpose.basis != Purpose.Basis.CONSENT:
            return "purpose_needs_consent"
        return why_no_question(purpose)

    def for_settings(self, settings: Mapping[str, str]) -> EnrichmentSource:
        """Return the source as these settings make it, where `needs` and `gives` follow from them; itself by default."""
        return self

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Return what will be asked, from the usable ones of `needs`; None: there is nothing to ask. Makes no call."""
        raise NotImplementedError

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        """Return attribute → value; empty when the source knows nothing. Raises `LookupFailed`. Never guesses."""
        raise NotImplementedError


SOURCES: Catalog[EnrichmentSource] = Catalog("enrichment_sources")
