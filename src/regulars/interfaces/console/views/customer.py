"""One customer: how we know her, what we know, who may use it, and what happened."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.base import clock
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.view import views
from regulars.events.read import timeline
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.values import display_value
from regulars.questions.preview import decisions_of, preview
from regulars.usecases.find_customers import customer_name

from .. import words
from ..door import may, staff_page
from .customer_correct import ROLE, correctable

EVENTS = 50
DECISIONS = 10


@require_safe
@staff_page
def customer(request: HttpRequest, user_id: str) -> HttpResponse:
    profile = find_by_user_id(user_id)
    if profile is None:
        raise Http404("There is no such customer.")
    attributes = {attribute.key: attribute for attribute in Attribute.objects.all()}
    consents = list(
        ConsentEvent.objects.filter(profile=profile).select_related("purpose", "notice").order_by("-at", "-id")
    )
    happened = timeline(profile.pk, EVENTS)
    context = {
        "person": profile,
        "name": customer_name(profile),
        "identities": list(profile.identities.order_by("first_seen_at")),
        "facts": _facts(profile, attributes, consents),
        "uses": _uses(profile, attributes),
        "consents": [(each, words.consent(each.action)) for each in consents],
        "happened": happened,
        "preview": preview(profile),
        "decisions": decisions_of(profile, DECISIONS),
        "correctable": correctable() if may(request, ROLE) else [],
        "memberships": list(profile.memberships.select_related("segment").order_by("segment__name")),
    }
    return render(request, "console/customer.html", context)


def _facts(profile: Profile, attributes: dict[str, Attribute], consents: list[ConsentEvent]) -> list[dict[str, Any]]:
    """Every fact, by attribute and newest first, with the purposes it was given for."""
    asked_for = {each.pk: each.purpose.label for each in consents}
    facts = Fact.objects.filter(profile=profile).order_by("attribute", "-collected_at", "-id")
    return [
        {
            "fact": fact,
            "label": _label(fact.attribute, attributes),
            "value": _value(fact.attribute, fact.value, attributes),
            "purposes": attributes[fact.attribute].purposes if fact.attribute in attributes else ["serve"],
            "consents": [asked_for[each] for each in fact.consents if each in asked_for],
            "over": _over(fact),
        }
        for fact in facts
    ]


def _over(fact: Fact) -> str:
    """Why a fact no longer counts; empty while it does."""
    if fact.retracted_at:
        return fact.retracted_why.replace("_", " ") or "taken back"
    return "ran out" if fact.expires_at and fact.expires_at <= clock.now() else ""


def _uses(profile: Profile, attributes: dict[str, Attribute]) -> list[dict[str, Any]]:
    """What may be used for each purpose now, as the one gate says."""
    permitted = views(profile)
    return [
        {
            "purpose": purpose,
            "values": [
                (_label(key, attributes), _value(key, raw, attributes))
                for key, raw in sorted(permitted.get(purpose.key, {}).items())
            ],
        }
        for purpose in Purpose.objects.filter(active=True).order_by("key")
    ]


def _label(key: str, attributes: dict[str, Attribute]) -> str:
    return attributes[key].label if key in attributes else key.rpartition(".")[2].replace("_", " ").capitalize()


def _value(key: str, raw: Any, attributes: dict[str, Attribute]) -> str:
    options = attributes[key].options if key in attributes else []
    return display_value(key, raw, {option["key"]: option["label"] for option in options})
