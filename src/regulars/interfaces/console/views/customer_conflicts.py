"""The review list: pairs of customers whom a message called one person."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.accounts.models import Account
from regulars.base.errors import Invalid
from regulars.usecases.identity_conflicts import join, keep_apart, open_conflicts

from ..pages import NO_ROLE, done, may, staff_page

ROLE = "admin"
HERE = "/console/customers/review"


@require_safe
@staff_page(read="marketer")
def conflicts(request: HttpRequest) -> HttpResponse:
    """List the open pairs, the newest first."""
    context = {"conflicts": open_conflicts(), "may_write": may(request, ROLE)}
    return render(request, "console/customer_conflicts.html", context)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def decide(request: HttpRequest, number: int) -> HttpResponse:
    """Decide one pair: `do` is `apart`, or `join` with the user id to `keep`."""
    assert isinstance(request.user, Account)
    match request.POST.get("do"):
        case "apart":
            keep_apart(number, request.user.key)
            return done(request, HERE, "customers.kept_apart", str(number), "These two stay two customers.")
        case "join":
            kept = join(number, request.POST.get("keep", ""), request.user.key)
            sentence = f"The two are one customer now: {kept.user_id}."
            return done(request, HERE, "customers.joined", kept.user_id, sentence, conflict=number)
    raise Invalid("unknown_decision", "Choose whether the two are one person.", "do")
