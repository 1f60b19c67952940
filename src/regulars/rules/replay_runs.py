"""Replay recorded logins with the current rules, or with a draft of one of them. Nothing is stored or sent.

HTTP requests are answered from the recording; a request that is not recorded fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from regulars.base.errors import Invalid
from regulars.base.text import JsonObject

from . import http_calls
from .invocation import RuleInvocation
from .models import Rule, RuleRun
from .run import LanguageRunners, RulesOutcome, configuration, job_of, outcome_of, run_all
from .save import check, script_language


@dataclass(frozen=True)
class Replayed:
    """The result of a replayed login. `faults`: `{"rule-slug": "threw"}`."""

    run_id: int
    outcome: RulesOutcome
    faults: dict[str, str]


@dataclass(frozen=True)
class RunDifference:
    """One recorded login with the live rules and with the draft. `changed` names what differs, out of: id_token,
    access_token, scopes, redirect, second_factor, denied, metadata, enrichments, faults."""

    run_id: int
    live: Replayed
    shadow: Replayed
    changed: list[str]


def replay(run_id: int) -> Replayed:
    """Replay the login of a run with the current rules.

    Raises `Invalid("unknown_run" | "restricted" | "inputs_forgotten")`.
    """
    run = RuleRun.objects.select_related("profile").filter(pk=run_id).first()
    if run is None:
        raise Invalid("unknown_run", "This run does not exist.")
    if run.profile and run.profile.restricted_at:
        raise Invalid("restricted", "Processing is restricted for this customer: the input is stored and not used.")
    if not run.inputs:
        raise Invalid("inputs_forgotten", "The input of this run is no longer stored.")
    return _again(run, _rules(run.moment))


def shadow(rule: Rule, script: str, *, last: int = 100) -> list[RunDifference]:
    """Replay the `last` recorded logins with `script` in place of `rule`, and with the live rules.

    A disabled `rule` is treated as enabled. Raises what `save_rule` raises about a script.
    """
    check(script, rule.language)
    kept = RuleRun.objects.filter(moment=rule.moment, inputs__isnull=False, profile__restricted_at=None)
    runs = kept.order_by("-id")[:last]
    live = _rules(rule.moment)
    fields = {field.attname: getattr(rule, field.attname) for field in Rule._meta.concrete_fields}
    written = Rule(**{**fields, "script": script, "language": script_language(script, rule.language)})
    others = [one for one in live if one.pk != rule.pk]
    shadowed, differences = sorted([*others, written], key=lambda one: (one.order, one.pk)), []
    for run in runs:
        before, after = _again(run, live), _again(run, shadowed)
        left, right = _parts(before), _parts(after)
        changed = [name for name in left if left[name] != right[name]]
        differences.append(RunDifference(run.pk, before, after, changed))
    return differences


def _rules(moment: str) -> list[Rule]:
    return list(Rule.objects.filter(moment=moment, enabled=True))


def _parts(replayed: Replayed) -> JsonObject:
    outcome = replayed.outcome
    return {
        "id_token": outcome.id_token_claims,
        "access_token": outcome.access_token_claims,
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "second_factor": outcome.second_factor,
        "denied": outcome.denied,
        "metadata": [(update.bag, update.data) for update in outcome.metadata_updates],
        "enrichments": outcome.enrichments,
        "faults": replayed.faults,
    }


def _again(run: RuleRun, rules: Iterable[Rule]) -> Replayed:
    shared = configuration()
    jobs: list[RuleInvocation] = [job_of(rule, shared) for rule in rules]
    with closing(LanguageRunners(ReplayHttp(run.inputs["answers"]).perform)) as runners:
        results = run_all(jobs, run.inputs["user"], run.inputs["context"], runners)
    faults = {one.job.slug: one.step.fault for one in results if one.step.fault}
    return Replayed(run.pk, outcome_of(results, run.inputs["user"], run.inputs["context"]), faults)


class ReplayHttp:
    """Answers requests from the recording, in the same order for each address."""

    def __init__(self, answers: list[JsonObject]) -> None:
        self._answers = list(answers)

    def perform(self, request: http_calls.Request, seconds: float) -> http_calls.Answer:
        for at, one in enumerate(self._answers):
            if (one["method"], one["url"]) == (request.get("method"), request.get("url")):
                answer: http_calls.Answer = self._answers.pop(at)["answer"]
                return answer
        return {"error": {"message": "The recorded login has no such request.", "code": "ENOTRECORDED"}}
