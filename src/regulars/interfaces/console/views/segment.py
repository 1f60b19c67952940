"""One segment: who is in it, who they are, where it is used, and how to take it out of the house."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST, require_safe

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.insights.answer import CHARTS, Answer, answer
from regulars.insights.charts.about import About
from regulars.insights.charts.people_by_attribute import NOT_KNOWN
from regulars.profiles.find import customers
from regulars.segments.builder import countable
from regulars.segments.count import SMALL_GROUP, lake_is_behind
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment
from regulars.segments.save import condition_of
from regulars.segments.vocabulary import Vocabulary
from regulars.usecases.find_customers import customer_name
from regulars.usecases.save_segment import remove_segment, segments_with, used_by

from .. import audit
from ..door import may, require, show, staff_page
from ..templatetags.console import percent
from .find_out import findings
from .segment_builder import find_segment

PAGE = 50
CHART = "people_by_attribute"
FIRST_ATTRIBUTES = ("age_band", "gender", "country")  # the first of these that may be used is shown first
State = Membership.State


@require_safe
@staff_page
def segment(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; `state` and `after` choose the members shown, `attribute` the chart; `find` ranks questions."""
    found, vocabulary = find_segment(slug), Vocabulary.load()
    figures = _figures(found)
    context = {
        "segment": found,
        "said": vocabulary.text(found.text),
        "exact": may(request, "marketer"),
        "may_delete": may(request, "admin"),
        "destinations": used_by().get(slug, []),
        "segments": segments_with(slug),
        "behind": lake_is_behind(),
        "few": figures["inside"] < SMALL_GROUP,
        **figures,
        **_members(request, found, figures),
        **_chart(request, found, vocabulary, figures["inside"]),
        **(findings(found) if "find" in request.GET and may(request, "marketer") else {}),
    }
    return show(request, "console/segments/segment.html", context)


@require_POST
@staff_page
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Delete the segment, unless something stands on it."""
    require(request, "admin")
    found = find_segment(slug)
    remove_segment(found)
    audit.note(request, "segment.deleted", slug, text=found.text)
    messages.success(request, f"“{found.name}” is deleted.")
    return HttpResponseRedirect("/console/segments")


def _figures(segment: Segment) -> dict[str, int]:
    counts = segment.memberships.aggregate(
        inside=Count("id", filter=Q(state=State.IN)), unknown=Count("id", filter=Q(state=State.UNKNOWN))
    )
    inside, unknown = counts["inside"], counts["unknown"]
    return {"inside": inside, "unknown": unknown, "outside": max(customers().count() - inside - unknown, 0)}


def _members(request: HttpRequest, segment: Segment, figures: dict[str, int]) -> dict[str, Any]:
    """One page of people in a state, for roles that may see people."""
    state = request.GET.get("state", "")
    state, after = (state if state in State.values else State.IN), _number(request.GET.get("after", ""))
    found = members(segment, state, PAGE + 1, after) if may(request, "marketer") else []
    shown = found[:PAGE]
    return {
        "state": state,
        "tabs": [(State.IN, "In", figures["inside"]), (State.UNKNOWN, "Unknown", figures["unknown"])],
        "members": [(each, customer_name(each.profile)) for each in shown],
        "next": shown[-1].profile_id if len(found) > PAGE else 0,
        "earlier": after,
    }


def _chart(request: HttpRequest, segment: Segment, vocabulary: Vocabulary, inside: int) -> dict[str, Any]:
    """Who they are by one attribute; of a small group nothing is broken down."""
    keys = countable(vocabulary.attributes, segment.purpose_id)
    wanted = [request.GET.get("attribute", ""), *FIRST_ATTRIBUTES, *keys]
    attribute = next((key for key in wanted if key in keys), "")
    context: dict[str, Any] = {"attribute": attribute, "attributes": [(key, vocabulary.attribute(key)) for key in keys]}
    if not attribute or inside < SMALL_GROUP:
        return context
    about = About(
        clock.now(),
        condition=condition_of(segment.text, (segment.slug,)),
        purpose=segment.purpose_id,
        attribute=attribute,
    )
    try:
        context["chart"] = _in_words(answer(CHART, about), attribute, vocabulary)
    except DomainError as refused:
        context["no_chart"] = refused.message
    return context


def _in_words(chart: Answer, attribute: str, vocabulary: Vocabulary) -> Answer:
    """The chart with an attribute's values as people say them, and the answer as its title."""
    rows = [(vocabulary.value(attribute, label), number) for label, number in chart.rows]
    title = f"{vocabulary.attribute(attribute)}: {_most(rows)}"
    return replace(chart, title=title, rows=rows, spec=CHARTS[chart.key].draw(rows))


def _most(rows: list[tuple[str, int]]) -> str:
    """`mostly Portugal (61 % of those known)`."""
    known = [(label, number) for label, number in rows if label != NOT_KNOWN]
    if not known:
        return "known of nobody"
    return f"mostly {known[0][0]} ({percent(known[0][1], sum(number for _, number in known))} of those known)"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
