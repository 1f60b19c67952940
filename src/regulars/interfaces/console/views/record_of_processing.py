"""The record of processing as a page to read and print, and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.usecases.processing_record import processing_record

from ..pages import staff_page

BASES = {
    "consent": "Consent, art. 6 (1) (a)",
    "contract": "Contract, art. 6 (1) (b)",
    "legitimate_interest": "Legitimate interest, art. 6 (1) (f)",
}
# Kind of an `Origin` → what it is called beside its name; empty: its name says it.
ORIGINS = {
    "sign_in": "sign-in",
    "share": "shared by the customer",
    "question": "answer",
    "event": "events",
    "lookup": "look-up",
    "conclusion": "conclusion",
    "application": "application",
    "rule": "rule",
    "page": "",
    "staff": "",
}


@require_safe
@staff_page(read="marketer")
def record(request: HttpRequest) -> HttpResponse:
    found = processing_record()
    labels = {each.key: each.label for each in found.purposes}
    context = {
        "record": found,
        "purposes": [(each, BASES.get(each.basis, each.basis)) for each in found.purposes],
        "attributes": [
            (
                each,
                [labels.get(key, key) for key in each.purposes],
                [(origin, ORIGINS[origin.kind], labels.get(origin.purpose, "")) for origin in each.origins],
            )
            for each in found.attributes
        ],
    }
    return render(request, "console/processing.html", context)


@require_safe
@staff_page(read="marketer")
def record_json(request: HttpRequest) -> HttpResponse:
    answer = JsonResponse(asdict(processing_record()), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = 'attachment; filename="record-of-processing.json"'
    return answer
