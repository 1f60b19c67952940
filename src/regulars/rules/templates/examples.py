"""Run the examples of templates: the real engine, with declared answers to HTTP requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from regulars.base.plugins.fields import fill_settings
from regulars.base.text import JsonObject

from .. import http_calls
from ..models import Rule
from ..run import RulesOutcome, try_rule
from ..save import script_language
from . import Example, Template


@dataclass(frozen=True)
class ExampleResult:
    """The actual effect of an example, in the form of `Example.expect`, and every problem."""

    actual: JsonObject
    problems: list[str]


def run_example(template: Template, example: Example) -> ExampleResult:
    """Run the example; stores and sends nothing."""
    http = DeclaredHttp(example.http)
    language = script_language(template.script, Rule.Language.JAVASCRIPT)
    rule = Rule(slug="trial", script=template.script, language=language)
    rule.settings = fill_settings(template.settings, example.settings)
    trial = try_rule(rule, example.user, example.context, http.perform)
    actual = _shortened(summary(trial.outcome), example.expect)
    problems = [trial.error] if trial.error else []
    if actual != example.expect:
        problems.append(f"expected {json.dumps(example.expect)}, actual {json.dumps(actual)}")
    return ExampleResult(actual, [*problems, *http.problems()])


def _shortened(actual: JsonObject, expect: JsonObject) -> JsonObject:
    """Return `actual` with an ellipsis in the address of a redirect where `expect` has it: tokens are never the same."""
    start, ellipsis, _ = str(expect.get("redirect", "")).partition("…")
    fits = ellipsis and str(actual.get("redirect", "")).startswith(start)
    return {**actual, "redirect": expect["redirect"]} if fits else actual


def summary(outcome: RulesOutcome) -> JsonObject:
    """Return the effect of a rule in the form of `Example.expect`, without empty parts."""
    bags: dict[str, JsonObject] = {"user_metadata": {}, "app_metadata": {}}
    for update in outcome.metadata_updates:
        bags[update.bag].update(update.data)
    everything = {
        "id_token": outcome.id_token_claims,
        "withheld": outcome.withheld,
        "access_token": outcome.access_token_claims,
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "second_factor": outcome.second_factor,
        "denied": outcome.denied.error if outcome.denied else "",
        "enrichments": outcome.enrichments,
        **bags,
    }
    return {name: value for name, value in everything.items() if value}


class DeclaredHttp:
    """Answers declared requests, each once; any other request is a problem."""

    def __init__(self, exchanges: Iterable[JsonObject]) -> None:
        self._left = list(exchanges)
        self._problems: list[str] = []
        self._lock = threading.Lock()

    def perform(self, request: http_calls.Request, seconds: float) -> http_calls.Answer:
        with self._lock:
            return self._answer(request)

    def problems(self) -> list[str]:
        return [*self._problems, *(f"never requested: {one['url']}" for one in self._left)]

    def _answer(self, request: http_calls.Request) -> http_calls.Answer:
        asked = (request["method"], request["url"])
        found = next((one for one in self._left if (one.get("method", "GET"), one["url"]) == asked), None)
        if found is None:
            self._problems.append(f"requested but not declared: {asked[0]} {asked[1]}")
            return {"error": {"message": "The example does not declare this request.", "code": "ENOTDECLARED"}}
        self._left.remove(found)
        self._compare(found, request)
        text = found["text"] if "text" in found else json.dumps(found.get("answer", {}))
        headers = {"content-type": "text/plain" if "text" in found else "application/json"}
        return {"value": {"status": found.get("status", 200), "headers": headers, "text": text, "url": found["url"]}}

    def _compare(self, declared: JsonObject, request: http_calls.Request) -> None:
        sent = {name.lower(): value for name, value in request["headers"].items()}
        for name, value in declared.get("headers", {}).items():
            if sent.get(name) != value:
                self._problems.append(f"{declared['url']}: header {name} is {sent.get(name)!r}, not {value!r}")
        body = request.get("text", "")
        for part in declared.get("sends", []):
            if part not in body:
                self._problems.append(f"{declared['url']}: {part!r} is not in the body {body!r}")
