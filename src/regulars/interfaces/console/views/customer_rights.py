"""What staff record for a customer who says no on the phone, by letter or in the shop."""

from __future__ import annotations

from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from regulars.accounts.models import Account
from regulars.base.errors import DomainError, Invalid, Unavailable
from regulars.consent.models import Purpose
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Profile
from regulars.usecases.account_mails import lifting_address
from regulars.usecases.find_customers import customer_name
from regulars.usecases.refuse_consent import LONGEST_WORDS, Refusal, refuse
from regulars.usecases.restrict import LONGEST_REASON, announce_lifting, open_restriction, restrict

from ..forms import FormError, form_error, form_page
from ..pages import done, staff_page

ROLE = "marketer"
ANY = ""  # in the place of a purpose: any advertising


@require_http_methods(["GET", "POST"])
@staff_page(read=ROLE, write=ROLE)
def record_refusal(request: HttpRequest, user_id: str) -> HttpResponse:
    """`/console/customers/<user id>/refusal`: record a withdrawal or an objection, with the reason of staff."""
    profile = find_by_user_id(user_id)
    if profile is None:
        raise Http404("There is no such customer.")
    if request.method == "GET":
        return _page(request, profile)
    purpose, reason = request.POST.get("purpose", ANY)[:32], request.POST.get("reason", "").strip()
    assert isinstance(request.user, Account)
    try:
        if not reason:
            raise Invalid("reason_needed", "Give a reason: how and when the customer said so.", "reason")
        refusal = Refusal(
            "staff",
            f"staff:{request.user.key}",
            (purpose,) if purpose else (),
            objects="objects" in request.POST,
            words=request.POST.get("words", "").strip(),
            reason=reason,
        )
        written = refuse(profile, refusal)
    except Unavailable:  # a page of its own
        raise
    except DomainError as error:
        return _page(request, profile, form_error(error))
    sentence = (
        "Recorded. It holds for every profile with the same address or number."
        if written
        else ("It was recorded already: nothing changed.")
    )
    address = f"/console/customers/{quote(profile.user_id, safe='')}"
    # Neither words nor reason: the record of actions outlives the customer's data, which may be erased.
    return done(request, address, "customer.refused", profile.user_id, sentence, purpose=purpose or "advertising")


def _page(request: HttpRequest, profile: Profile, problem: FormError | None = None) -> HttpResponse:
    purposes = Purpose.objects.filter(active=True).exclude(basis=Purpose.Basis.CONTRACT).order_by("label")
    context = {
        "person": profile,
        "name": customer_name(profile),
        "purposes": [(ANY, "Any advertising"), *((each.key, each.label) for each in purposes)],
        "purpose": request.POST.get("purpose", ANY),
        "objects": "objects" in request.POST,
        "words": request.POST.get("words", ""),
        "reason": request.POST.get("reason", ""),
        "longest": LONGEST_WORDS,
    }
    return form_page(request, "console/customer_refusal.html", context, role=ROLE, problem=problem)


@require_http_methods(["GET", "POST"])
@staff_page(read=ROLE, write=ROLE)
def change_restriction(request: HttpRequest, user_id: str) -> HttpResponse:
    """`/console/customers/<user id>/restriction`: restrict processing, or announce that it is lifted; each with a reason."""
    profile = find_by_user_id(user_id)
    if profile is None:
        raise Http404("There is no such customer.")
    if request.method == "GET":
        return _restriction_page(request, profile)
    assert isinstance(request.user, Account)
    actor, reason = f"staff:{request.user.key}", request.POST.get("reason", "").strip()
    try:
        if "lift" in request.POST:
            informed, has_address = request.POST.get("informed", "").strip(), bool(lifting_address(profile))
            announce_lifting(profile, actor, reason, informed, has_address=has_address)
            what, sentence = "customer.lifting_announced", "The customer is informed; it is lifted three days later."
        else:
            restrict(profile, "staff", actor, reason)
            what, sentence = "customer.restricted", "Restricted. What is known is only stored, and used to sign in."
    except Unavailable:  # a page of its own
        raise
    except DomainError as error:
        return _restriction_page(request, profile, form_error(error))
    return done(request, f"/console/customers/{quote(profile.user_id, safe='')}", what, profile.user_id, sentence)


def _restriction_page(request: HttpRequest, profile: Profile, problem: FormError | None = None) -> HttpResponse:
    context = {
        "person": profile,
        "name": customer_name(profile),
        "restriction": open_restriction(profile),
        "address": lifting_address(profile),
        "reason": request.POST.get("reason", ""),
        "informed": request.POST.get("informed", ""),
        "longest": LONGEST_REASON,
    }
    return form_page(request, "console/customer_restriction.html", context, role=ROLE, problem=problem)
