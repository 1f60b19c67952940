"""Customers: the search, one customer's page, and the correction of one value."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from regulars.accounts.models import Account
from regulars.base.conditions import ConditionError
from regulars.base.errors import DomainError, Unavailable
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.view import WHY_UNUSED, uses_of_facts, views
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.values import LONGEST, display_value, write_value
from regulars.questions.preview import decisions_of, preview
from regulars.usecases.correct_facts import LONGEST_REASON, may_staff_correct
from regulars.usecases.correct_facts import correct as write
from regulars.usecases.customer_data import facts_of
from regulars.usecases.find_customers import CustomerPage, customer_name, find_customers
from regulars.usecases.grant_purposes import ACCOUNT
from regulars.usecases.permitted_events import permitted_events

from ..edits import FormContent, editing
from ..forms import FormError, form_error, form_page, row_number
from ..pages import done, may, show, staff_page

PAGE = 50
EVENTS = 50
DECISIONS = 10
CORRECTING_ROLE = "marketer"
YES_NO = [("yes", "Yes"), ("no", "No")]


@require_safe
@staff_page(read="marketer")
def customers(request: HttpRequest) -> HttpResponse:
    """List the customers that `q` finds, after the number `after`; an error in the search is shown at its position."""
    text, after = request.GET.get("q", ""), row_number(request, "after")
    problem, spot = None, None
    try:
        page = find_customers(text, PAGE, after)
    except ConditionError as error:
        page, problem = CustomerPage([], 0), error
        spot = None if error.position is None else (text[: error.position], text[error.position :])
    context = {
        "q": text,
        "people": page.people,
        "next": page.next,
        "earlier": after,
        "problem": problem,
        "spot": spot,
    }
    return show(request, "console/customers.html", context, part="found", status=400 if problem else 200)


@require_safe
@staff_page(read="marketer")
def customer(request: HttpRequest, user_id: str) -> HttpResponse:
    """Show one customer: identities, facts, what each purpose may use, consents and events."""
    profile = find_by_user_id(user_id)
    if profile is None:
        raise Http404("There is no such customer.")
    attributes = {attribute.key: attribute for attribute in Attribute.objects.order_by("label")}
    consents = list(
        ConsentEvent.objects.filter(profile=profile).select_related("purpose", "notice").order_by("-at", "-id")
    )
    # what each purpose may use now, according to the consent gate
    permitted = views(profile)
    happened = permitted_events(profile, ACCOUNT, EVENTS)
    context = {
        "person": profile,
        "name": customer_name(profile),
        "identities": list(profile.identities.order_by("first_seen_at")),
        "facts": _facts(profile, attributes, consents),
        "uses": [
            {
                "purpose": purpose,
                "values": [
                    (_label(key, attributes), _value(key, raw, attributes))
                    for key, raw in sorted(permitted.get(purpose.key, {}).items())
                ],
            }
            for purpose in Purpose.objects.filter(active=True).order_by("key")
        ],
        "consents": consents,
        "happened": happened.events,
        "events_in_use": happened.use,
        "preview": preview(profile),
        "decisions": decisions_of(profile, DECISIONS),
        "correctable": [each for each in attributes.values() if may_staff_correct(each)]
        if may(request, CORRECTING_ROLE)
        else [],
        "memberships": list(profile.memberships.select_related("segment").order_by("segment__name")),
    }
    return render(request, "console/customer.html", context)


@require_http_methods(["GET", "POST"])
@staff_page(read="marketer", write="marketer")
def correct(request: HttpRequest, user_id: str) -> HttpResponse:
    """`/console/customers/<user id>/correct?attribute=`: correct a value and give the reason, which the customer can read."""
    profile = find_by_user_id(user_id)
    attribute = Attribute.objects.filter(key=request.GET.get("attribute", "")[:128]).first()
    if profile is None or attribute is None or not may_staff_correct(attribute):
        raise Http404("There is no such customer, or this value cannot be corrected by hand.")
    if request.method == "GET":
        return _correction_page(request, profile, attribute, _known(profile, attribute), "")
    typed, reason = request.POST.get("value", ""), request.POST.get("reason", "")
    assert isinstance(request.user, Account)
    # Neither the value nor the reason: the record of actions outlives the customer's data, which may be erased.
    sentence = f"{attribute.label} is corrected. The customer reads the reason on their own page."
    address = f"/console/customers/{quote(profile.user_id, safe='')}"
    try:
        with editing(request, profile, lambda row: _correction_shown(row, attribute)) as row:
            write(row, attribute.key, typed, reason=reason, staff=request.user.key)
            return done(request, address, "customer.corrected", profile.user_id, sentence, attribute=attribute.key)
    except Unavailable:  # a page of its own
        raise
    except DomainError as error:
        return _correction_page(request, profile, attribute, typed, reason, form_error(error))


def _correction_shown(profile: Profile, attribute: Attribute) -> FormContent:
    return FormContent(profile.user_id, ("customer.corrected",), {"value": _known(profile, attribute)})


def _known(profile: Profile, attribute: Attribute) -> str:
    return write_value(next((each.value for each in facts_of(profile) if each.attribute == attribute.key), None))


def _facts(profile: Profile, attributes: dict[str, Attribute], consents: list[ConsentEvent]) -> list[dict[str, object]]:
    """Return every fact, by attribute and newest first, with the purposes of its consents."""
    purpose_of = {each.pk: each.purpose.label for each in consents}
    uses = uses_of_facts(profile)
    facts = Fact.objects.filter(profile=profile).order_by("attribute", "-collected_at", "-id")
    return [
        {
            "fact": fact,
            "label": _label(fact.attribute, attributes),
            "value": _value(fact.attribute, fact.value, attributes),
            "purposes": attributes[fact.attribute].purposes if fact.attribute in attributes else ["serve"],
            "consents": [purpose_of[each] for each in fact.consents if each in purpose_of],
            "over": _over(fact, uses[fact.pk].why_not),
        }
        for fact in facts
    ]


def _over(fact: Fact, why: str) -> str:
    """Return why a fact may be used for nothing; empty while it may."""
    if fact.retracted_at:
        return fact.retracted_why.replace("_", " ") or "withdrawn"
    return WHY_UNUSED.get(why, "")


def _label(key: str, attributes: dict[str, Attribute]) -> str:
    return attributes[key].label if key in attributes else key.rpartition(".")[2].replace("_", " ").capitalize()


def _value(key: str, raw: Any, attributes: dict[str, Attribute]) -> str:
    options = attributes[key].options if key in attributes else []
    return display_value(key, raw, {option["key"]: option["label"] for option in options})


def _correction_page(
    request: HttpRequest,
    profile: Profile,
    attribute: Attribute,
    value: str,
    reason: str,
    problem: FormError | None = None,
) -> HttpResponse:
    context = {
        "person": profile,
        "name": customer_name(profile),
        "attribute": attribute,
        "value": value,
        "reason": reason,
        "choices": _choices(attribute, value),
        "kind": {"number": "number", "date": "date"}.get(attribute.type, "text"),
        "longest": LONGEST,
        "longest_reason": LONGEST_REASON,
        "several": attribute.type == "list" and ", ".join(each["key"] for each in attribute.options),
    }
    edits = _correction_shown(profile, attribute)
    return form_page(
        request, "console/customer_correct.html", context, role=CORRECTING_ROLE, problem=problem, edits=edits
    )


def _choices(attribute: Attribute, value: str) -> list[tuple[str, str]]:
    """Return the options to choose from, empty for a text input. Without a value nothing is preselected."""
    before = [] if value else [("", "Choose")]
    if attribute.type == "boolean":
        return before + YES_NO
    if attribute.type != "choice":
        return []
    labels = {each["key"]: each["label"] for each in attribute.options}
    return before + [(key, display_value(attribute.key, key, labels)) for key in labels]
