"""Segments: the list, one segment's page, its CSV export, and the questions that would settle its unknown customers."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.insights.charts.people_by_attribute import ALL_OTHERS, NOT_KNOWN
from regulars.insights.charts.protocol import ChartScope
from regulars.insights.run_chart import run_chart
from regulars.profiles.find import customers
from regulars.questions.boosts import DAYS, boost_question, rank_questions
from regulars.questions.models import Question
from regulars.segments.builder import countable
from regulars.segments.count import lake_is_behind
from regulars.segments.export_members import columns, count_exported, lines, refuse_without_rows
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment
from regulars.segments.save import membership_condition
from regulars.segments.small_groups import SMALL_GROUP, rounded_groups
from regulars.segments.vocabulary import Vocabulary
from regulars.usecases.save_segment import remove_segment, segments_with, used_by

from ..forms import row_number
from ..pages import EXPORTED, NO_ROLE, done, downloads, may, record_action, show, staff_page
from ..templatetags.console import percent

ROLE = "marketer"
PAGE = 50
CHART = "people_by_attribute"
FIRST_ATTRIBUTES = ("age_band", "gender", "country")  # the first of these that may be used is shown first
MOST_QUESTIONS = 5
HIDDEN = "Conditions that name a customer: marketers and admins see them"
State = Membership.State


def find_segment(slug: str) -> Segment:
    segment = Segment.objects.select_related("purpose", "saved_by").filter(slug=slug).first()
    if segment is None:
        raise Http404("There is no such segment.")
    return segment


def _in_words(request: HttpRequest, segment: Segment, vocabulary: Vocabulary) -> str:
    """Return the condition for this member of staff: one with a customer's name in it is for those who see customers."""
    hidden = not may(request, ROLE) and vocabulary.names_customers(segment.text)
    return HIDDEN if hidden else vocabulary.text(segment.text)


@require_safe
@staff_page(read="viewer")
def segments(request: HttpRequest) -> HttpResponse:
    everybody, vocabulary, destinations = customers().count(), Vocabulary.load(), used_by()
    found = (
        Segment.objects.select_related("purpose")
        .order_by("name")
        .annotate(
            inside=Count("memberships", filter=Q(memberships__state=State.IN)),
            unknown=Count("memberships", filter=Q(memberships__state=State.UNKNOWN)),
        )
    )
    rows = [
        {
            "segment": segment,
            "sentence": _in_words(request, segment, vocabulary),
            "inside": segment.inside,
            "unknown": segment.unknown,
            "outside": max(everybody - segment.inside - segment.unknown, 0),
            "destinations": destinations.get(segment.slug, []),
        }
        for segment in found
    ]
    context = {"rows": rows, "exact": may(request, ROLE), "may_write": may(request, ROLE)}
    return render(request, "console/segments/list.html", context)


