"""One login's rules: what each did and how long it took, and the same login once more with the rules of today."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from regulars.base.errors import DomainError
from regulars.profiles.models import Profile
from regulars.rules.models import Rule, RuleRun
from regulars.rules.replay import replay
from regulars.rules.trial_report import report_replay

from ..door import may, require, staff_page
from ..forms import FormError
from .rules import ROLE


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def rule_run(request: HttpRequest, number: int) -> HttpResponse:
    """The record. By POST it is played again: nothing is stored, and nobody outside is asked."""
    run = RuleRun.objects.filter(pk=number).first()
    if run is None:
        raise Http404("There is no such run.")
    if request.method != "POST":
        return _page(request, run)
    require(request, ROLE)
    try:
        return _page(request, run, again=report_replay(replay(run.pk)))
    except DomainError as refused:
        return _page(request, run, problem=FormError(refused.message, ""))


def _page(
    request: HttpRequest, run: RuleRun, again: dict[str, Any] | None = None, problem: FormError | None = None
) -> HttpResponse:
    known = dict(Rule.objects.values_list("slug", "name"))
    context = {
        "run": run,
        "person": Profile.objects.filter(pk=run.profile_id or 0).first(),
        "steps": [
            {**step, "name": known.get(step["rule"], step["rule"]), "is_known": step["rule"] in known}
            for step in run.steps
        ],
        "effects": {name.replace("_", " "): effect for name, effect in run.effects.items() if effect},
        "is_kept": bool(run.inputs),
        "again": again,
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/rule_run.html", context, status=400 if problem else 200)
