"""Catalogs of plug-ins, found through entry points, built-in and third-party ones alike."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from regulars.base.errors import Invalid

Plugin = TypeVar("Plugin")


class Catalog(Generic[Plugin]):
    """The plug-ins of one kind, by key: `Catalog[QuestionType]("question_types")` reads `regulars.question_types`.

    An entry point's name is the plug-in's key; it loads the plug-in object itself.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._loaded: dict[str, Plugin] | None = None

    def __getitem__(self, key: str) -> Plugin:
        try:
            return self._all()[key]
        except KeyError:
            raise Invalid("unknown_plugin", f"No {self.kind} plug-in is called {key!r}.") from None

    def __contains__(self, key: object) -> bool:
        return key in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def items(self) -> list[tuple[str, Plugin]]:
        return list(self._all().items())

    def values(self) -> list[Plugin]:
        return list(self._all().values())

    def _all(self) -> dict[str, Plugin]:
        if self._loaded is None:
            found = entry_points(group=f"regulars.{self.kind}")
            self._loaded = {point.name: point.load() for point in sorted(found, key=lambda point: point.name)}
        return self._loaded
