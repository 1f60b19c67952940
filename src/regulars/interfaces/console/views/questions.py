"""Questions: what may be asked at a login, and how each fares."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.questions.form import question_languages
from regulars.questions.models import Question
from regulars.questions.save import switch_question
from regulars.questions.settings import get_question_settings
from regulars.questions.statistics import stats_by_question

from ..door import may, require, staff_page
from ..forms import done

ROLE = "marketer"
RETIRE = {
    "seldom_answered": "Shown more than 500 times, and fewer than 15 in 100 answer.",
    "unused": "Shown more than 500 times in two months, and no segment uses the answers.",
}


@require_safe
@staff_page
def questions(request: HttpRequest) -> HttpResponse:
    asked = list(Question.objects.select_related("purpose").order_by("-enabled", "-weight", "key"))
    fared = stats_by_question(asked)
    context = {
        "rows": [(question, fared[question.key], question_languages(question)) for question in asked],
        "retire": RETIRE,
        "asking": get_question_settings().asking,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/questions.html", context)


@require_POST
@staff_page
def switch(request: HttpRequest, key: str) -> HttpResponse:
    """On or off, with one click."""
    require(request, ROLE)
    on = request.POST.get("on") == "1"
    switch_question(key, on)
    sentence = "The question is on: it may be asked at the next login." if on else "The question is off."
    return done(request, "/console/questions", "question.switched", key, sentence, on=on)
