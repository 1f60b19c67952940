"""Run the rules of a moment in order. A rule's fault never stops the login; every run is recorded."""

from __future__ import annotations

import copy
import importlib
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from regulars.base.text import JsonObject
from regulars.profiles.auth0_user import Auth0User
from regulars.profiles.models import Attribute

from . import decide, http_calls
from .afterwards import Afterwards
from .auth0_context import Auth0Context
from .auto_disable import LIMITS, count_limit
from .decide import Denied, MetadataUpdate
from .invocation import CallGate, LateStep, RequestRecord, RuleInvocation, RuleResult, failed
from .models import Rule, RuleRun, RuleSetting
from .monty import run_monty
from .python import Api, run_python
from .run_records import recorded_inputs, step_recorded

if TYPE_CHECKING:
    from .javascript import JavaScript

log = logging.getLogger(__name__)

MAX_SECONDS = 20.0  # for all rules of one moment, as with Auth0; one rule waits for `timeout`
MAX_ENRICHMENTS = 20
_JAVASCRIPT = (Rule.Language.JAVASCRIPT, Rule.Language.ACTION)


@dataclass(frozen=True)
class RulesOutcome:
    """What the rules of one moment request. `scopes` None: as requested by the app. `enrichments` are keys of sources, to
    be queued. `withheld` are root fields that rules deleted from `user`, which tokens do not have. `second_factor`: one is demanded of the session. `ignored` names unsupported requests, `redirect_by` the rule
    that redirects the browser. `afterwards` is what rules go on doing after the login: start it when the login's own writes
    are committed."""

    id_token_claims: JsonObject = field(default_factory=dict)
    access_token_claims: JsonObject = field(default_factory=dict)
    withheld: list[str] = field(default_factory=list)
    scopes: list[str] | None = None
    redirect_url: str | None = None
    second_factor: bool = False
    denied: Denied | None = None
    metadata_updates: list[MetadataUpdate] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    run_id: int = 0
    redirect_by: str = ""
    ignored: list[str] = field(default_factory=list)
    afterwards: Afterwards | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class RuleTrial:
    """The result of trying one rule; nothing is stored. `error` is empty on success; `milliseconds` is wall time.

    `user` and `context` are as the rule left them. Nothing is redacted: `configuration` is what it could have leaked.
    `requests`: its HTTP requests, `{"method", "host", "status" | "code", "milliseconds"}`.
    """

    outcome: RulesOutcome
    console: list[str]
    error: str
    milliseconds: float
    user: JsonObject
    context: JsonObject
    configuration: JsonObject
    requests: list[RequestRecord] = field(default_factory=list)


@dataclass(frozen=True)
class TimedResult:
    """A result with its rule and its time."""

    job: RuleInvocation
    step: RuleResult
    milliseconds: float


