"""Try a rule on a customer or a sample, and report the result in words, with every secret struck out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from regulars.base.errors import Invalid
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.text import JsonObject
from regulars.consent.view import served_user
from regulars.profiles.assertions import Place
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Profile

from . import http_calls
from .auth0_context import Auth0Context
from .invocation import CallGate
from .models import Rule
from .replay_runs import Replayed
from .run import configuration, objects_given, try_rule
from .run_records import recorded_context, without_secrets
from .templates import all_templates
from .templates.examples import DeclaredHttp

_NOTHING = object()
LARGEST_CONTEXT = 100_000  # characters
SAMPLE_USER: JsonObject = {
    "user_id": "auth0|sample",
    "email": "chika@example.com",
    "email_verified": True,
    "name": "Chika Abe",
    "locale": "en",
    "logins_count": 2,
    "user_metadata": {"looking_for": "jackets"},
    "app_metadata": {},
}
# A sign-in from an address without a place: of a country, nothing is known.
SAMPLE_CONTEXT: Auth0Context = {
    "tenant": "regulars",
    "clientID": "sample",
    "clientName": "Shop",
    "clientMetadata": {},
    "connection": "google-oauth2",
    "connectionStrategy": "google-oauth2",
    "protocol": "oidc-basic-profile",
    "stats": {"loginsCount": 2},
    "sso": {"with_auth0": False, "with_dbconn": False, "current_clients": ["sample"]},
    "sessionID": "sample",
    "request": {"ip": "192.0.2.1", "userAgent": "", "hostname": "localhost", "query": {}, "body": {}},
    "authentication": {"methods": [{"name": "federated", "timestamp": 1767225600000}]},
    "authorization": {"roles": []},
    "requested_scopes": ["openid"],
    "accessToken": {},
    "idToken": {},
}


@dataclass(frozen=True)
class ValueDifference:
    """One difference. `path` is dotted: `app_metadata.tier`. The missing side of an addition or a removal is empty."""

    path: str
    kind: str  # "added" "removed" "changed"
    before: Any = ""
    after: Any = ""


def differences(before: Any, after: Any, path: str = "") -> Iterator[ValueDifference]:
    """Yield what changed between two JSON values: objects key by key, everything else as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}.{key}" if path else key
            yield from differences(before.get(key, _NOTHING), after.get(key, _NOTHING), inner)
    elif before is _NOTHING:
        yield ValueDifference(path, "added", after=after)
    elif after is _NOTHING:
        yield ValueDifference(path, "removed", before=before)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield ValueDifference(path, "changed", before, after)


@dataclass(frozen=True)
class TrialReport:
    """A trial in words. Secrets are struck out of everything; `refused` says why the login would have ended.

    `context` is the login's context that the rule got; `login` says whose: "given", "recorded" or "sample". `requests`: what the rule requested, as `rules.run.RuleTrial` has it; `undeclared`: requests that had no answer declared.
    """

    error: str
    refused: str
    console: list[str]
    changes: list[ValueDifference]
    claims: list[tuple[str, str, Any]]  # token, claim, value
    effects: list[str]
    milliseconds: float
    user_id: str
    requests: list[JsonObject]
    undeclared: list[str]
    is_real: bool
    context: JsonObject
    login: str


def report_trial(
    rule: Rule,
    user_id: str,
    context_text: str,
    answers_text: str = "",
    *,
    really: bool = False,
    gate_of: Callable[[int, JsonObject], CallGate],
) -> TrialReport:
    """Run the rule on the customer (or, without id, on a sample). Stores nothing but what its calls disclose.

    Without a context the rule gets the recorded one of the customer's last sign-in, if its input is still stored. Its requests
    get the declared answers; with `really` they go to the services themselves, of a customer as the gate allows (`gate_of`: the
    id of the profile and the user → the gate).
    Raises `Invalid("unknown_customer" | "bad_context" | "bad_answers")`.
    """
    profile = _profile(user_id.strip())
    subject = {**served_user(profile, Place.RULES)} if profile else SAMPLE_USER
    context, login = _context(context_text, profile)
    gate = gate_of(profile.pk, subject) if really and profile else None
    declared = DeclaredHttp([] if really else _answers(answers_text))
    trial = try_rule(rule, subject, context, http_calls.perform if really else declared.perform, gate)
    open_keys = open_settings(rule)
    secrets = [str(value) for key, value in trial.configuration.items() if key not in open_keys]
    outcome = trial.outcome
    user_before, context_before = struck(list(objects_given(subject, context)), secrets)
    user_after, context_after = struck([trial.user, trial.context], secrets)
    tokens = struck({"ID token": outcome.id_token_claims, "access token": outcome.access_token_claims}, secrets)
    refused = outcome.denied.description if outcome.denied and not trial.error else ""
    return TrialReport(
        error=struck(trial.error, secrets),
        refused=struck(refused, secrets),
        console=struck(trial.console, secrets),
        changes=[*differences(user_before, user_after, "user"), *differences(context_before, context_after, "context")],
        claims=[(token, name, value) for token, claims in tokens.items() for name, value in claims.items()],
        effects=struck(
            [
                *(f"{update.bag} gets {json.dumps(update.data)}" for update in outcome.metadata_updates),
                *(f"lookup at {key} after the login" for key in outcome.enrichments),
                *([f"redirect to {outcome.redirect_url}"] if outcome.redirect_url else []),
                *(["a second factor is asked for, if none was used in this session"] if outcome.second_factor else []),
                *([f"tokens without {', '.join(outcome.withheld)}"] if outcome.withheld else []),
                *([f"scopes {' '.join(outcome.scopes)}"] if outcome.scopes is not None else []),
            ],
            secrets,
        ),
        milliseconds=trial.milliseconds,
        user_id=str(user_before.get("user_id", "")),
        requests=struck(trial.requests, secrets),
        undeclared=struck(declared.problems(), secrets),
        is_real=really,
        context=struck(context, secrets),
        login=login,
    )


