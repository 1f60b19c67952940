"""The customer's data: to read, to take along, and to erase, with a proof of erasure that names no one."""

from __future__ import annotations

import csv
import io
import json
import uuid
from typing import Any

from allauth.account.adapter import get_adapter
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_safe

from regulars.base import clock
from regulars.base.spreadsheet import escaped
from regulars.connections.models import Connection
from regulars.consent.models import Erasure
from regulars.destinations.models import Disclosure
from regulars.events.read import happened
from regulars.interfaces.pages.response_policy import page
from regulars.profiles.models import Profile
from regulars.profiles.upstream_tokens import UpstreamRevocation
from regulars.questions.wording import text_in
from regulars.usecases import export
from regulars.usecases.customer_data import decisions_of, facts_of, segments_of
from regulars.usecases.erase import erase_customer
from regulars.usecases.record_disclosures import all_disclosures_of
from regulars.usecases.retention import days_of

from . import labels
from .names import PageNames, identity_rows, page_locale
from .require_login import account_message, customer_page

UNDERSTOOD = "understood"
COLUMNS = ("kind", "name", "value", "source", "at")


@require_safe
@customer_page(fresh=True)
def all_data(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/data`: all of it on one page to read, keep or print."""
    locale = page_locale(request)
    names = PageNames(locale)
    kept = days_of()
    context = {
        "made_at": clock.now(),
        "facts": [
            (
                each,
                names.value(each),
                names.source(each),
                [names.purpose(key) for key in each.purposes],
            )
            for each in facts_of(profile, locale, everything=True)
        ],
        "why_not": {key: _(sentence) for key, sentence in labels.WHY_NOT.items()},
        "identities": identity_rows(profile, names),
        "decisions": [
            (each, names.purpose(each.purpose_id), _(labels.STATUS[each.action])) for each in decisions_of(profile)
        ],
        "questions": [
            (each, each.words.partition("\n")[0] or text_in(each.question, locale), _(labels.OUTCOME[each.outcome]))
            for each in profile.impressions.select_related("question").order_by("shown_at")
        ],
        "segments": [(each, names.bases_of(each.segment)) for each in segments_of(profile)],
        "disclosures": [
            (each, labels.disclosure(each), [names.attribute(key) for key in each.attributes])
            for each in all_disclosures_of(profile)
        ],
        "events": [(labels.event_name(name), at) for name, at in happened(profile.pk)],
        "retention": [(_(text), kept[kind]) for kind, text in labels.RETENTION.items()],
        "rights": export.RIGHTS,
        "kinds": export.LOGIC,
    }
    return render(request, "account/data.html", context)


@require_safe
@customer_page(fresh=True)
def data_file(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/data.json`"""
    return _file(JsonResponse(export.access(profile), json_dumps_params={"indent": 2}), "about-me.json")


@require_safe
@customer_page(fresh=True)
def portable_file(request: HttpRequest, profile: Profile, form: str) -> HttpResponse:
    """`/me/portable.json` and `/me/portable.csv`: what the customer provided and did, for another service."""
    data = export.portable(profile)
    if form == "json":
        return _file(JsonResponse(data, json_dumps_params={"indent": 2}), "mine.json")
    if form == "csv":
        return _file(HttpResponse(_table(data), content_type="text/csv; charset=utf-8"), "mine.csv")
    return account_message(
        request, gettext_noop("No such form"), gettext_noop("There is portable.json and portable.csv."), 404
    )


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


@require_http_methods(["GET", "POST"])
@customer_page(fresh=True)
def erase(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/erase`: what will be erased, and one box to tick; then the proof."""
    if request.method == "GET" or UNDERSTOOD not in request.POST:
        problem = _("Tick the box to go on.") if request.method == "POST" else ""
        context = {"facts": len(facts_of(profile)), "problem": problem}
        return render(request, "account/erase.html", context, status=400 if problem else 200)
    erasure = erase_customer(profile, "customer")
    get_adapter().logout(request)
    return HttpResponseRedirect(f"/me/erased/{erasure.pk}")


@require_safe
@page
def erased(request: HttpRequest, number: uuid.UUID) -> HttpResponse:
    """`/me/erased/<number>`: what was erased, and which third parties have confirmed. Public to who has the number."""
    erasure = Erasure.objects.filter(pk=number).first()
    if erasure is None:
        return account_message(
            request,
            gettext_noop("No such proof"),
            gettext_noop("Check the address: it was shown to you when everything was erased."),
            404,
        )
    disclosures = Disclosure.objects.filter(pk__in=erasure.disclosures).select_related("version")
    names = dict(Connection.objects.values_list("name", "display_name"))
    context = {
        "erasure": erasure,
        "rows": _rows(erasure.removed),
        "upstream": [
            (names.get(each.connection, each.connection), _(labels.REVOCATION[each.state]), each.over_at)
            for each in UpstreamRevocation.objects.filter(erasure=number).order_by("pk")
        ],
        "disclosures": [
            (each.version.name, _(labels.DISCLOSURE[each.state]), each.confirmed_at) for each in disclosures
        ],
    }
    return render(request, "account/erased.html", context)


def _rows(removed: dict[str, list[int]]) -> list[tuple[str, int, int]]:
    """Return (what was kept, rows before, rows after): tables that hold the same kind of data are counted together."""
    found: dict[str, tuple[int, int]] = {}
    for table, (before, after) in removed.items():
        name = _(labels.KEPT_IN.get(table.partition(".")[0], labels.KEPT_ELSEWHERE))
        sums = found.get(name, (0, 0))
        found[name] = (sums[0] + before, sums[1] + after)
    return sorted((name, *sums) for name, sums in found.items())