def run(
    moment: str,
    auth0_user: Auth0User,
    auth0_context: Auth0Context,
    *,
    profile_id: int | None,
    before: RulesOutcome | None = None,
    seconds: float = MAX_SECONDS,
    gate: CallGate | None = None,
) -> RulesOutcome:
    """Run the enabled rules of `moment` ("login") over Auth0's `user` and `context`, and record what they did.

    Never raises for a rule's fault. After a denial, and after an action that redirects the browser, no further rule
    runs. `before` is the outcome of the redirect: with the protocol "redirect-callback" that action continues, and
    actions before it do not run twice; rules do, as with Auth0. `seconds` is the time of all rules together. `user` and
    `context` stay unchanged. `gate` is asked before each call; without one no call is made for a known customer.
    """
    user, context = JsonObject(auth0_user), JsonObject(auth0_context)
    answers = RecordingHttp()
    previous = before if before and context.get("protocol") == "redirect-callback" else RulesOutcome()
    rules = list(Rule.objects.filter(moment=moment, enabled=True))
    shared = configuration() if rules else {}
    place = next((place for place, rule in enumerate(rules) if rule.slug == previous.redirect_by), 0)
    done = {rule.slug for rule in rules[:place] if rule.language == Rule.Language.ACTION}
    jobs = [job_of(rule, shared, resumes=rule.slug == previous.redirect_by) for rule in rules if rule.slug not in done]
    if previous.redirect_by and any(
        job.language == Rule.Language.ACTION and job.slug == previous.redirect_by for job in jobs
    ):
        context = _resumed(context, previous)
    tokens = _tokens(user)
    if gate is None and profile_id is not None:
        gate = _closed
    runners = LanguageRunners(answers.perform, _id_of(user), gate and answers.recording(gate))
    try:
        results = run_all(jobs, user, context, runners, seconds)
    except BaseException:
        runners.close()
        raise
    results, outcome = _with_late(results), outcome_of(results, user, context)
    record = RuleRun(
        moment=moment,
        profile_id=profile_id,
        milliseconds=sum(one.milliseconds for one in results),
        steps=[step_recorded(one.job, one.step, one.milliseconds, tokens) for one in results],
        effects={
            "id_token": sorted(outcome.id_token_claims),
            "access_token": sorted(outcome.access_token_claims),
            "denied": outcome.denied.error if outcome.denied else "",
            "redirect": outcome.redirect_url is not None,
            "redirect_by": outcome.redirect_by if outcome.redirect_url else "",
            "second_factor": outcome.second_factor,
            "metadata": sorted({f"{update.bag}.{key}" for update in outcome.metadata_updates for key in update.data}),
            "enrichments": outcome.enrichments,
            "ignored": outcome.ignored,
        },
    )
    record.inputs = recorded_inputs(user, context, answers.answers) if results else None
    record.save()
    for one in results:
        if one.step.how == "failed":
            log.warning("rule %s failed: %s (run %s)", one.job.slug, one.step.fault, record.pk)
        if one.step.fault in LIMITS:
            count_limit(one.job.slug, one.step.fault)
    if outcome.ignored:
        log.info("rules requested unsupported features: %s (run %s)", ", ".join(outcome.ignored), record.pk)
    secrets = [*(value for job in jobs for value in job.configuration.values()), *tokens]
    return replace(outcome, run_id=record.pk, afterwards=runners.afterwards(secrets))


def try_rule(
    rule_or_script: Rule | str,
    user: JsonObject,
    context: JsonObject,
    perform: http_calls.Perform = http_calls.perform,
    gate: CallGate | None = None,
) -> RuleTrial:
    """Run one rule, saved or a JavaScript draft, over the given objects. Stores nothing.

    Its HTTP requests are real unless `perform` answers them; `gate` is asked before each. What it does after the callback is awaited too.
    """
    rule = Rule(slug="trial", script=rule_or_script) if isinstance(rule_or_script, str) else rule_or_script
    subject = _id_of(user) if perform is http_calls.perform else ""  # declared answers need no token
    with closing(LanguageRunners(perform, subject, gate)) as runners:
        results = run_all([job_of(rule, configuration())], user, context, runners)
        results[0] = replace(results[0], step=_continued(results[0].step, runners.finish()))
    step, kept = results[0].step, results[0].job.configuration
    error = f"{step.fault}: {step.message}" if step.message else step.fault
    return RuleTrial(
        outcome_of(results, user, context),
        step.console,
        error,
        results[0].milliseconds,
        step.user,
        step.context,
        kept,
        list(step.requests),
    )


def _closed(job: RuleInvocation, request: http_calls.Request) -> http_calls.Answer:
    return http_calls.refusal("ENOT_RECORDED", "What a call discloses is not recorded here, and it was not made.")


def _id_of(user: JsonObject) -> str:
    return str(user.get("user_id") or "")


class RecordingHttp:
    """Performs HTTP requests and records the answers for replays."""

    def __init__(self) -> None:
        self.answers: list[JsonObject] = []
        self._lock = threading.Lock()

    def perform(self, request: http_calls.Request, seconds: float) -> http_calls.Answer:
        answer = http_calls.perform(request, seconds)
        self._record(request, answer)
        return answer

    def recording(self, gate: CallGate) -> CallGate:
        """Return the gate whose refusals are recorded too: a replay gets them again."""

        def ask(job: RuleInvocation, request: http_calls.Request) -> http_calls.Answer | None:
            refused = gate(job, request)
            if refused is not None:
                self._record(request, refused)
            return refused

        return ask

    def _record(self, request: http_calls.Request, answer: http_calls.Answer) -> None:
        with self._lock:
            self.answers.append({"method": request.get("method"), "url": request.get("url"), "answer": answer})


