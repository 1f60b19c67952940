"""The customers of the lake who may be counted for a purpose."""

from __future__ import annotations

from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import Schema, where
from regulars.base.conditions.tree import Consented
from regulars.base.lake.query import DIALECT

PEOPLE = Schema(terms="p.terms", person="p.profile_id", events="events")  # of conditions over `views AS p`


def open_to(purpose: str) -> exp.Select:
    """Select the profile ids of whom a purpose is open: events of others are not counted for it."""
    is_open = where(Consented(purpose), PEOPLE, DIALECT, clock.now())
    return exp.select("p.profile_id").from_("views AS p").where(exp.column("purpose", "p").eq(purpose), is_open)