def report_replay(replayed: Replayed) -> JsonObject:
    """Return the result of a replayed login in words, without secrets: `{"ID token": {…}, …}`, empty parts left out."""
    outcome = replayed.outcome
    denied = outcome.denied
    parts = {
        "ID token": outcome.id_token_claims,
        "withheld": outcome.withheld,
        "access token": outcome.access_token_claims,
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "second factor": outcome.second_factor,
        "denied": f"{denied.error}: {denied.description}" if denied else "",
        "learned": [{update.bag: update.data, "by": update.rule_slug} for update in outcome.metadata_updates],
        "lookups": outcome.enrichments,
        "faults": replayed.faults,
    }
    words: JsonObject = struck({name: part for name, part in parts.items() if part}, all_secrets())
    return words


def open_settings(rule: Rule) -> set[str]:
    """Return the settings that may be shown: those that the rule's template does not declare secret."""
    template = next((each for each in all_templates() if each.key == rule.template), None)
    return {each.key for each in template.settings if not each.secret} if template else set()


def all_secrets() -> list[str]:
    """Return every setting's value that no template declares open: several rules together could disclose any of them."""
    secrets = [str(value) for value in configuration().values()]
    for rule in Rule.objects.all():
        open_keys = open_settings(rule)
        secrets += [str(value) for key, value in rule.settings.items() if key not in open_keys]
    return secrets


def struck(value: Any, secrets: list[str]) -> Any:
    """Return the same value with secrets struck out of every text in it."""
    match value:
        case str():
            return without_secrets(secrets, value)
        case list():
            return [struck(each, secrets) for each in value]
        case dict():
            return {without_secrets(secrets, key): struck(each, secrets) for key, each in value.items()}
    return value


def _profile(user_id: str) -> Profile | None:
    profile = find_by_user_id(user_id) if user_id else None
    if user_id and profile is None:
        raise Invalid("unknown_customer", f"There is no customer with the id {user_id!r}.", "user_id")
    return profile


def _context(text: str, profile: Profile | None) -> tuple[JsonObject, str]:
    """Return the context for a trial, and whose it is."""
    if text.strip():
        given = _json(text)
        if not isinstance(given, dict):
            raise Invalid("bad_context", "The login is not a JSON object.", "context")
        return given, "given"
    recorded = recorded_context(profile) if profile else None
    return (recorded, "recorded") if recorded else ({**SAMPLE_CONTEXT}, "sample")


def _answers(text: str) -> list[JsonObject]:
    answers = _json(text) if text.strip() else []
    if not isinstance(answers, list) or not all(_is_exchange(one) for one in answers):
        raise Invalid("bad_answers", 'The answers are not a JSON list of objects that each have a "url".', "answers")
    return answers


def _is_exchange(value: Any) -> bool:
    if not isinstance(value, dict) or "url" not in value:
        return False
    kinds = {"url": str, "method": str, "text": str, "status": int, "headers": dict, "sends": list}
    are_right = all(isinstance(value[name], kind) for name, kind in kinds.items() if name in value)
    return are_right and all(isinstance(part, str) for part in value.get("sends", []))


def _json(text: str) -> Any:
    try:
        return read_json(text) if len(text) <= LARGEST_CONTEXT else None
    except UnreadableJson:
        return None
