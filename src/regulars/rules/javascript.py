"""JavaScript rules: Auth0's contract on top of the sandbox."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache

from regulars.base.text import JsonObject
from regulars.base.tokens.jwt import sign
from regulars.clients.models import management_audience

from . import http_calls
from .decide import read_answer
from .invocation import RequestRecord, RuleInvocation, RuleResult, failed
from .sandbox.compile_cache import EngineUnavailable
from .sandbox.realm import Realm, Terminated

AFTERWARDS_SECONDS = 10.0
AFTERWARDS_AT_ONCE = 8
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

    `perform` answers requests of rules (`http_calls.perform`; a replay answers from the recording). `subject` is the id of
    the user who logs in, whatever rules write into `user`.
    """

    def __init__(self, perform: http_calls.Perform = http_calls.perform, subject: str = "") -> None:
        self._perform = perform
        self._subject = subject
        self._realm: Realm | None = None
        self._open: dict[int, Future[http_calls.Answer]] = {}
        self._requests: list[RequestRecord] = []

    def run(self, job: RuleInvocation, user: JsonObject, context: JsonObject) -> RuleResult:
        """Run one rule; its faults are returned as a failed result."""
        if job.own_realm:
            self.close()
        self._requests = []
        try:
            step = _step(self._answer(job, user, context), user, context, job)
        except Terminated as terminated:
            self._drop()
            step = failed(terminated.name, user, context)
        except RequestTimeout:
            step = failed("waited_too_long", user, context, f"No answer within {job.timeout:g} seconds.")
        except (EngineUnavailable, OSError) as error:
            step = failed("engine_unavailable", user, context, str(error))
        except ValueError:
            step = failed("bad_answer", user, context)
        if job.own_realm:
            self.close()
        return RuleResult(**{**vars(step), "requests": self._requests})

    def finish_requests(self, seconds: float = AFTERWARDS_SECONDS) -> None:
        """Continue until every request is answered, as code after `callback` expects."""
        ends = time.monotonic() + seconds
        try:
            while self._realm is not None and self._open and time.monotonic() < ends:
                self._realm.begin()
                self._wait(None, ends)
                self._submit(self._report("after"), ends)
        except (Terminated, RequestTimeout, ValueError):
            pass
        self._drop()

    def close(self) -> None:
        """Close the realm. Open requests complete afterwards in a thread; no login waits for them."""
        if self._realm is None or not self._open or not _afterwards.acquire(blocking=False):
            self._drop()
            return
        rest = JavaScript(self._perform)
        rest._realm, rest._open = self._realm, self._open
        self._realm, self._open = None, {}
        threading.Thread(target=_finish_requests, args=(rest,), daemon=True, name="rules-afterwards").start()

    def _drop(self) -> None:
        if self._realm is not None:
            self._realm.close()
        self._realm, self._open = None, {}

    def _answer(self, job: RuleInvocation, user: JsonObject, context: JsonObject) -> JsonObject:
        ends = time.monotonic() + job.timeout
        if self._realm is None:
            self._realm = Realm()
        self._realm.begin()
        self._realm.call(
            "__run",
            json.dumps(
                {
                    "script": job.script,
                    "user": user,
                    "context": context,
                    "configuration": job.configuration,
                    "domain": settings.PUBLIC_URL.split("://")[-1],
                    "accessToken": _api_token(job.script, self._subject),
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
            self._wait(report.get("timer"), ends)

    def _report(self, mode: str) -> JsonObject:
        assert self._realm is not None
        return read_answer(self._realm.call("__report", mode))

    def _submit(self, report: JsonObject, ends: float) -> None:
        for ask in report.get("asks") or []:
            request, left = ask["arg"], ends - time.monotonic()
            # A little less than the rule's time, so that it sees the time-out and can go on without a response. A request
            # that the rule does not wait for has its own time.
            left = left * _SHARE_OF_TIME_LEFT if report.get("how") == "waiting" else AFTERWARDS_SECONDS
            self._open[ask["id"]] = http_calls.submit(self._performed, request, left)

    def _performed(self, request: http_calls.Request, seconds: float) -> http_calls.Answer:
        started = time.perf_counter()
        answer = self._perform(request, seconds)
        took = round((time.perf_counter() - started) * 1000, 1)
        try:
            host = urlsplit(str(request.get("url"))).hostname or ""
        except ValueError:
            host = ""
        record = RequestRecord(method=str(request.get("method")), host=host, milliseconds=took)
        if "value" in answer:
            record["status"] = answer["value"]["status"]
        else:
            record["code"] = answer["error"]["code"]
        self._requests.append(record)
        return answer

    def _wait(self, timer: float | None, ends: float) -> None:
        """Wait for the first response or the rule's own timer. Without open requests a timer fires at once."""
        assert self._realm is not None
        started = time.monotonic()
        if self._open:
            left = max(ends - started, 0)
            with self._realm.waiting():
                wait(self._open.values(), left if timer is None else min(timer / 1000, left), FIRST_COMPLETED)
        answers = [{"id": key, **self._open.pop(key).result()} for key in self._done()]
        passed = time.monotonic() - started
        if not answers and time.monotonic() >= ends:
            raise RequestTimeout
        self._realm.call("__step", json.dumps({"passed": passed * 1000, "answers": answers}))

    def _done(self) -> list[int]:
        return [key for key, future in self._open.items() if future.done()]


_afterwards = threading.BoundedSemaphore(AFTERWARDS_AT_ONCE)


def _finish_requests(rest: JavaScript) -> None:
    try:
        rest.finish_requests()
    finally:
        _afterwards.release()


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


def _api_token(script: str, user_id: str) -> str:
    """Return `auth0.accessToken`: a token of the Management API for this user alone, valid for a minute.

    Empty when the script does not mention it or no user is known.
    """
    if not user_id or not _MENTIONED.search(script):
        return ""
    claims = {
        "aud": management_audience(),
        "sub": "rules@clients",
        "azp": "rules",
        "gty": "client-credentials",
        "scope": OWN_SCOPES,
        "only_user": user_id,
        "exp": int(time.time()) + TOKEN_SECONDS,
    }
    return sign(claims, "at+jwt")


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
