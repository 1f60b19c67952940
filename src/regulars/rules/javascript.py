"""JavaScript rules: Auth0's contract over the sandbox's text-in, text-out."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from django.conf import settings

from .decide import read_answer
from .sandbox.machine import Unavailable
from .sandbox.realm import Realm, Stopped
from .step import Job, Step, failed

_AT_LINE = re.compile(r"<input>:(\d+)")
_FAULTS_BY_MESSAGE = {"out of memory": "too_much_memory", "stack overflow": "too_deep"}


class JavaScript:
    """The rules of one login share a realm, as on Auth0; one that had to be stopped takes its realm with it."""

    def __init__(self) -> None:
        self._realm: Realm | None = None

    def close(self) -> None:
        if self._realm is not None:
            self._realm.close()
            self._realm = None

    def run(self, job: Job, user: dict[str, Any], context: dict[str, Any]) -> Step:
        """Run one rule; its faults come back as a failed step."""
        given = {
            "script": job.script,
            "user": user,
            "context": context,
            "configuration": job.configuration,
            "domain": settings.PUBLIC_URL.split("://")[-1],
            "seed": secrets.randbits(31),
        }
        try:
            answer = read_answer(self._answer(json.dumps(given)))
        except Stopped as stopped:
            self.close()
            return failed(stopped.name, user, context)
        except (Unavailable, OSError) as error:
            return failed("engine_unavailable", user, context, str(error))
        except ValueError:
            return failed("bad_answer", user, context)
        return _step(answer, user, context)

    def _answer(self, given: str) -> str:
        if self._realm is None:
            self._realm = Realm()
        self._realm.begin()
        self._realm.call("__run", given)
        while (answer := self._realm.call("__step", "")) == '{"how":"waiting"}':
            pass
        return answer


def syntax_error(script: str) -> tuple[str, int] | None:
    """What is wrong with a script and in which line (1-based, 0 if unknown); None when it is one function expression."""
    with Realm() as realm:
        try:
            error = json.loads(realm.call("__compile", script))
        except Stopped as stopped:
            return stopped.name.replace("_", " "), 0
    if error is None:
        return None
    line = _AT_LINE.search(error["stack"])
    return f"{error['name']}: {error['message']}", int(line[1]) if line else 0


def _step(answer: dict[str, Any], user: dict[str, Any], context: dict[str, Any]) -> Step:
    how, error, console = answer.get("how"), answer.get("error"), _texts(answer.get("console"))
    after = answer.get("user"), answer.get("context")
    if how == "silent":
        return failed("never_called_back", user, context, console=console)
    if how not in ("done", "denied") or not isinstance(after[0], dict) or not isinstance(after[1], dict):
        return _thrown(error, user, context, console)
    return Step(
        how,
        after[0],
        after[1],
        error=error if isinstance(error, dict) else {},
        updates=answer.get("updates") or [],
        enrichments=_texts(answer.get("enrichments")),
        console=console,
    )


def _thrown(error: Any, user: dict[str, Any], context: dict[str, Any], console: list[str]) -> Step:
    if not isinstance(error, dict):
        return failed("bad_answer", user, context, console=console)
    message = str(error.get("message", ""))
    fault = _FAULTS_BY_MESSAGE.get(message, "threw") if error.get("name") == "InternalError" else "threw"
    line = _AT_LINE.search(str(error.get("stack", "")))
    where = f" (line {line[1]})" if line else ""
    return failed(fault, user, context, f"{error.get('name')}: {message}{where}", console)


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
