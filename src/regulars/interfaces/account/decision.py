"""`/me/decisions/<number>`: one decision with everything that was recorded of it, to read and as a receipt."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from regulars.base.errors import NotFound
from regulars.profiles.models import Profile
from regulars.usecases.consent_receipt import ConsentRecord, find_record, receipt

from . import labels
from .names import PageNames, page_locale
from .require_login import account_message, customer_page


@require_safe
@customer_page()
def decision(request: HttpRequest, profile: Profile, number: int) -> HttpResponse:
    record = _find(profile, number)
    if record is None:
        return _not_there(request)
    names = PageNames(page_locale(request))
    context = {
        "record": record,
        "purpose": names.purpose(record.event.purpose_id),
        "action": _(labels.STATUS[record.event.action]),
        "language": labels.value("locale", record.locale),
        "way": _(labels.WAYS.get(record.event.method, labels.OTHER_WAY)),
        "kinds": names.attributes_of(record.categories, record.event.purpose_id, record.pieces),
        "later": [(each, _(labels.STATUS[each.action])) for each in record.later],
    }
    return render(request, "account/decision.html", context)


@require_safe
@customer_page()
def receipt_file(request: HttpRequest, profile: Profile, number: int) -> HttpResponse:
    record = _find(profile, number)
    if record is None:
        return _not_there(request)
    response = JsonResponse(receipt(record), json_dumps_params={"indent": 2})
    response.headers["Content-Disposition"] = f'attachment; filename="decision-{number}.json"'
    return response


def _find(profile: Profile, number: int) -> ConsentRecord | None:
    try:
        return find_record(profile, number)
    except NotFound:
        return None


def _not_there(request: HttpRequest) -> HttpResponse:
    return account_message(
        request, gettext_noop("No such decision"), gettext_noop("It is not one of yours, or it was erased."), 404
    )
