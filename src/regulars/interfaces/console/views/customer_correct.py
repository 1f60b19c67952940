"""A value of one customer is set right by a member of staff, who says why. She reads both on her own page."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from regulars.accounts.models import Account
from regulars.base.errors import DomainError
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Attribute, Profile
from regulars.profiles.values import LONGEST, display_value, write_value
from regulars.usecases.correct_facts import LONGEST_REASON, may_staff_correct
from regulars.usecases.correct_facts import correct as write
from regulars.usecases.customer_data import facts_of
from regulars.usecases.find_customers import customer_name

from ..door import require, staff_page
from ..forms import FormError, done, problem_of

ROLE = "marketer"
YES_NO = [("yes", "Yes"), ("no", "No")]


def correctable() -> list[Attribute]:
    """What may be written by hand of anybody, by name."""
    return [each for each in Attribute.objects.order_by("label") if may_staff_correct(each)]


@require_http_methods(["GET", "POST"])
@staff_page
def correct(request: HttpRequest, user_id: str) -> HttpResponse:
    """`/console/customers/<user id>/correct?attribute=`"""
    require(request, ROLE)
    profile = find_by_user_id(user_id)
    attribute = Attribute.objects.filter(key=request.GET.get("attribute", "")[:128]).first()
    if profile is None or attribute is None or not may_staff_correct(attribute):
        raise Http404("There is no such customer, or this is not written by hand.")
    if request.method == "GET":
        known = next((each.value for each in facts_of(profile) if each.attribute == attribute.key), None)
        return _page(request, profile, attribute, write_value(known), "")
    typed, reason = request.POST.get("value", ""), request.POST.get("reason", "")
    assert isinstance(request.user, Account)
    try:
        write(profile, attribute.key, typed, reason=reason, staff=request.user.key)
    except DomainError as refused:
        return _page(request, profile, attribute, typed, reason, problem_of(refused))
    # Neither the value nor the reason: the record of acts outlives her, and she may be forgotten.
    sentence = f"{attribute.label} is set right. She reads why on her own page."
    address = f"/console/customers/{quote(profile.user_id)}"
    return done(request, address, "customer.corrected", profile.user_id, sentence, attribute=attribute.key)


def _page(
    request: HttpRequest,
    profile: Profile,
    attribute: Attribute,
    value: str,
    reason: str,
    problem: FormError | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        "person": profile,
        "name": customer_name(profile),
        "attribute": attribute,
        "value": value,
        "reason": reason,
        "problem": problem,
        "choices": _choices(attribute, value),
        "kind": {"number": "number", "date": "date"}.get(attribute.type, "text"),
        "longest": LONGEST,
        "longest_reason": LONGEST_REASON,
        "several": attribute.type == "list" and ", ".join(each["key"] for each in attribute.options),
    }
    return render(request, "console/customer_correct.html", context, status=400 if problem else 200)


def _choices(attribute: Attribute, value: str) -> list[tuple[str, str]]:
    """None for what is written, not chosen. Where nothing is kept nothing is chosen before somebody does."""
    before = [] if value else [("", "Choose")]
    if attribute.type == "boolean":
        return before + YES_NO
    if attribute.type != "choice":
        return []
    labels = {each["key"]: each["label"] for each in attribute.options}
    return before + [(key, display_value(attribute.key, key, labels)) for key in labels]
