"""A condition on texts that contain any of many, without regard to case: `Row.objects.filter(ContainsAny(F("text"), […]))`.

Django has `icontains` for one text. Hundreds of those joined by OR take seconds to build, and SQLite evaluates no more than a
thousand conditions at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup
from django.db.models.sql.compiler import SQLCompiler


class ContainsAny(Lookup):
    lookup_name = "contains_any"
    prepare_rhs = False

    def __init__(self, lhs: Any, rhs: Iterable[str]) -> None:
        super().__init__(lhs, [_pattern(text) for text in rhs])

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        text, params = self.process_lhs(compiler, connection)
        if connection.vendor == "postgresql":
            # ILIKE would fold the text anew for each of the wanted ones.
            wanted = "ARRAY(SELECT lower(wanted) FROM unnest(%s::text[]) AS wanted)"
            return f"lower({text}) LIKE ANY({wanted})", [*params, self.rhs]
        one = rf"{text} LIKE wanted.value ESCAPE '\'"
        return f"EXISTS (SELECT 1 FROM json_each(%s) AS wanted WHERE {one})", [json.dumps(self.rhs), *params]  # noqa: S608 - no value


def _pattern(text: str) -> str:
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, f"\\{sign}")
    return f"%{text}%"
