"""Offset paging and selection of fields, as in Auth0's Management API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ninja import Field, Schema

DEEPEST_RECORD = 1000


class Fields(Schema):
    """`fields` is a comma separated list; `include_fields` false means all but these."""

    fields: str = ""
    include_fields: bool = True

    def choose(self, document: Mapping[str, object]) -> dict[str, object]:
        names = {name.strip() for name in self.fields.split(",") if name.strip()}
        if not names:
            return dict(document)
        return {key: value for key, value in document.items() if (key in names) == self.include_fields}


class Paging(Fields):
    """`page` counts from 0. Without `include_totals` the answer is a bare list."""

    page: int = Field(0, ge=0, le=10**6)
    per_page: int = Field(50, ge=0, le=100)
    include_totals: bool = False

    @property
    def start(self) -> int:
        return self.page * self.per_page

    @property
    def end(self) -> int:
        return self.start + self.per_page

    def answer(self, name: str, documents: Sequence[dict[str, object]], total: int) -> Any:
        """The list, or the object around it: `{start, limit, length, total, <name>}`."""
        chosen = [self.choose(document) for document in documents]
        if not self.include_totals:
            return chosen
        return {"start": self.start, "limit": self.per_page, "length": len(chosen), "total": total, name: chosen}
