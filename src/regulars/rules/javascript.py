"""JavaScript rules: Auth0's contract over the sandbox's text-in, text-out."""

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

from . import outside
from .decide import read_answer
from .own_token import token_for
from .sandbox.cache import Unavailable
from .sandbox.realm import Realm, Stopped
from .step import Job, Step, failed

AFTERWARDS_SECONDS = 10.0
AFTERWARDS_AT_ONCE = 8
_AT_LINE = re.compile(r"<input>:(\d+)")
_FAULTS_BY_MESSAGE = {"out of memory": "too_much_memory", "stack overflow": "too_deep"}
_UNKNOWN = re.compile(r"'?(\w+)'? is not defined")
# What Node has and rules have not, and what to do instead.
ABSENT = {
    "Intl": "Rules know no languages: format dates and numbers with moment, or in the app.",
    "WebAssembly": "Rules are JavaScript only.",
    "Worker": "A rule has one thread.",
    "SharedArrayBuffer": "A rule has one thread.",
    "Atomics": "A rule has one thread.",
    "XMLHttpRequest": "Ask with request, axios or fetch.",
    "WebSocket": "Ask with request, axios or fetch.",
    "FormData": "Send a form as URLSearchParams.",
    "structuredClone": "Copy with JSON.parse(JSON.stringify(…)).",
}
_OF_WHAT_IS_LEFT = 0.8
_CACHE_SECONDS = 24 * 3600


class WaitedTooLong(Exception):
    """Somebody outside did not answer within the rule's patience."""


