"""What is recorded with a decision of a customer beside its notice: where, to whom, and what a yes lets be used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings

from regulars.base.page_language import page_path
from regulars.consent.models import ConsentEvent
from regulars.consent.record import Decision
from regulars.profiles.models import Attribute

BY_THE_CUSTOMER = frozenset({"login", "question", "profile"})  # others are copied, or bring evidence of their own
Action = ConsentEvent.Action


def with_evidence(decisions: list[Decision]) -> list[Decision]:
    """Return the decisions with the page, the controller and, for a yes, the categories of data of now.

    All roads add it in one place, so that a tick on `/me` is proved as one at a sign-in. What the decision brings itself counts more.
    """
    if not any(each.method in BY_THE_CUSTOMER for each in decisions):
        return decisions
    opens = any(each.action == Action.GIVEN for each in decisions)
    attributes = list(Attribute.objects.only("key", "category", "purposes")) if opens else []
    return [
        replace(each, evidence={**_evidence(each, attributes), **each.evidence})
        if each.method in BY_THE_CUSTOMER
        else each
        for each in decisions
    ]


def _evidence(decision: Decision, attributes: list[Attribute]) -> dict[str, Any]:
    found: dict[str, Any] = {"controller": settings.CONTROLLER}
    if path := page_path.get():
        found["page"] = path
    if decision.action == Action.GIVEN:
        # What the notice is about, or all that the purpose may use.
        pieces = set(decision.notice.pieces) if decision.notice else set()
        about = [each for each in attributes if each.key in pieces]
        covered = about or [each for each in attributes if decision.purpose in each.purposes]
        found["categories"] = sorted({each.category for each in covered})
    return found
