"""Filters that both databases execute with an index."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet


def in_either(field: str, own: QuerySet[Any], joined: QuerySet[Any]) -> Q:
    """Match rows of either queryset by a union. `own or joined` would scan the table in both databases."""
    return Q(**{f"{field}__in": own.values("pk").union(joined.values("pk"), all=True)})