class JavaScript:
    """The rules of one login share a realm, as on Auth0; one that had to be stopped takes its realm with it.

    `perform` answers what rules ask outside (`outside.perform`; a replay answers from what was recorded). `subject` is the
    id of who logs in, whatever rules write into `user`.
    """

    def __init__(self, perform: outside.Perform = outside.perform, subject: str = "") -> None:
        self._perform = perform
        self._subject = subject
        self._realm: Realm | None = None
        self._open: dict[int, Future[outside.Answer]] = {}
        self._requests: list[dict[str, Any]] = []

    def run(self, job: Job, user: dict[str, Any], context: dict[str, Any]) -> Step:
        """Run one rule; its faults come back as a failed step."""
        if job.own_realm:
            self.close()
        self._requests = []
        try:
            step = _step(self._answer(job, user, context), user, context, job)
        except Stopped as stopped:
            self._drop()
            step = failed(stopped.name, user, context)
        except WaitedTooLong:
            step = failed("waited_too_long", user, context, f"No answer within {job.patience:g} seconds.")
        except (Unavailable, OSError) as error:
            step = failed("engine_unavailable", user, context, str(error))
        except ValueError:
            step = failed("bad_answer", user, context)
        if job.own_realm:
            self.close()
        return Step(**{**vars(step), "requests": self._requests})

    def hear_out(self, seconds: float = AFTERWARDS_SECONDS) -> None:
        """Go on until everything that rules asked outside is answered, as code after `callback` expects."""
        ends = time.monotonic() + seconds
        try:
            while self._realm is not None and self._open and time.monotonic() < ends:
                self._realm.begin()
                self._listen(None, ends)
                self._ask(self._report("after"), ends)
        except (Stopped, WaitedTooLong, ValueError):
            pass
        self._drop()

    def close(self) -> None:
        """What rules still wait for is heard afterwards, in a thread; nobody's login waits for it."""
        if self._realm is None or not self._open or not _afterwards.acquire(blocking=False):
            self._drop()
            return
        rest = JavaScript(self._perform)
        rest._realm, rest._open = self._realm, self._open
        self._realm, self._open = None, {}
        threading.Thread(target=_hear_out, args=(rest,), daemon=True, name="rules-afterwards").start()

    def _drop(self) -> None:
        if self._realm is not None:
            self._realm.close()
        self._realm, self._open = None, {}

    def _answer(self, job: Job, user: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        ends = time.monotonic() + job.patience
        if self._realm is None:
            self._realm = Realm()
        self._realm.begin()
        self._realm.call("__run", json.dumps(_given(job, user, context, self._subject)))
        while True:
            report = self._report("")
            self._ask(report, ends)
            if report.get("how") != "waiting":
                return report
            self._listen(report.get("timer"), ends)

    def _report(self, mode: str) -> dict[str, Any]:
        assert self._realm is not None
        return read_answer(self._realm.call("__report", mode))

    def _ask(self, report: dict[str, Any], ends: float) -> None:
        for ask in report.get("asks") or []:
            request, left = ask["arg"], ends - time.monotonic()
            # A little less than the rule has, so that it hears of the time-out and can go on without an answer. A request
            # that nobody waits for any more has its own time.
            left = left * _OF_WHAT_IS_LEFT if report.get("how") == "waiting" else AFTERWARDS_SECONDS
            self._open[ask["id"]] = outside.submit(self._performed, request, left)

    def _performed(self, request: outside.Request, seconds: float) -> outside.Answer:
        started = time.perf_counter()
        answer = self._perform(request, seconds)
        about = {"status": answer["value"]["status"]} if "value" in answer else {"code": answer["error"]["code"]}
        took = round((time.perf_counter() - started) * 1000, 1)
        self._requests.append(
            {"method": str(request.get("method")), "host": _host(request), **about, "milliseconds": took}
        )
        return answer

    def _listen(self, timer: float | None, ends: float) -> None:
        """Wait for the first answer, or for the rule's own timer; without anything open a timer need not be waited for."""
        assert self._realm is not None
        started = time.monotonic()
        if self._open:
            left = max(ends - started, 0)
            with self._realm.waiting():
                wait(self._open.values(), left if timer is None else min(timer / 1000, left), FIRST_COMPLETED)
        heard = [{"id": key, **self._open.pop(key).result()} for key in self._done()]
        passed = time.monotonic() - started
        if not heard and time.monotonic() >= ends:
            raise WaitedTooLong
        self._realm.call("__step", json.dumps({"passed": passed * 1000, "heard": heard}))

    def _done(self) -> list[int]:
        return [key for key, future in self._open.items() if future.done()]


_afterwards = threading.BoundedSemaphore(AFTERWARDS_AT_ONCE)


def _hear_out(rest: JavaScript) -> None:
    try:
        rest.hear_out()
    finally:
        _afterwards.release()


def syntax_error(script: str) -> tuple[str, int] | None:
    """What is wrong with a script and in which line (1-based, 0 if unknown); None when it is a rule or an action."""
    with Realm() as realm:
        try:
            error = json.loads(realm.call("__compile", script))
        except Stopped as stopped:
            return stopped.name.replace("_", " "), 0
    if error is None:
        return None
    line = _AT_LINE.search(error["stack"])
    return f"{error['name']}: {error['message']}", int(line[1]) if line else 0


def _given(job: Job, user: dict[str, Any], context: dict[str, Any], subject: str) -> dict[str, Any]:
    return {
        "script": job.script,
        "user": user,
        "context": context,
        "configuration": job.configuration,
        "domain": settings.PUBLIC_URL.split("://")[-1],
        "accessToken": token_for(job.script, subject),
        "seed": secrets.randbits(31),
        "resumes": job.resumes,
        "cache": cache.get(_cache_key(job)) or {},
    }


def _cache_key(job: Job) -> str:
    return f"rules.cache.{job.slug}"


def _step(answer: dict[str, Any], user: dict[str, Any], context: dict[str, Any], job: Job) -> Step:
    how, error, console = answer.get("how"), answer.get("error"), _texts(answer.get("console"))
    after = answer.get("user"), answer.get("context")
    if how == "silent":
        return failed("never_called_back", user, context, console=console)
    if how not in ("done", "denied") or not isinstance(after[0], dict) or not isinstance(after[1], dict):
        return _thrown(error, user, context, console)
    if isinstance(answer.get("cache"), dict):
        cache.set(_cache_key(job), answer["cache"], _CACHE_SECONDS)
    return Step(
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


def _thrown(error: Any, user: dict[str, Any], context: dict[str, Any], console: list[str]) -> Step:
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


def _host(request: outside.Request) -> str:
    try:
        return urlsplit(str(request.get("url"))).hostname or ""
    except ValueError:
        return ""


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
