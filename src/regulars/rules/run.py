"""Run the rules of a moment: each in order, nobody's fault stops the login, everything on record."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from . import decide, outside
from .auto_disable import LIMITS, count_limit
from .decide import Denied, MetadataUpdate
from .models import Rule, RuleRun, RuleSetting
from .monty import run_monty
from .python import run_python
from .record import inputs_kept, step_recorded
from .step import Job, Step, failed

log = logging.getLogger(__name__)

MAX_SECONDS = 20.0  # for all rules of one moment, as with Auth0; one rule waits for `patience`
MAX_ENRICHMENTS = 20
_JAVASCRIPT = (Rule.Language.JAVASCRIPT, Rule.Language.ACTION)


@dataclass(frozen=True)
class Outcome:
    """What the rules of one moment want. `scopes` None: as asked. `enrichments` are keys of sources, to be queued.
    `ignored` names what a rule asked for and this house does not do, `redirect_by` the rule that sends her away."""

    id_token_claims: dict[str, Any] = field(default_factory=dict)
    access_token_claims: dict[str, Any] = field(default_factory=dict)
    scopes: list[str] | None = None
    redirect_url: str | None = None
    denied: Denied | None = None
    metadata_updates: list[MetadataUpdate] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    run_id: int = 0
    redirect_by: str = ""
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """One rule tried out: nothing is stored. `error` is empty when it went well; `milliseconds` is wall time.

    `user` and `context` are as the rule left them. Nothing is struck out: `configuration` is what it could have told.
    `requests`: what it asked outside, `{"method", "host", "status" | "code", "milliseconds"}`.
    """

    outcome: Outcome
    console: list[str]
    error: str
    milliseconds: float
    user: dict[str, Any]
    context: dict[str, Any]
    configuration: dict[str, Any]
    requests: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Taken:
    """A step with the rule that took it and the time it took."""

    job: Job
    step: Step
    milliseconds: float


def run(
    moment: str,
    user: dict[str, Any],
    context: dict[str, Any],
    *,
    profile_id: int | None,
    before: Outcome | None = None,
) -> Outcome:
    """Run the enabled rules of `moment` ("login") over Auth0's `user` and `context`, and record what they did.

    Never raises for a rule's fault. After a denial, and after an action that sends the browser away, no further rule
    runs. `before` is what they wanted when they sent her away: with the protocol "redirect-callback" that action goes on,
    and actions before it do not run twice; rules do, as Auth0's. `user` and `context` stay as they are.
    """
    heard = Heard()
    back = before if before and context.get("protocol") == "redirect-callback" else Outcome()
    jobs = _jobs(moment, back.redirect_by)
    if back.redirect_by and any(job.language == Rule.Language.ACTION and job.slug == back.redirect_by for job in jobs):
        context = _resumed(context, back)
    taken = run_all(jobs, user, context, heard.perform, subject=_id_of(user))
    outcome = outcome_of(taken, context)
    record = RuleRun(
        moment=moment,
        profile_id=profile_id,
        milliseconds=sum(one.milliseconds for one in taken),
        steps=[step_recorded(one.job, one.step, one.milliseconds, _tokens(user)) for one in taken],
        effects=_effects(outcome),
    )
    record.inputs = inputs_kept(user, context, heard.answers) if taken else None
    record.save()
    for one in taken:
        if one.step.how == "failed":
            log.warning("rule %s failed: %s (run %s)", one.job.slug, one.step.fault, record.pk)
        if one.step.fault in LIMITS:
            count_limit(one.job.slug, one.step.fault)
    if outcome.ignored:
        log.info("rules asked for what is not here: %s (run %s)", ", ".join(outcome.ignored), record.pk)
    return Outcome(**{**vars(outcome), "run_id": record.pk})


def try_rule(
    rule_or_script: Rule | str,
    user: dict[str, Any],
    context: dict[str, Any],
    perform: outside.Perform = outside.perform,
) -> Trial:
    """Run one rule, saved or being written (JavaScript), over the given objects; stores nothing.

    Requests it makes are real, unless `perform` answers them. What it asks after its callback is waited for.
    """
    rule = Rule(slug="trial", script=rule_or_script) if isinstance(rule_or_script, str) else rule_or_script
    subject = _id_of(user) if perform is outside.perform else ""  # declared answers need no token
    taken = run_all([job_of(rule, configuration())], user, context, perform, hear_out=True, subject=subject)
    step, kept = taken[0].step, taken[0].job.configuration
    error = f"{step.fault}: {step.message}" if step.message else step.fault
    return Trial(
        outcome_of(taken, context),
        step.console,
        error,
        taken[0].milliseconds,
        step.user,
        step.context,
        kept,
        list(step.requests),
    )


def _id_of(user: dict[str, Any]) -> str:
    return str(user.get("user_id") or "")


class Heard:
    """Asks outside and remembers what was said, for replays."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def perform(self, request: outside.Request, seconds: float) -> outside.Answer:
        answer = outside.perform(request, seconds)
        with self._lock:
            self.answers.append({"method": request.get("method"), "url": request.get("url"), "answer": answer})
        return answer


