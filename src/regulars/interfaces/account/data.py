"""The customer's data: to read, to take along, and to erase, with a proof of erasure that names no one."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_safe

from regulars.base import clock
from regulars.base.spreadsheet import escaped
from regulars.connections.models import Connection
from regulars.consent.models import Erasure
from regulars.destinations.disclosures import is_carried_out
from regulars.destinations.models import Disclosure, ManualRequest
from regulars.events.models import Event
from regulars.events.read import happened
from regulars.interfaces.pages.response_policy import page
from regulars.profiles.models import Profile
from regulars.profiles.upstream_tokens import UpstreamRevocation
from regulars.questions.wording import text_in
from regulars.usecases import export
from regulars.usecases.customer_data import decisions_of, facts_of, segments_of
from regulars.usecases.erase import erase_customer
from regulars.usecases.export_tables import newest
from regulars.usecases.recipients import recipients_by_purpose
from regulars.usecases.record_disclosures import all_disclosures_of
from regulars.usecases.retention import days_of

from . import labels
from .names import PageNames, identity_rows, page_locale
from .require_login import account_message, customer_page

UNDERSTOOD = "understood"
R = TypeVar("R", bound=HttpResponseBase)
MOST_ROWS = 500  # of one table on the page; the file has all
COLUMNS = ("kind", "name", "value", "source", "at")


@require_safe
@customer_page(fresh=True)
def all_data(request: HttpRequest, profile: Profile) -> HttpResponse:
    """`/me/data`: all of it on one page to read, keep or print; `/me/data.html`: the same as a file."""
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
            (
                each,
                labels.disclosure(each.state, erased=each.erased, carried_out=each.carried_out),
                [names.attribute(key) for key in each.attributes],
            )
            for each in all_disclosures_of(profile)
        ],
        "events": [(labels.event_name(name), at) for name, at in happened(profile.pk, MOST_ROWS)],
        "more_events": max(Event.objects.filter(profile_id=profile.pk).count() - MOST_ROWS, 0),
        "controller": settings.CONTROLLER,
        "recipients": [
            (names.purpose(key), [str(each) for each in found]) for key, found in recipients_by_purpose().items()
        ],
        "records": _records(profile),
        "most": MOST_ROWS,
        "retention": [(_(text), kept[kind]) for kind, text in labels.RETENTION.items()],
        "rights": export.RIGHTS,
        "kinds": export.LOGIC,
    }
    response = render(request, "account/data.html", context)
    return _file(response, "about-me.html") if request.path.endswith(".html") else response


def _records(profile: Profile) -> list[tuple[str, int, list[tuple[str, list[dict[str, Any]]]]]]:
    """Return (what is kept, how many rows, table → the newest rows) of the tables that have no part of their own."""
    found: dict[str, tuple[int, list[tuple[str, list[dict[str, Any]]]]]] = {}
    for table, (number, rows) in newest([profile, *profile.merged.all()], MOST_ROWS).items():
        name = _(labels.KEPT_IN.get(table.partition(".")[0], labels.KEPT_ELSEWHERE))
        before, parts = found.get(name, (0, []))
        found[name] = before + number, [*parts, (table, rows)]
    return sorted((name, *each) for name, each in found.items())


@require_safe
@customer_page(fresh=True)
def data_file(request: HttpRequest, profile: Profile) -> HttpResponseBase:
    """`/me/data.json`"""
    return _file(_streamed(export.access_file(profile), "application/json"), "about-me.json")


@require_safe
@customer_page(fresh=True)
def portable_file(request: HttpRequest, profile: Profile, form: str) -> HttpResponseBase:
    """`/me/portable.json` and `/me/portable.csv`: what the customer provided and did, for another service."""
    data = export.portable(profile)
    if form == "json":
        return _file(_streamed(export.json_pieces(data), "application/json"), "mine.json")
    if form == "csv":
        return _file(_streamed(_table(data), "text/csv; charset=utf-8"), "mine.csv")
    return account_message(
        request, gettext_noop("No such form"), gettext_noop("There is portable.json and portable.csv."), 404
    )


def _table(data: dict[str, Any]) -> Iterator[str]:
    yield _csv(COLUMNS)
    for fact in data["facts"]:
        yield _csv(_cells("fact", fact["attribute"], fact["value"], fact["source"], fact["since"]))
    for event in data["events"]:
        yield _csv(_cells("event", event["name"], event["properties"], "", event["at"]))


def _csv(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _streamed(pieces: Iterator[str], content_type: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces, content_type=content_type)


def _cells(*values: Any) -> list[str]:
    return [escaped(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)) for each in values]


def _file(response: R, name: str) -> R:
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
    disclosures = Disclosure.objects.filter(pk__in=erasure.disclosures).select_related("version", "destination")
    names = dict(Connection.objects.values_list("name", "display_name"))
    context = {
        "erasure": erasure,
        "rows": _rows(erasure.removed),
        "upstream": [
            (names.get(each.connection, each.connection), _(labels.REVOCATION[each.state]), each.over_at)
            for each in UpstreamRevocation.objects.filter(erasure=number).order_by("pk")
        ],
        "disclosures": [
            (
                each.version.name,
                labels.disclosure(each.state, erased=each.erase, carried_out=is_carried_out(each)),
                each.confirmed_at,
            )
            for each in disclosures
        ]
        + [
            (
                each.name,
                labels.disclosure("removed" if each.done_at else "failed", erased=True, carried_out=True),
                each.done_at,
            )
            for each in ManualRequest.objects.filter(erasure=number).order_by("pk")
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
