"""Ask to find out: which questions would settle a segment's unknowns, and asking those people first."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from regulars.base.errors import DomainError, Invalid
from regulars.questions.boosts import DAYS, boost_question, rank_questions
from regulars.questions.models import Question
from regulars.segments.models import Membership, Segment

from ..door import require, staff_page
from ..forms import done
from .segment_builder import find_segment

ROLE = "marketer"
MOST = 5  # questions worth a marketer's look


def findings(segment: Segment) -> dict[str, Any]:
    """What the panel shows; it looks at up to 2,000 people, so only whoever asks for it waits for it."""
    unknown = unknown_people(segment)
    try:
        found = rank_questions(segment.slug, unknown)[:MOST]
    except DomainError as refused:
        return {"finding_out": True, "no_findings": refused.message}
    texts = dict(Question.objects.filter(key__in=[each.question for each in found]).values_list("key", "text"))
    return {"finding_out": True, "findings": [(each, texts[each.question]) for each in found]}


def unknown_people(segment: Segment) -> list[int]:
    return list(segment.memberships.filter(state=Membership.State.UNKNOWN).values_list("profile_id", flat=True))


@require_POST
@staff_page
def ask_first(request: HttpRequest, slug: str) -> HttpResponse:
    """One click: the unknown people of a segment are asked this question first, within every cap."""
    require(request, ROLE)
    segment = find_segment(slug)
    question = Question.objects.filter(key=request.POST.get("question", ""), enabled=True).first()
    if question is None:
        raise Invalid("unknown_question", "This question is not there or not switched on.", "question")
    people = boost_question(question, unknown_people(segment))
    sentence = f"{people:,} customers are asked “{question.text}” first, for {DAYS} days. Every limit still holds."
    return done(request, f"/console/segments/{slug}", "segment.asked", slug, sentence, question=question.key)
