"""Filters that both databases answer from an index."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet


def in_either(field: str, own: QuerySet[Any], joined: QuerySet[Any]) -> Q:
    """Not `own or joined`: that both databases would answer by reading the rows of everybody."""
    return Q(**{f"{field}__in": own.values("pk").union(joined.values("pk"), all=True)})
