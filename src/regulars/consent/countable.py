"""The customers and events of the lake that may be counted for a purpose."""

from __future__ import annotations

from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import Condition, Schema, where
from regulars.base.conditions.tree import Consented
from regulars.base.lake.query import DIALECT
from regulars.events.own_events import OwnEvent

from .uses import EVENTS_CLOSED

PEOPLE = Schema(terms="p.terms", person="p.profile_id", events="events")  # of conditions over `views AS p`


def open_to(purpose: str) -> exp.Select:
    """Select the profile ids of whom a purpose is open: nothing about others is counted for it."""
    return _people(purpose, Consented(purpose))


def events_open_to(purpose: str) -> exp.Expr:
    """Return the condition of an event of the lake that may be counted for a purpose, by its columns profile_id and name."""
    person, name = exp.column("profile_id"), exp.column("name")
    closed = _people(purpose, Consented(EVENTS_CLOSED))
    is_usable = exp.or_(name.isin(*map(str, OwnEvent)), exp.not_(person.copy().isin(query=closed)))
    return exp.and_(person.isin(query=open_to(purpose)), exp.paren(is_usable))


def _people(purpose: str, condition: Condition) -> exp.Select:
    """Select the profile ids of whom a condition holds, by what may be used for a purpose."""
    holds = where(condition, PEOPLE, DIALECT, clock.now())
    return exp.select("p.profile_id").from_("views AS p").where(exp.column("purpose", "p").eq(purpose), holds)
