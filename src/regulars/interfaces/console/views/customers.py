"""Customers: one search box, one table."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from regulars.base.conditions import ConditionError
from regulars.usecases.find_customers import CustomerPage, customer_name, find_customers

from ..door import show, staff_page

PAGE = 50


@require_safe
@staff_page
def customers(request: HttpRequest) -> HttpResponse:
    """The customers that `q` finds, after the number `after`; a search that does not parse says where."""
    text, after = request.GET.get("q", ""), _number(request.GET.get("after", ""))
    problem: ConditionError | None = None
    try:
        page = find_customers(text, PAGE, after)
    except ConditionError as bad:
        page, problem = CustomerPage([], 0), bad
    context = {
        "q": text,
        "people": [(person, customer_name(person)) for person in page.people],
        "next": page.next,
        "earlier": after,
        "problem": problem,
        "spot": _spot(text, problem),
    }
    return show(request, "console/customers.html", context, part="found", status=400 if problem else 200)


def _spot(text: str, problem: ConditionError | None) -> tuple[str, str] | None:
    """The search before and after the first character that does not fit."""
    if problem is None or problem.position is None:
        return None
    return text[: problem.position], text[problem.position :]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