def _jobs(moment: str, resumes: str) -> list[Job]:
    rules = list(Rule.objects.filter(moment=moment, enabled=True))
    shared = configuration() if rules else {}
    place = next((place for place, rule in enumerate(rules) if rule.slug == resumes), 0)
    done = {rule.slug for rule in rules[:place] if rule.language == Rule.Language.ACTION}
    return [job_of(rule, shared, resumes=rule.slug == resumes) for rule in rules if rule.slug not in done]


def _resumed(context: dict[str, Any], back: Outcome) -> dict[str, Any]:
    """Tokens as they were when she left: actions that are done do not say it again."""
    scope = {} if back.scopes is None else {"scope": back.scopes}
    return {**context, "idToken": back.id_token_claims, "accessToken": {**back.access_token_claims, **scope}}


def job_of(rule: Rule, shared: dict[str, Any], *, resumes: bool = False) -> Job:
    return Job(
        rule.slug,
        rule.language,
        rule.script,
        {**shared, **rule.settings},
        deny_on_failure=rule.deny_on_failure,
        patience=rule.patience,
        own_realm=rule.own_realm,
        resumes=resumes,
    )


def configuration() -> dict[str, Any]:
    """What every rule may read as `configuration`."""
    return {setting.key: setting.value for setting in RuleSetting.objects.all()}


def run_all(
    jobs: Iterable[Job],
    user: dict[str, Any],
    context: dict[str, Any],
    perform: outside.Perform,
    *,
    hear_out: bool = False,
    subject: str = "",
) -> list[Taken]:
    """Each rule sees what the one before it left, until one denies or sends away or the time is up."""
    taken: list[Taken] = []
    ends = time.monotonic() + MAX_SECONDS
    user, context = decide.objects_given(user, context)
    with closing(_Runners(perform, subject)) as runners:
        for job in jobs:
            started = time.perf_counter()
            step = (
                runners.run(job, user, context)
                if time.monotonic() < ends
                else failed("too_much_time", user, context, "The rules before it used up the time.")
            )
            taken.append(Taken(job, step, (time.perf_counter() - started) * 1000))
            user, context = step.user, step.context
            if step.paused or _denial([taken[-1]]):
                break
        if hear_out:
            runners.hear_out()
    return taken


class _Runners:
    """Every language; the JavaScript engine is loaded by the first rule that needs it (it costs memory)."""

    def __init__(self, perform: outside.Perform, subject: str) -> None:
        self._perform = perform
        self._subject = subject
        self._javascript: Any = None

    def run(self, job: Job, user: dict[str, Any], context: dict[str, Any]) -> Step:
        if job.language == Rule.Language.PYTHON:
            return run_python(job, user, context)
        if job.language == Rule.Language.MONTY:
            return run_monty(job, user, context)
        if self._javascript is None:
            self._javascript = importlib.import_module("regulars.rules.javascript").JavaScript(
                self._perform, self._subject
            )
        step: Step = self._javascript.run(job, user, context)
        return step

    def hear_out(self) -> None:
        if self._javascript is not None:
            self._javascript.hear_out()

    def close(self) -> None:
        if self._javascript is not None:
            self._javascript.close()


def outcome_of(taken: list[Taken], context: dict[str, Any]) -> Outcome:
    """A denied login keeps what rules learned about the person, and carries nothing into a token."""
    updates = [update for one in taken for update in decide.metadata_updates(one.job.slug, one.step.updates)]
    asked = list(dict.fromkeys(key for one in taken for key in one.step.enrichments))[:MAX_ENRICHMENTS]
    # Whether this is a return from a redirect is the provider's word, not a rule's.
    final = {**(taken[-1].step.context if taken else context), "protocol": context.get("protocol")}
    ignored = list(dict.fromkeys([*decide.ignored(final), *(name for one in taken for name in one.step.ignored)]))
    denied = _denial(taken)
    if denied:
        return Outcome(denied=denied, metadata_updates=updates, enrichments=asked, ignored=ignored)
    return Outcome(
        id_token_claims=decide.id_token_claims(final),
        access_token_claims=decide.access_token_claims(final),
        scopes=decide.scopes(final),
        redirect_url=decide.redirect_url(final),
        metadata_updates=updates,
        enrichments=asked,
        redirect_by=taken[-1].job.slug if taken and taken[-1].step.paused else "",
        ignored=ignored,
    )


def _denial(taken: list[Taken]) -> Denied | None:
    for one in taken:
        if one.step.how == "denied":
            return decide.denied(one.step.error)
        if one.step.how == "failed" and one.job.deny_on_failure:
            return Denied("access_denied", "A rule of this site could not be checked. Try again later.")
    return None


def _tokens(user: dict[str, Any]) -> list[str]:
    """What her providers gave us to act for her: a rule may use it, and no record shows it."""
    identities = user.get("identities") or []
    return [each["access_token"] for each in identities if isinstance(each, dict) and each.get("access_token")]


def _effects(outcome: Outcome) -> dict[str, Any]:
    return {
        "id_token": sorted(outcome.id_token_claims),
        "access_token": sorted(outcome.access_token_claims),
        "denied": outcome.denied.error if outcome.denied else "",
        "redirect": outcome.redirect_url is not None,
        "redirect_by": outcome.redirect_by if outcome.redirect_url else "",
        "metadata": sorted({f"{update.bag}.{key}" for update in outcome.metadata_updates for key in update.data}),
        "enrichments": outcome.enrichments,
        "ignored": outcome.ignored,
    }
