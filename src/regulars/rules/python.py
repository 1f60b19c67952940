"""Python rules: trusted functions, installed under the entry point group `regulars.rules` or stored in the home.

    home/rules/greet.py:   def rule(user: dict, context: dict, api: Api) -> None: ...

The name of a file is the key of its rule; a changed file is read again. A rule gets the same objects as JavaScript rules
and changes them in place; `raise Unauthorized("…")` denies the login.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from django.conf import settings

from regulars.base.errors import DomainError, Invalid
from regulars.base.plugins.catalog import Catalog
from regulars.base.text import JsonObject

from .decide import read_answer
from .invocation import LateStep, RuleInvocation, RuleResult, failed


class Unauthorized(Exception):
    """Raised by a Python rule to deny the login, with the message for the customer."""


@dataclass
class Api:
    """What a Python rule can do besides changing `user` and `context`. `configuration` merges global and own settings.

    A rule may hand it to a thread that outlives the rule: what the thread asks for is carried out after the login.
    """

    configuration: JsonObject
    updates: list[JsonObject] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    _late: Callable[[LateStep], None] | None = field(default=None, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def update_user_metadata(self, data: JsonObject) -> None:
        self._ask(LateStep("", updates=[{"bag": "user_metadata", "data": copy.deepcopy(data)}]))

    def update_app_metadata(self, data: JsonObject) -> None:
        self._ask(LateStep("", updates=[{"bag": "app_metadata", "data": copy.deepcopy(data)}]))

    def enrich(self, source_key: str) -> None:
        """Request a look-up after the login; the login does not wait for it."""
        self._ask(LateStep("", enrichments=[source_key]))

    def log(self, line: str) -> None:
        self._ask(LateStep("", console=[line]))

    def take(self) -> LateStep:
        """Return what was asked for since the last call."""
        with self._lock:
            taken = LateStep("", self.updates, self.enrichments, self.console)
            self.updates, self.enrichments, self.console = [], [], []
        return taken

    def hand_over(self, late: Callable[[LateStep], None]) -> None:
        """Give what is asked for from now on, and since the last `take`, to `late`."""
        with self._lock:
            self._late = late
        late(self.take())

    def _ask(self, step: LateStep) -> None:
        with self._lock:
            late = self._late
            if late is None:
                self.updates += step.updates
                self.enrichments += step.enrichments
                self.console += step.console
        if late is not None:
            late(step)


PythonRule = Callable[[JsonObject, JsonObject, Api], None]
python_rules: Catalog[PythonRule] = Catalog("rules")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_loaded: dict[Path, tuple[int, PythonRule]] = {}  # path → (time of change, function)


def python_rule(key: str) -> PythonRule:
    """Return the rule of a key: an installed one, else the file of that name in the home.

    Raises `Invalid("unknown_plugin" | "bad_rule_file")`.
    """
    return python_rules[key] if key in python_rules else _file_rule(key)


def run_python(job: RuleInvocation, user: JsonObject, context: JsonObject, api: Api | None = None) -> RuleResult:
    """Run one installed rule; its faults are returned as a failed result. Trusted: no limits.

    `api` outlives the rule if it is handed in.
    """
    try:
        rule = python_rule(job.script)
    except DomainError as error:
        return failed(error.code, user, context, error.message)
    api = api or Api(copy.deepcopy(job.configuration))
    after = copy.deepcopy((user, context))
    try:
        rule(*after, api)
    except Unauthorized as denial:
        answer = {"name": "UnauthorizedError", "message": str(denial)}
        asked = api.take()
        try:
            updates = list(read_answer(json.dumps({"updates": asked.updates}))["updates"])
        except (TypeError, ValueError):  # not JSON: none of them counts
            updates = []
        return RuleResult("denied", user, context, error=answer, updates=updates, console=asked.console)
    except Exception as fault:  # recorded, never raised
        return failed("threw", user, context, f"{type(fault).__name__}: {fault}", api.take().console)
    asked = api.take()
    try:
        left = read_answer(json.dumps({"user": after[0], "context": after[1], "updates": asked.updates}))
    except (TypeError, ValueError):  # the rule left something that is not JSON, such as a date
        return failed("bad_answer", user, context, console=asked.console)
    return RuleResult("done", **left, enrichments=asked.enrichments, console=asked.console)


def file_rules() -> list[str]:
    """Return the keys of the Python rules in the home."""
    return sorted(path.stem for path in _rules_folder().glob("*.py") if _NAME.fullmatch(path.stem))


def _file_rule(key: str) -> PythonRule:
    """Return the function of the file `key`. Raises `Invalid("unknown_plugin" | "bad_rule_file")` with the file's name."""
    path = _rules_folder() / f"{key}.py"
    if not _NAME.fullmatch(key) or not path.is_file():
        raise Invalid(
            "unknown_plugin", f"No rule called {key!r} is installed, and {path.name} is not in the folder rules."
        )
    status = path.stat()
    if status.st_mode & 0o002:
        raise Invalid("bad_rule_file", f"{path.name} is writable by other users; it is not run.")
    changed, function = _loaded.get(path, (0, None))
    if function is None or changed != status.st_mtime_ns:
        module = ModuleType(f"regulars_rules_{path.stem}")
        module.__file__ = str(path)
        try:
            exec(compile(path.read_text(), path.name, "exec"), module.__dict__)  # noqa: S102 - the operator's own file
        except Exception as error:
            raise Invalid("bad_rule_file", f"{path.name} cannot be loaded: {type(error).__name__}: {error}") from None
        function = getattr(module, "rule", None)
        if not callable(function):
            raise Invalid("bad_rule_file", f"{path.name} has no function called rule.")
        _loaded[path] = (status.st_mtime_ns, function)
    return function


def _rules_folder() -> Path:
    return Path(settings.HOME) / "rules"