@require_safe
@staff_page(read="viewer")
def segment(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a segment; `state` and `after` choose the members shown, `attribute` the chart; `find` ranks questions."""
    found, vocabulary = find_segment(slug), Vocabulary.load()
    counts = found.memberships.aggregate(
        inside=Count("id", filter=Q(state=State.IN)), unknown=Count("id", filter=Q(state=State.UNKNOWN))
    )
    inside, unknown = counts["inside"], counts["unknown"]
    context: dict[str, object] = {
        "segment": found,
        "sentence": _in_words(request, found, vocabulary),
        "exact": may(request, ROLE),
        "may_delete": may(request, "admin"),
        "destinations": used_by().get(slug, []),
        "segments": segments_with(slug),
        "behind": lake_is_behind(),
        "few": inside < SMALL_GROUP,
        "inside": inside,
        "unknown": unknown,
        "outside": max(customers().count() - inside - unknown, 0),
        "tabs": [(State.IN, "In", inside), (State.UNKNOWN, "Unknown", unknown)],
        **_members(request, found),
        **_chart(request, found, vocabulary, inside),
    }
    if "find" in request.GET and may(request, ROLE):
        # the questions that would settle most unknowns; this examines up to 2,000 people, so only on demand
        context["finding_out"] = True
        try:
            ranked = rank_questions(found.slug, _unknown_ids(found))[:MOST_QUESTIONS]
        except DomainError as error:
            context["no_findings"] = error.message
        else:
            texts = dict(Question.objects.filter(key__in=[each.question for each in ranked]).values_list("key", "text"))
            context["findings"] = [(each, texts[each.question]) for each in ranked]
    return show(request, "console/segments/segment.html", context)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Delete the segment, unless another segment or a destination uses it."""
    found = find_segment(slug)
    remove_segment(found)
    sentence = f"“{found.name}” is deleted."
    return done(request, "/console/segments", "segment.deleted", slug, sentence, text=found.text)


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def ask_first(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask a segment's unknown customers this question first, within every cap."""
    segment = find_segment(slug)
    question = Question.objects.filter(key=request.POST.get("question", ""), enabled=True).first()
    if question is None:
        raise Invalid("unknown_question", "There is no such question, or it is switched off.", "question")
    people = boost_question(question, _unknown_ids(segment))
    sentence = f"{people:,} customers are asked “{question.text}” first, for {DAYS} days. Every limit still holds."
    return done(request, f"/console/segments/{slug}", "segment.asked", slug, sentence, question=question.key)


@require_safe
@staff_page(read="marketer")
def export(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the purpose, columns and number of rows before the download."""
    found = find_segment(slug)
    context = {
        "segment": found,
        "columns": columns(found),
        "count": count_exported(found),
        "inside": found.memberships.filter(state=State.IN).count(),
        "few": SMALL_GROUP,
        "downloads": downloads(found.slug),
    }
    return render(request, "console/segments/export.html", context)


@require_safe
@staff_page(read="marketer")
def export_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Download the file. Raises `Invalid("too_few")` for a group so small that its members are nearly named."""
    found = find_segment(slug)
    refuse_without_rows(found)
    count, heads = count_exported(found), columns(found)
    if count < SMALL_GROUP:
        raise Invalid(
            "too_few",
            f"Fewer than {SMALL_GROUP} customers would be in the file. Members of so small a group are nearly named,"
            " so it is not exported.",
        )
    response = StreamingHttpResponse(lines(found, heads), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{found.slug}.csv"'
    if request.method == "GET":
        record_action(request, EXPORTED, slug, purpose=found.purpose_id, columns=heads, count=count)
    return response


def _members(request: HttpRequest, segment: Segment) -> dict[str, object]:
    """Return one page of members in a state, for roles that may see people."""
    state = request.GET.get("state", "")
    state, after = (state if state in State.values else State.IN), row_number(request, "after")
    found = members(segment, state, PAGE + 1, after) if may(request, ROLE) else []
    shown = found[:PAGE]
    following = shown[-1].profile_id if len(found) > PAGE else 0
    return {"state": state, "members": shown, "next": following, "earlier": after}


def _chart(request: HttpRequest, segment: Segment, vocabulary: Vocabulary, inside: int) -> dict[str, object]:
    """Return the members by one attribute; a small group is not broken down."""
    keys = countable(vocabulary.attributes, segment.purpose_id)
    wanted = [request.GET.get("attribute", ""), *FIRST_ATTRIBUTES, *keys]
    attribute = next((key for key in wanted if key in keys), "")
    context: dict[str, object] = {
        "attribute": attribute,
        "attributes": [(key, vocabulary.attribute(key)) for key in keys],
    }
    if not attribute or inside < SMALL_GROUP:
        return context
    scope = ChartScope(
        clock.now(),
        condition=membership_condition(segment),
        purpose=segment.purpose_id,
        attribute=attribute,
    )
    try:
        # the title is the answer: `mostly Portugal (61 % of those known)`
        chart = run_chart(CHART, scope)
        found = chart.rows if may(request, ROLE) else rounded_groups(chart.rows, ALL_OTHERS)
        rows = [(vocabulary.value(attribute, label), number) for label, number in found]
        known = [(label, number) for label, number in rows if label != NOT_KNOWN]
        answer = "known of no customer"
        if known:
            answer = f"mostly {known[0][0]} ({percent(known[0][1], sum(number for _, number in known))} of those known)"
        title = f"{vocabulary.attribute(attribute)}: {answer}"
        context["chart"] = chart.redrawn(rows, title)
    except DomainError as error:
        context["no_chart"] = error.message
    return context


def _unknown_ids(segment: Segment) -> list[int]:
    return list(segment.memberships.filter(state=State.UNKNOWN).values_list("profile_id", flat=True))
