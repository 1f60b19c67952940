"""Her data to read and to take along."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from regulars.base.spreadsheet import escaped
from regulars.profiles.models import Profile
from regulars.usecases import export
from regulars.usecases.customer_data import decisions_of, facts_of, segments_of

from . import me_labels, me_words
from .me_door import fresh, hers, words

COLUMNS = ("kind", "name", "value", "source", "at")


@require_safe
@hers
@fresh
def whole(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/data`: all of it on one page that a person can read, keep or print."""
    context = {
        "data": export.access(profile),
        "facts": [
            (each, me_words.value(each.attribute, each.value, each.options), me_words.source(each))
            for each in map(me_labels.in_her_words, facts_of(profile, everything=True))
        ],
        "why_not": {key: _(sentence) for key, sentence in me_words.WHY_NOT.items()},
        "decisions": [(each, _(me_words.STATUS.get(each.action, each.action))) for each in decisions_of(profile)],
        "segments": segments_of(profile),
        "kinds": export.LOGIC,
    }
    return render(request, "signin/me_data.html", context)


@require_safe
@hers
@fresh
def taken_along(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/data.json`"""
    return _file(JsonResponse(export.access(profile), json_dumps_params={"indent": 2}), "about-me.json")


@require_safe
@hers
@fresh
def portable(request: HttpRequest, profile: Profile, form: str) -> HttpResponse:
    """`/me/portable.json` and `/me/portable.csv`: what she gave and did, for another service."""
    data = export.portable(profile)
    if form == "json":
        return _file(JsonResponse(data, json_dumps_params={"indent": 2}), "mine.json")
    if form == "csv":
        return _file(HttpResponse(_table(data), content_type="text/csv; charset=utf-8"), "mine.csv")
    return words(request, gettext_noop("No such form"), gettext_noop("There is portable.json and portable.csv."), 404)


def _table(data: dict[str, Any]) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for fact in data["facts"]:
        rows.writerow(_cells("fact", fact["attribute"], fact["value"], fact["source"], fact["since"]))
    for event in data["events"]:
        rows.writerow(_cells("event", event["name"], event["properties"], "", event["at"]))
    return text.getvalue()


def _cells(*values: Any) -> list[str]:
    return [escaped(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)) for each in values]


def _file(response: HttpResponse, name: str) -> HttpResponse:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
