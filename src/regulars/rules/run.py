"""Run the rules of a moment: each in order, nobody's fault stops the login, everything on record."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from regulars.base.kit.text import storable

from . import decide
from .decide import Denied, MetadataUpdate
from .models import Rule, RuleRun, RuleSetting
from .python import run_python
from .step import Job, Step, failed

log = logging.getLogger(__name__)

MAX_SECONDS = 5.0  # for all rules of one moment
MAX_ENRICHMENTS = 20
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Outcome:
    """What the rules of one moment want. `scopes` None: as asked. `enrichments` are keys of sources, to be queued."""

    id_token_claims: dict[str, Any] = field(default_factory=dict)
    access_token_claims: dict[str, Any] = field(default_factory=dict)
    scopes: list[str] | None = None
    redirect_url: str | None = None
    denied: Denied | None = None
    metadata_updates: list[MetadataUpdate] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    run_id: int = 0


@dataclass(frozen=True)
class Trial:
    """One rule tried out: nothing is stored. `error` is empty when it went well; `milliseconds` is wall time.

    `user` and `context` are as the rule left them. Nothing is struck out: `configuration` is what it could have told.
    """

    outcome: Outcome
    console: list[str]
    error: str
    milliseconds: float
    user: dict[str, Any]
    context: dict[str, Any]
    configuration: dict[str, Any]


@dataclass(frozen=True)
class _Taken:
    """A step with the rule that took it and the time it took."""

    job: Job
    step: Step
    milliseconds: float


def run(moment: str, user: dict[str, Any], context: dict[str, Any], *, profile_id: int | None) -> Outcome:
    """Run the enabled rules of `moment` ("login") over Auth0's `user` and `context`, and record what they did.

    Never raises for a rule's fault. After a denial no further rule runs. `user` and `context` stay as they are.
    """
    taken = _run_all(_jobs(moment), user, context)
    outcome = _outcome(taken, context)
    record = RuleRun.objects.create(
        moment=moment,
        profile_id=profile_id,
        milliseconds=sum(one.milliseconds for one in taken),
        steps=[_recorded(one) for one in taken],
        effects=_effects(outcome),
    )
    for one in taken:
        if one.step.how == "failed":
            log.warning("rule %s failed: %s (run %s)", one.job.slug, one.step.fault, record.pk)
    return Outcome(**{**vars(outcome), "run_id": record.pk})


def try_rule(rule_or_script: Rule | str, user: dict[str, Any], context: dict[str, Any]) -> Trial:
    """Run one rule, saved or being written (JavaScript), over the given objects; stores nothing."""
    rule = Rule(slug="trial", script=rule_or_script) if isinstance(rule_or_script, str) else rule_or_script
    taken = _run_all([_job(rule, _configuration())], user, context)
    step = taken[0].step
    error = f"{step.fault}: {step.message}" if step.message else step.fault
    after, configuration = (step.user, step.context), taken[0].job.configuration
    return Trial(_outcome(taken, context), step.console, error, taken[0].milliseconds, *after, configuration)


def without_secrets(secrets: Iterable[Any], text: str) -> str:
    """The text with these values struck out: a rule may well print its API key."""
    for secret in sorted(map(str, secrets), key=len, reverse=True):  # the longest first: one may hold another
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "•••")
    return text


def _jobs(moment: str) -> list[Job]:
    rules = list(Rule.objects.filter(moment=moment, enabled=True))
    shared = _configuration() if rules else {}
    return [_job(rule, shared) for rule in rules]


def _job(rule: Rule, shared: dict[str, Any]) -> Job:
    return Job(rule.slug, rule.language, rule.script, {**shared, **rule.settings}, rule.deny_on_failure)


def _configuration() -> dict[str, Any]:
    return {setting.key: setting.value for setting in RuleSetting.objects.all()}


def _run_all(jobs: Iterable[Job], user: dict[str, Any], context: dict[str, Any]) -> list[_Taken]:
    """Each rule sees what the one before it left, until one denies or the time is up."""
    taken: list[_Taken] = []
    ends = time.monotonic() + MAX_SECONDS
    with closing(_Runners()) as runners:
        for job in jobs:
            started = time.perf_counter()
            step = (
                runners.run(job, user, context)
                if time.monotonic() < ends
                else failed("too_much_time", user, context, "The rules before it used up the time.")
            )
            taken.append(_Taken(job, step, (time.perf_counter() - started) * 1000))
            user, context = step.user, step.context
            if _denial([taken[-1]]):
                break
    return taken


class _Runners:
    """Both languages; the JavaScript engine is loaded by the first rule that needs it (it costs memory)."""

    def __init__(self) -> None:
        self._javascript: Any = None

    def run(self, job: Job, user: dict[str, Any], context: dict[str, Any]) -> Step:
        if job.language == Rule.Language.PYTHON:
            return run_python(job, user, context)
        if self._javascript is None:
            self._javascript = importlib.import_module("regulars.rules.javascript").JavaScript()
        step: Step = self._javascript.run(job, user, context)
        return step

    def close(self) -> None:
        if self._javascript is not None:
            self._javascript.close()


def _outcome(taken: list[_Taken], context: dict[str, Any]) -> Outcome:
    """A denied login keeps what rules learned about the person, and carries nothing into a token."""
    updates = [update for one in taken for update in decide.metadata_updates(one.job.slug, one.step.updates)]
    asked = list(dict.fromkeys(key for one in taken for key in one.step.enrichments))[:MAX_ENRICHMENTS]
    denied = _denial(taken)
    if denied:
        return Outcome(denied=denied, metadata_updates=updates, enrichments=asked)
    # Whether this is a return from a redirect is the provider's word, not a rule's.
    final = {**(taken[-1].step.context if taken else context), "protocol": context.get("protocol")}
    return Outcome(
        id_token_claims=decide.id_token_claims(final),
        access_token_claims=decide.access_token_claims(final),
        scopes=decide.scopes(final),
        redirect_url=decide.redirect_url(final),
        metadata_updates=updates,
        enrichments=asked,
    )


def _denial(taken: list[_Taken]) -> Denied | None:
    for one in taken:
        if one.step.how == "denied":
            return decide.denied(one.step.error)
        if one.step.how == "failed" and one.job.deny_on_failure:
            return Denied("access_denied", "A rule of this site could not be checked. Try again later.")
    return None


def _recorded(one: _Taken) -> dict[str, Any]:
    step, secrets = one.step, one.job.configuration.values()
    recorded: dict[str, Any] = storable(
        {
            "rule": one.job.slug,
            "how": step.how,
            "fault": step.fault,
            "message": without_secrets(secrets, step.message or str(step.error.get("message", ""))),
            "milliseconds": round(one.milliseconds, 2),
            "console": [without_secrets(secrets, line) for line in step.console],
        }
    )
    return recorded


def _effects(outcome: Outcome) -> dict[str, Any]:
    return {
        "id_token": sorted(outcome.id_token_claims),
        "access_token": sorted(outcome.access_token_claims),
        "denied": outcome.denied.error if outcome.denied else "",
        "redirect": outcome.redirect_url is not None,
        "metadata": sorted({f"{update.bag}.{key}" for update in outcome.metadata_updates for key in update.data}),
        "enrichments": outcome.enrichments,
    }
