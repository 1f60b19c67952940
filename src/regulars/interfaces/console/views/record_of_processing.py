"""The record of processing as a page to read and print, and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.usecases.processing_record import processing_record

from ..pages import staff_page


@require_safe
@staff_page(read="marketer")
def record(request: HttpRequest) -> HttpResponse:
    return render(request, "console/processing.html", {"record": processing_record()})


@require_safe
@staff_page(read="marketer")
def record_json(request: HttpRequest) -> HttpResponse:
    answer = JsonResponse(asdict(processing_record()), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = 'attachment; filename="record-of-processing.json"'
    return answer
