"""Play a template's examples: the real engine, with the declared answers in the place of the world outside."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from regulars.base.plugins.fields import filled

from .. import outside
from ..models import Rule
from ..run import Outcome, try_rule
from ..save import script_language
from . import Example, Template


@dataclass(frozen=True)
class Played:
    """What came of an example, in the words of `Example.expect`, and every way in which it is not what it should be."""

    came: dict[str, Any]
    problems: list[str]


def play(template: Template, example: Example) -> Played:
    """Run the example; stores and sends nothing."""
    world = Declared(example.http)
    language = script_language(template.script, Rule.Language.JAVASCRIPT)
    rule = Rule(slug="trial", script=template.script, language=language)
    rule.settings = filled(template.settings, example.settings)
    trial = try_rule(rule, example.user, example.context, world.perform)
    came = summary(trial.outcome)
    problems = [trial.error] if trial.error else []
    if came != example.expect:
        problems.append(f"expected {json.dumps(example.expect)}, came {json.dumps(came)}")
    return Played(came, [*problems, *world.problems()])


def summary(outcome: Outcome) -> dict[str, Any]:
    """What came of a rule, in the words of a template's `expect`; without what is empty."""
    bags: dict[str, dict[str, Any]] = {"user_metadata": {}, "app_metadata": {}}
    for update in outcome.metadata_updates:
        bags[update.bag].update(update.data)
    everything = {
        "id_token": outcome.id_token_claims,
        "access_token": outcome.access_token_claims,
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "denied": outcome.denied.error if outcome.denied else "",
        "enrichments": outcome.enrichments,
        **bags,
    }
    return {name: value for name, value in everything.items() if value}


class Declared:
    """Answers what an example declares, each once; anything else is a problem."""

    def __init__(self, exchanges: Iterable[dict[str, Any]]) -> None:
        self._left = list(exchanges)
        self._problems: list[str] = []
        self._lock = threading.Lock()

    def perform(self, request: outside.Request, seconds: float) -> outside.Answer:
        with self._lock:
            return self._answer(request)

    def problems(self) -> list[str]:
        return [*self._problems, *(f"never asked: {one['url']}" for one in self._left)]

    def _answer(self, request: outside.Request) -> outside.Answer:
        asked = (request["method"], request["url"])
        found = next((one for one in self._left if (one.get("method", "GET"), one["url"]) == asked), None)
        if found is None:
            self._problems.append(f"asked and not declared: {asked[0]} {asked[1]}")
            return {"error": {"message": "This is not declared in the example.", "code": "ENOTDECLARED"}}
        self._left.remove(found)
        self._compare(found, request)
        text = found["text"] if "text" in found else json.dumps(found.get("answer", {}))
        headers = {"content-type": "text/plain" if "text" in found else "application/json"}
        return {"value": {"status": found.get("status", 200), "headers": headers, "text": text, "url": found["url"]}}

    def _compare(self, declared: dict[str, Any], request: outside.Request) -> None:
        sent = {name.lower(): value for name, value in request["headers"].items()}
        for name, value in declared.get("headers", {}).items():
            if sent.get(name) != value:
                self._problems.append(f"{declared['url']}: header {name} is {sent.get(name)!r}, not {value!r}")
        body = request.get("text", "")
        for part in declared.get("sends", []):
            if part not in body:
                self._problems.append(f"{declared['url']}: {part!r} is not in the body {body!r}")
