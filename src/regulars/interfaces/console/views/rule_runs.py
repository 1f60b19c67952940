"""Rule runs: what each rule did in a login and how long it took, and a replay with today's rules."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from regulars.base.errors import DomainError
from regulars.rules.models import Rule, RuleRun
from regulars.rules.replay_runs import replay
from regulars.rules.trial_report import report_replay

from ..forms import FormError, form_page
from ..pages import staff_page
from .rules import ROLE


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def rule_run(request: HttpRequest, number: int) -> HttpResponse:
    """Show a run. A POST replays it: nothing is stored, and no external service is called."""
    run = RuleRun.objects.select_related("profile").filter(pk=number).first()
    if run is None:
        raise Http404("There is no such run.")
    if request.method != "POST":
        return _page(request, run)
    try:
        return _page(request, run, replayed=report_replay(replay(run.pk)))
    except DomainError as error:
        return _page(request, run, problem=FormError(error.message))


def _page(
    request: HttpRequest, run: RuleRun, replayed: dict[str, Any] | None = None, problem: FormError | None = None
) -> HttpResponse:
    known = dict(Rule.objects.values_list("slug", "name"))
    context = {
        "run": run,
        "person": run.profile,
        "steps": [
            {**step, "name": known.get(step["rule"], step["rule"]), "is_known": step["rule"] in known}
            for step in run.shown_steps
        ],
        "effects": {name.replace("_", " "): effect for name, effect in run.effects.items() if effect},
        "is_kept": bool(run.inputs) and not (run.profile and run.profile.restricted_at),
        "replayed": replayed,
    }
    return form_page(request, "console/rule_run.html", context, role=ROLE, problem=problem)
