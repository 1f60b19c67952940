"""What an enrichment source is. The house's own and a stranger's are the same: entry point `regulars.enrichment_sources`.

A source declares, says what it would ask, and asks; the house draws its form, keeps its settings encrypted, asks for
consent first, caches, retries, keeps the log, takes secrets out of it and turns answers into facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from regulars.base.errors import DomainError
from regulars.base.plugins.catalog import Catalog
from regulars.base.plugins.fields import SettingField

__all__ = ["SOURCES", "EnrichmentSource", "LookupFailed", "SettingField", "Shaped", "bound", "is_local"]

LAST_IP = "last_ip"  # no attribute: the address she last signed in from, for sources that need it


class LookupFailed(DomainError):
    """There is no answer. `permanent`: asking again soon changes nothing; `after`: seconds the source asks for."""

    def __init__(self, name: str, sentence: str = "", *, permanent: bool = False, after: float | None = None) -> None:
        super().__init__(name, sentence)
        self.permanent = permanent
        self.after = after


class EnrichmentSource(Protocol):
    """`needs` are the attributes it reads (only those may leave), `gives` those it may tell, `purpose` why it is asked.

    `is_about_areas`: the question names no person, so that customers share answers, and a purpose without consent is
    possible. `fresh_days` and `nothing_days` are how long an answer, and "nothing is known", are not asked again. A fact
    outlives its answer once, then it expires. A source that asks nobody outside has `is_local = True`.
    """

    @property
    def title(self) -> str: ...

    @property
    def help(self) -> str: ...

    @property
    def fields(self) -> tuple[SettingField, ...]: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    @property
    def gives(self) -> tuple[str, ...]: ...

    @property
    def purpose(self) -> str: ...

    @property
    def is_about_areas(self) -> bool: ...

    @property
    def source_kind(self) -> str:
        """`enriched`, or `inferred` when it is a statistic: see `profiles.models.Fact.SourceKind`."""

    @property
    def confidence(self) -> float: ...

    @property
    def fresh_days(self) -> int: ...

    @property
    def nothing_days(self) -> int: ...

    def check(self, settings: Mapping[str, str]) -> None:
        """Raise `DomainError` when these settings (complete, all text) cannot work. Calls nobody."""

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """What will be asked, from those of `needs` that may be used; None: there is nothing to ask. Calls nobody."""

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        """Attribute → value; empty when the source knows nothing. Raises `LookupFailed`. Never guesses."""


@runtime_checkable
class Shaped(Protocol):
    """A source whose `needs` and `gives` follow from its settings."""

    def shaped(self, settings: Mapping[str, str]) -> EnrichmentSource: ...


def bound(source: EnrichmentSource, settings: Mapping[str, str]) -> EnrichmentSource:
    """The source as these settings make it."""
    return source.shaped(settings) if isinstance(source, Shaped) else source


def is_local(source: EnrichmentSource) -> bool:
    """Whether nothing leaves the house when it is asked: then it may serve a purpose that needs no consent."""
    return bool(getattr(source, "is_local", False))


SOURCES: Catalog[EnrichmentSource] = Catalog("enrichment_sources")
