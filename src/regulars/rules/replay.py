"""Run recorded logins again: as the rules are now, or with one of them as it is being written. Nothing is stored or sent.

What rules ask outside is answered from what was recorded; what was never asked then is not asked now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from regulars.base.errors import Invalid

from . import outside
from .models import Rule, RuleRun
from .run import Outcome, configuration, job_of, outcome_of, run_all
from .save import check, script_language
from .step import Job


@dataclass(frozen=True)
class Replayed:
    """A recorded login run again. `faults`: `{"rule-slug": "threw"}`."""

    run_id: int
    outcome: Outcome
    faults: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """One recorded login, with the live rules and with the shadow. `changed` names what differs, out of: id_token,
    access_token, scopes, redirect, denied, metadata, enrichments, faults."""

    run_id: int
    live: Replayed
    shadow: Replayed
    changed: list[str]


def replay(run_id: int) -> Replayed:
    """The login of a run, with the rules as they are now.

    Raises `Invalid("unknown_run" | "inputs_forgotten")`.
    """
    run = RuleRun.objects.filter(pk=run_id).first()
    if run is None:
        raise Invalid("unknown_run", "There is no such run.")
    if not run.inputs:
        raise Invalid("inputs_forgotten", "What this login's rules were given is not kept any more.")
    return _again(run, _rules(run.moment))


def shadow(rule: Rule, script: str, *, last: int = 100) -> list[Difference]:
    """The `last` recorded logins with `script` in the place of `rule`, beside the same with the rules as they are.

    `rule` need not be enabled: then it is tried as if it were. Raises what `save_rule` raises about a script.
    """
    check(script, rule.language)
    runs = RuleRun.objects.filter(moment=rule.moment, inputs__isnull=False).order_by("-id")[:last]
    live = _rules(rule.moment)
    return [_compared(run, live, _with_shadow(live, rule, script)) for run in runs]


def _with_shadow(live: list[Rule], rule: Rule, script: str) -> list[Rule]:
    fields = {field.attname: getattr(rule, field.attname) for field in Rule._meta.concrete_fields}
    written = Rule(**{**fields, "script": script, "language": script_language(script, rule.language)})
    others = [one for one in live if one.pk != rule.pk]
    return sorted([*others, written], key=lambda one: (one.order, one.pk))


def _rules(moment: str) -> list[Rule]:
    return list(Rule.objects.filter(moment=moment, enabled=True))


def _compared(run: RuleRun, live: list[Rule], shadowed: list[Rule]) -> Difference:
    before, after = _again(run, live), _again(run, shadowed)
    left, right = _parts(before), _parts(after)
    return Difference(run.pk, before, after, [name for name in left if left[name] != right[name]])


def _parts(replayed: Replayed) -> dict[str, Any]:
    outcome = replayed.outcome
    return {
        "id_token": outcome.id_token_claims,
        "access_token": outcome.access_token_claims,
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "denied": outcome.denied,
        "metadata": [(update.bag, update.data) for update in outcome.metadata_updates],
        "enrichments": outcome.enrichments,
        "faults": replayed.faults,
    }


def _again(run: RuleRun, rules: Iterable[Rule]) -> Replayed:
    shared = configuration()
    jobs: list[Job] = [job_of(rule, shared) for rule in rules]
    taken = run_all(jobs, run.inputs["user"], run.inputs["context"], _Recorded(run.inputs["heard"]).perform)
    faults = {one.job.slug: one.step.fault for one in taken if one.step.fault}
    return Replayed(run.pk, outcome_of(taken, run.inputs["context"]), faults)


class _Recorded:
    """Answers as it was answered then, in the same order for each address."""

    def __init__(self, heard: list[dict[str, Any]]) -> None:
        self._heard = list(heard)

    def perform(self, request: outside.Request, seconds: float) -> outside.Answer:
        for at, one in enumerate(self._heard):
            if (one["method"], one["url"]) == (request.get("method"), request.get("url")):
                answer: outside.Answer = self._heard.pop(at)["answer"]
                return answer
        return {"error": {"message": "This was not asked in the recorded login.", "code": "ENOTRECORDED"}}
