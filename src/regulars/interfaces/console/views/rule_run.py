"""One login's rules: what each did and how long it took, and the same login once more with the rules of today."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from regulars.base.errors import DomainError
from regulars.rules.models import Rule, RuleRun
from regulars.rules.replay import Replayed, replay
from regulars.rules.run import Outcome

from ..door import may, require, staff_page
from ..forms import FormError
from ..people import by_number
from ..trial import struck, told_secrets
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
        return _page(request, run, again=told(replay(run.pk)))
    except DomainError as refused:
        return _page(request, run, problem=FormError(refused.message, ""))


def told(replayed: Replayed) -> dict[str, Any]:
    """What came of a login played again, in words, without secrets: `{"ID token": {…}, …}`; what is empty is left out."""
    parts = {**_parts(replayed.outcome), "faults": replayed.faults}
    words: dict[str, Any] = struck({name: part for name, part in parts.items() if part}, told_secrets())
    return words


def _parts(outcome: Outcome) -> dict[str, Any]:
    denied = outcome.denied
    return {
        "ID token": outcome.id_token_claims,
        "access token": outcome.access_token_claims,
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "denied": f"{denied.error}: {denied.description}" if denied else "",
        "learned": [{update.bag: update.data, "by": update.rule_slug} for update in outcome.metadata_updates],
        "look-ups": outcome.enrichments,
    }


def _page(
    request: HttpRequest, run: RuleRun, again: dict[str, Any] | None = None, problem: FormError | None = None
) -> HttpResponse:
    known = dict(Rule.objects.values_list("slug", "name"))
    context = {
        "run": run,
        "person": by_number([run.profile_id]).get(run.profile_id) if run.profile_id else None,
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