def _resumed(context: JsonObject, back: RulesOutcome) -> JsonObject:
    """Restore the claims and the demand of before the redirect: actions that are done do not set them again."""
    scope = {} if back.scopes is None else {"scope": back.scopes}
    demand = {"multifactor": {"provider": "any"}} if back.second_factor else {}
    return {**context, "idToken": back.id_token_claims, "accessToken": {**back.access_token_claims, **scope}, **demand}


def job_of(rule: Rule, shared: JsonObject, *, resumes: bool = False) -> RuleInvocation:
    return RuleInvocation(
        rule.slug,
        rule.language,
        rule.script,
        {**shared, **rule.settings},
        deny_on_failure=rule.deny_on_failure,
        timeout=rule.timeout,
        own_realm=rule.own_realm,
        resumes=resumes,
        purpose=rule.purpose_id or "",
        recipients=rule.recipients,
        version=rule.version,
    )


def configuration() -> JsonObject:
    """Return the settings that every rule reads as `configuration`."""
    return {setting.key: setting.value for setting in RuleSetting.objects.all()}


def objects_given(user: JsonObject, context: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Return both objects as rules get them (`decide.objects_given`)."""
    attributes = Attribute.objects.filter(metadata_path="").values_list("key", flat=True)
    return decide.objects_given(user, context, list(attributes) if user.get("app_metadata") else ())


def run_all(
    jobs: Iterable[RuleInvocation],
    user: JsonObject,
    context: JsonObject,
    runners: LanguageRunners,
    seconds: float = MAX_SECONDS,
) -> list[TimedResult]:
    """Run rules in order, each on the result of the one before, until a denial, a redirect or the time limit."""
    results: list[TimedResult] = []
    ends = time.monotonic() + seconds
    user, context = objects_given(user, context)
    for job in jobs:
        started, left = time.perf_counter(), ends - time.monotonic()
        step = (
            runners.run(replace(job, timeout=min(job.timeout, left)), user, context)
            if left > 0
            else failed("too_much_time", user, context, "Earlier rules used up the time.")
        )
        results.append(TimedResult(job, step, (time.perf_counter() - started) * 1000))
        user, context = step.user, step.context
        if step.paused or _denial([results[-1]]):
            break
    return results


class LanguageRunners:
    """Runs rules of every language. The first JavaScript rule loads the engine, which costs memory."""

    def __init__(self, perform: http_calls.Perform, subject: str = "", gate: CallGate | None = None) -> None:
        self._perform = perform
        self._gate = gate
        self._subject = subject
        self._shared: JavaScript | None = None
        self._own: list[JavaScript] = []  # realms of one rule that has work left
        self._apis: dict[str, Api] = {}

    def run(self, job: RuleInvocation, user: JsonObject, context: JsonObject) -> RuleResult:
        if job.language == Rule.Language.PYTHON:
            api = self._apis[job.slug] = Api(copy.deepcopy(job.configuration))
            return run_python(job, user, context, api)
        if job.language == Rule.Language.MONTY:
            return run_monty(job, user, context)
        if job.own_realm:
            engine = self._javascript()
            step = engine.run(job, user, context)
            if engine.has_unfinished:
                self._own.append(engine)
            else:
                engine.close()
            return step
        self._shared = self._shared or self._javascript()
        return self._shared.run(job, user, context)

    def finish(self) -> list[LateStep]:
        """Go on with what is left now, and return what it did."""
        return [step for engine in self._unfinished() for step in engine.finish()]

    def afterwards(self, secrets: Sequence[Any]) -> Afterwards | None:
        """Return what is left to do after the login, if anything. A Python rule may always come back."""
        unfinished = self._unfinished()
        if self._shared is not None and not self._shared.has_unfinished:
            self._shared.close()
        return Afterwards(unfinished, self._apis, secrets) if unfinished or self._apis else None

    def close(self) -> None:
        for engine in [*self._own, self._shared]:
            if engine is not None:
                engine.close()

    def _unfinished(self) -> list[JavaScript]:
        return [engine for engine in [*self._own, self._shared] if engine is not None and engine.has_unfinished]

    def _javascript(self) -> JavaScript:
        engine = importlib.import_module("regulars.rules.javascript").JavaScript
        made: JavaScript = engine(self._perform, self._subject, self._gate)
        return made


def _with_late(results: list[TimedResult]) -> list[TimedResult]:
    """Return the results with what earlier rules did while later ones ran: console and requests go to their own rule."""
    late = [each for one in results for each in one.step.late]

    def whole(slug: str, step: RuleResult) -> RuleResult:
        own = [each for each in late if each.slug == slug]
        lines, requests = [line for each in own for line in each.console], [r for each in own for r in each.requests]
        return replace(step, console=[*step.console, *lines], requests=[*step.requests, *requests])

    return [replace(one, step=whole(one.job.slug, one.step)) for one in results] if late else results


def _continued(step: RuleResult, late: Sequence[LateStep]) -> RuleResult:
    """Return the result of a rule that was tried alone, with what it did after its callback."""
    faults = [f"after the callback: {each.fault}" for each in late if each.fault]
    return replace(
        step,
        updates=[*step.updates, *(update for each in late for update in each.updates)],
        enrichments=[*step.enrichments, *(key for each in late for key in each.enrichments)],
        console=[*step.console, *(line for each in late for line in each.console), *faults],
        requests=[*step.requests, *(request for each in late for request in each.requests)],
    )


def outcome_of(results: list[TimedResult], user: JsonObject, context: JsonObject) -> RulesOutcome:
    """Combine the results of rules that were given `user` and `context`. A denied login keeps metadata updates and enrichments and adds nothing to tokens."""
    # What earlier rules wrote while one ran comes before what it wrote itself.
    steps = [each for one in results for each in [*one.step.late, LateStep(one.job.slug, one.step.updates)]]
    updates = [update for each in steps for update in decide.metadata_updates(each.slug, each.updates)]
    wanted = [[*(key for each in one.step.late for key in each.enrichments), *one.step.enrichments] for one in results]
    asked = list(dict.fromkeys(key for keys in wanted for key in keys))[:MAX_ENRICHMENTS]
    # Whether this is a return from a redirect is decided by the provider, not by a rule.
    final = {**(results[-1].step.context if results else context), "protocol": context.get("protocol")}
    ignored = list(dict.fromkeys([*decide.ignored(final), *(name for one in results for name in one.step.ignored)]))
    denied = _denial(results)
    if denied:
        return RulesOutcome(denied=denied, metadata_updates=updates, enrichments=asked, ignored=ignored)
    return RulesOutcome(
        id_token_claims=decide.id_token_claims(final),
        withheld=sorted(user.keys() - results[-1].step.user.keys()) if results else [],
        access_token_claims=decide.access_token_claims(final),
        scopes=decide.scopes(final),
        redirect_url=decide.redirect_url(final),
        second_factor=decide.demands_second_factor(final),
        metadata_updates=updates,
        enrichments=asked,
        redirect_by=results[-1].job.slug if results and results[-1].step.paused else "",
        ignored=ignored,
    )


def _denial(results: list[TimedResult]) -> Denied | None:
    for one in results:
        if one.step.how == "denied":
            return decide.denied(one.step.error)
        if one.step.how == "failed" and one.job.deny_on_failure:
            return Denied("access_denied", "A rule of this site could not be checked. Try again later.")
    return None


def _tokens(user: JsonObject) -> list[str]:
    """Return the upstream access tokens, which a rule may use and no record shows."""
    identities = user.get("identities") or []
    return [each["access_token"] for each in identities if isinstance(each, dict) and each.get("access_token")]
