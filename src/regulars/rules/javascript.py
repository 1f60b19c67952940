"""JavaScript rules: Auth0's contract on top of the sandbox."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache

from regulars.base.text import JsonObject
from regulars.base.tokens.jwt import sign
from regulars.base.tokens.kinds import AT_JWT, ONLY_USER, WRITING_RULE
from regulars.clients.models import management_audience

from . import http_calls
from .decide import read_answer
from .invocation import (
    AFTER_CALL,
    CallGate,
    LateStep,
    RequestRecord,
    RuleInvocation,
    RuleResult,
    failed,
    has_called_outside,
)
from .sandbox.compile_cache import EngineUnavailable
from .sandbox.realm import Realm, Terminated

AFTERWARDS_SECONDS = 10.0  # what a rule may go on doing after its login
_AT_LINE = re.compile(r"<input>:(\d+)")
_FAULTS_BY_MESSAGE = {"out of memory": "too_much_memory", "stack overflow": "too_deep"}
_UNKNOWN = re.compile(r"'?(\w+)'? is not defined")
# Features of Node that rules lack, and what to use instead.
ABSENT = {
    "Intl": "Rules have no locales: format dates and numbers with moment, or in the app.",
    "WebAssembly": "Rules are JavaScript only.",
    "Worker": "A rule has one thread.",
    "SharedArrayBuffer": "A rule has one thread.",
    "Atomics": "A rule has one thread.",
    "XMLHttpRequest": "Use request, axios or fetch.",
    "WebSocket": "Use request, axios or fetch.",
    "FormData": "Send a form as URLSearchParams.",
    "structuredClone": "Copy with JSON.parse(JSON.stringify(…)).",
}
_SHARE_OF_TIME_LEFT = 0.8
_CACHE_SECONDS = 24 * 3600
TOKEN_SECONDS = 60
OWN_SCOPES = "read:users update:users"
_MENTIONED = re.compile(r"auth0\W{1,4}accessToken|accessToken[^;\n]{0,40}=\s*auth0\b")


class RequestTimeout(Exception):
    """A request did not complete within the timeout of the rule."""


class JavaScript:
    """Runs the JavaScript rules of one login in one realm, as Auth0 does. A terminated rule loses its realm.

    `perform` answers requests of rules (`http_calls.perform`; a replay answers from the recording). `gate` is asked before
    each, in the thread that runs the rules. `subject` is the id of the user who logs in, whatever rules write into `user`. Rules may leave requests and timers behind: `finish` goes on
    with them, `close` drops them.
    """

    def __init__(
        self, perform: http_calls.Perform = http_calls.perform, subject: str = "", gate: CallGate | None = None
    ) -> None:
        self._perform = perform
        self._gate = gate
        self._jobs: dict[str, RuleInvocation] = {}  # by slug; a rule calls services after it ended too
        self._subject = subject
        self._realm: Realm | None = None
        self._open: dict[int, Future[http_calls.Answer]] = {}
        self._rule_of: dict[int, str] = {}  # slug by the id of an open request
        self._called: set[str] = set()  # slugs of rules that another service answered
        self._requests: deque[tuple[str, RequestRecord]] = deque()
        self._last = ""  # slug of the rule whose code ran last
        self.has_unfinished = False

    def run(self, job: RuleInvocation, user: JsonObject, context: JsonObject) -> RuleResult:
        """Run one rule; its faults are returned as a failed result."""
        late: list[LateStep] = []
        try:
            report = self._answer(job, user, context)
            late = self._late(report)
            self.has_unfinished = report.get("left") is True
            step = _step(report, user, context, job)
        except Terminated as terminated:
            self.close()
            step = failed(terminated.name, user, context)
        except RequestTimeout:
            self.has_unfinished = True
            step = failed("waited_too_long", user, context, f"No answer within {job.timeout:.3g} seconds.")
        except (EngineUnavailable, OSError) as error:
            step = failed("engine_unavailable", user, context, str(error))
        except ValueError:
            step = failed("bad_answer", user, context)
        return replace(step, requests=self._take_requests(job.slug), late=late)

    def finish(self, seconds: float = AFTERWARDS_SECONDS) -> Iterator[LateStep]:
        """Go on with what rules left behind, and yield what they do, until nothing is left or the time is up."""
        ends, fault = time.monotonic() + seconds, ""
        try:
            while self._realm is not None:
                report = self._report("after")
                self._submit(report, ends)
                yield from self._late(report)
                if report.get("how") != "waiting":
                    break
                if self._wait(report.get("timer"), ends, "after"):
                    self._realm.begin()
        except Terminated as terminated:
            fault = terminated.name
        except RequestTimeout:
            fault = "waited_too_long"
        except ValueError:
            fault = "bad_answer"
        finally:
            self.close()
        if fault:
            yield LateStep(self._last, requests=self._take_requests(self._last), fault=fault)

    def close(self) -> None:
        if self._realm is not None:
            self._realm.close()
        self._realm, self._open, self._rule_of, self.has_unfinished = None, {}, {}, False

    def _answer(self, job: RuleInvocation, user: JsonObject, context: JsonObject) -> JsonObject:
        ends = time.monotonic() + job.timeout
        if self._realm is None:
            self._realm = Realm()
        self._last, self._jobs[job.slug] = job.slug, job
        self._realm.begin()
        self._realm.call(
            "__run",
            json.dumps(
                {
                    "rule": job.slug,
                    "script": job.script,
                    "user": user,
                    "context": context,
                    "configuration": job.configuration,
                    "domain": settings.PUBLIC_URL.split("://")[-1],
                    "accessToken": _api_token(job, self._subject),
                    "seed": secrets.randbits(31),
                    "resumes": job.resumes,
                    "cache": cache.get(_cache_key(job)) or {},
                }
            ),
        )
        while True:
            report = self._report("")
            self._submit(report, ends)
            if report.get("how") != "waiting":
                return report
            self._wait(report.get("timer"), ends, "")

    def _report(self, mode: str) -> JsonObject:
        assert self._realm is not None
        return read_answer(self._realm.call("__report", mode))

    def _late(self, report: JsonObject) -> list[LateStep]:
        """Return what rules that ended did since they were asked, and their requests."""
        late = [
            LateStep(
                str(each["rule"]),
                each["updates"],
                _texts(each["enrichments"]),
                _texts(each["console"]),
                self._take_requests(str(each["rule"])),
            )
            for each in report.get("late") or []
        ]
        if report.get("how") == "over":
            rest = dict.fromkeys(slug for slug, _ in self._requests)
            late += [LateStep(slug, requests=self._take_requests(slug)) for slug in rest]
        return late

    def _take_requests(self, slug: str) -> list[RequestRecord]:
        taken = []
        for _ in range(len(self._requests)):
            rule, record = self._requests.popleft()
            if rule == slug:
                taken.append(record)
            else:
                self._requests.append((rule, record))
        return taken

    def _submit(self, report: JsonObject, ends: float) -> None:
        for ask in report.get("asks") or []:
            request, rule, left = ask["arg"], str(ask["rule"]), ends - time.monotonic()
            # A little less than the rule's time, so that it sees the time-out and can go on without a response. A request
            # that the rule does not wait for has its own time.
            left = _SHARE_OF_TIME_LEFT * (left if report.get("how") == "waiting" else AFTERWARDS_SECONDS)
            self._rule_of[ask["id"]] = rule
            # A call of a rule that is not known is one without a declaration.
            job = self._jobs.get(rule) or RuleInvocation(rule, "", "", {})
            refused = self._gate(job, request) if self._gate else None
            self._open[ask["id"]] = http_calls.submit(partial(self._performed, rule, refused), request, left)

    def _performed(
        self, rule: str, refused: http_calls.Answer | None, request: http_calls.Request, seconds: float
    ) -> http_calls.Answer:
        started, address = time.perf_counter(), str(request.get("url"))
        is_own = address.startswith(f"{settings.PUBLIC_URL}/")
        if is_own and rule in self._called:
            # What it writes here by its own token rests on what it was answered there.
            request = {**request, "headers": {**dict(request.get("headers") or {}), AFTER_CALL: "true"}}
        answer = refused or self._perform(request, seconds)
        took = round((time.perf_counter() - started) * 1000, 1)
        try:
            host = urlsplit(address).hostname or ""
        except ValueError:
            host = ""
        record = RequestRecord(method=str(request.get("method")), host=host, milliseconds=took)
        if is_own:
            record["own"] = True
        if "value" in answer:
            record["status"] = answer["value"]["status"]
        else:
            record["code"] = answer["error"]["code"]
        if has_called_outside([record]):
            self._called.add(rule)
        self._requests.append((rule, record))
        return answer

    def _wait(self, timer: float | None, ends: float, mode: str) -> bool:
        """Wait for the first response or the rule's own timer. Without open requests a timer fires at once.

        Returns whether a response came.
        """
        assert self._realm is not None
        started = time.monotonic()
        if self._open:
            left = max(ends - started, 0)
            with self._realm.waiting():
                wait(self._open.values(), left if timer is None else min(timer / 1000, left), FIRST_COMPLETED)
        done = [key for key, future in self._open.items() if future.done()]
        passed = time.monotonic() - started
        if not done and time.monotonic() >= ends:
            raise RequestTimeout
        for key in done or [0]:
            answer = None
            if key:
                self._last = self._rule_of.pop(key, "")
                answer = {"id": key, **self._open.pop(key).result()}
            step = {"mode": mode, "passed": passed * 1000, "answer": answer}
            self._realm.call("__step", json.dumps(step))
            passed = 0
        return bool(done)


def syntax_error(script: str) -> tuple[str, int] | None:
    """Return the syntax error of a script and its line (1-based, 0 if unknown); None when the script is valid."""
    with Realm() as realm:
        try:
            error = json.loads(realm.call("__compile", script))
        except Terminated as terminated:
            return terminated.name.replace("_", " "), 0
    if error is None:
        return None
    line = _AT_LINE.search(error["stack"])
    return f"{error['name']}: {error['message']}", int(line[1]) if line else 0


def _api_token(job: RuleInvocation, user_id: str) -> str:
    """Return `auth0.accessToken`: a token of the Management API for this user alone, valid for a minute.

    Empty when the script does not mention it or no user is known.
    """
    if not user_id or not _MENTIONED.search(job.script):
        return ""
    claims = {
        "aud": management_audience(),
        "sub": "rules@clients",
        "azp": "rules",
        "gty": "client-credentials",
        "scope": OWN_SCOPES,
        ONLY_USER: user_id,
        WRITING_RULE: f"{job.slug}@{job.version}",
        "exp": int(time.time()) + TOKEN_SECONDS,
    }
    return sign(claims, AT_JWT)


def _cache_key(job: RuleInvocation) -> str:
    return f"rules.cache.{job.slug}"


def _step(answer: JsonObject, user: JsonObject, context: JsonObject, job: RuleInvocation) -> RuleResult:
    how, error, console = answer.get("how"), answer.get("error"), _texts(answer.get("console"))
    after = answer.get("user"), answer.get("context")
    if how == "silent":
        return failed("never_called_back", user, context, console=console)
    if how not in ("done", "denied") or not isinstance(after[0], dict) or not isinstance(after[1], dict):
        if not isinstance(error, dict):
            return failed("bad_answer", user, context, console=console)
        message = str(error.get("message", ""))
        fault = _FAULTS_BY_MESSAGE.get(message, "threw") if error.get("name") == "InternalError" else "threw"
        if error.get("name") == "NotHere":
            fault = "not_here"
        if error.get("name") == "ReferenceError" and (unknown := _UNKNOWN.match(message)) and unknown[1] in ABSENT:
            fault, message = "not_here", f"{message}. {ABSENT[unknown[1]]}"
        line = _AT_LINE.search(str(error.get("stack", "")))
        where = f" (line {line[1]})" if line else ""
        return failed(fault, user, context, f"{error.get('name')}: {message}{where}", console)
    if isinstance(answer.get("cache"), dict):
        cache.set(_cache_key(job), answer["cache"], _CACHE_SECONDS)
    return RuleResult(
        how,
        after[0],
        after[1],
        error=error if isinstance(error, dict) else {},
        updates=answer.get("updates") or [],
        enrichments=_texts(answer.get("enrichments")),
        console=console,
        ignored=_texts(answer.get("ignored")),
        paused=answer.get("paused") is True,
    )


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
