"""One decision of a customer with everything that was recorded of it, and its receipt."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from regulars.base.errors import NotFound
from regulars.profiles.find import find_by_user_id
from regulars.usecases.consent_receipt import ConsentRecord, find_record, receipt

from ..pages import show, staff_page


@require_safe
@staff_page(read="marketer")
def decision(request: HttpRequest, user_id: str, number: int) -> HttpResponse:
    context = {"user_id": user_id, "record": _find(user_id, number)}
    return show(request, "console/customer_decision.html", context)


@require_safe
@staff_page(read="marketer")
def decision_receipt(request: HttpRequest, user_id: str, number: int) -> HttpResponse:
    response = JsonResponse(receipt(_find(user_id, number)), json_dumps_params={"indent": 2})
    response.headers["Content-Disposition"] = f'attachment; filename="decision-{number}.json"'
    return response


def _find(user_id: str, number: int) -> ConsentRecord:
    profile = find_by_user_id(user_id)
    if profile is None:
        raise Http404("There is no such customer.")
    try:
        return find_record(profile, number)
    except NotFound:
        raise Http404("There is no such decision.") from None
