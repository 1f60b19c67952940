"""Questions: what may be asked at a login, and how each fares."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.questions.counts import Counts, counts
from regulars.questions.models import Question
from regulars.questions.save import switch_question

from ..door import may, require, staff_page
from ..forms import done

ROLE = "marketer"


@require_safe
@staff_page
def questions(request: HttpRequest) -> HttpResponse:
    fared = counts()
    rows = [
        (question, fared.get(question.pk, Counts()))
        for question in Question.objects.select_related("purpose").order_by("-enabled", "-weight", "key")
    ]
    return render(request, "console/questions.html", {"rows": rows, "may_write": may(request, ROLE)})


@require_POST
@staff_page
def switch(request: HttpRequest, key: str) -> HttpResponse:
    """On or off, with one click."""
    require(request, ROLE)
    on = request.POST.get("on") == "1"
    switch_question(key, on)
    sentence = "The question is on: it may be asked at the next login." if on else "The question is off."
    return done(request, "/console/questions", "question.switched", key, sentence, on=on)
