"""Try a rule on somebody: who, in which login, and what came of it as the page shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from regulars.base.errors import Invalid
from regulars.profiles.document import user
from regulars.profiles.find import find_by_user_id
from regulars.rules import outside
from regulars.rules.decide import objects_given
from regulars.rules.models import Rule
from regulars.rules.record import without_secrets
from regulars.rules.run import Trial, configuration, try_rule
from regulars.rules.templates import all_templates
from regulars.rules.templates.examples import Declared

from .differences import Difference, differences

LARGEST_CONTEXT = 100_000  # characters
_AS_SAID = ("error", "refused", "console", "wants", "milliseconds", "requests", "undeclared", "is_real")
SAMPLE_USER: dict[str, Any] = {
    "user_id": "auth0|sample",
    "email": "chika@example.com",
    "email_verified": True,
    "name": "Chika Abe",
    "locale": "en",
    "logins_count": 2,
    "user_metadata": {"looking_for": "jackets"},
    "app_metadata": {},
}
SAMPLE_CONTEXT: dict[str, Any] = {
    "clientID": "sample",
    "clientName": "Shop",
    "connection": "google-oauth2",
    "connectionStrategy": "google-oauth2",
    "protocol": "oidc-basic-profile",
    "request": {"ip": "192.0.2.1", "query": {}, "geoip": {"country_code": "US"}},
    "stats": {"loginsCount": 2},
    "idToken": {},
    "accessToken": {},
}


@dataclass(frozen=True)
class Tried:
    """A trial as words. Secrets are struck out of everything; `refused` says that the login would have ended.

    `requests`: what it asked outside, as `rules.run.Trial` has it; `undeclared`: what had no answer declared.
    """

    error: str
    refused: str
    console: list[str]
    changes: list[Difference]
    claims: list[tuple[str, str, Any]]  # token, claim, value
    wants: list[str]
    milliseconds: float
    whose: str
    requests: list[dict[str, Any]]
    undeclared: list[str]
    is_real: bool


def try_on(rule: Rule, user_id: str, context_text: str, answers_text: str = "", *, really: bool = False) -> Tried:
    """Run the rule on the customer (or, without id, on a sample). Stores nothing.

    What it asks outside gets the declared answers; `really` asks the services themselves.
    Raises `Invalid("unknown_customer" | "bad_context" | "bad_answers")`.
    """
    whose, context = _whose(user_id.strip()), _context(context_text)
    declared = Declared([] if really else _answers(answers_text))
    trial = try_rule(rule, whose, context, outside.perform if really else declared.perform)
    open_keys = open_settings(rule)
    secrets = [str(value) for key, value in trial.configuration.items() if key not in open_keys]
    said = {**_said(trial), "requests": trial.requests, "undeclared": declared.problems(), "is_real": really}
    return _told(struck(said, secrets), struck(list(objects_given(whose, context)), secrets))


def open_settings(rule: Rule) -> set[str]:
    """The settings that may be shown: those that the rule's template calls no secret."""
    template = next((each for each in all_templates() if each.key == rule.template), None)
    return {each.key for each in template.settings if not each.secret} if template else set()


def told_secrets() -> list[str]:
    """Every value of a setting that no template calls open: what several rules together could tell."""
    secrets = [str(value) for value in configuration().values()]
    for rule in Rule.objects.all():
        open_keys = open_settings(rule)
        secrets += [str(value) for key, value in rule.settings.items() if key not in open_keys]
    return secrets


def _said(trial: Trial) -> dict[str, Any]:
    outcome = trial.outcome
    return {
        "error": trial.error,
        "refused": outcome.denied.description if outcome.denied and not trial.error else "",
        "console": trial.console,
        "after": [trial.user, trial.context],
        "claims": {"ID token": outcome.id_token_claims, "access token": outcome.access_token_claims},
        "wants": [
            *(f"{update.bag} gets {json.dumps(update.data)}" for update in outcome.metadata_updates),
            *(f"look-up at {key} after the login" for key in outcome.enrichments),
            *([f"redirect to {outcome.redirect_url}"] if outcome.redirect_url else []),
            *([f"scopes {' '.join(outcome.scopes)}"] if outcome.scopes is not None else []),
        ],
        "milliseconds": trial.milliseconds,
    }


def _told(said: dict[str, Any], before: list[dict[str, Any]]) -> Tried:
    changes = [
        *differences(before[0], said["after"][0], "user"),
        *differences(before[1], said["after"][1], "context"),
    ]
    claims = [(token, name, value) for token, all_of in said["claims"].items() for name, value in all_of.items()]
    same = {name: said[name] for name in _AS_SAID}
    return Tried(**same, changes=changes, claims=claims, whose=str(before[0].get("user_id", "")))


def struck(value: Any, secrets: list[str]) -> Any:
    """The same value with secrets struck out of every text in it."""
    match value:
        case str():
            return without_secrets(secrets, value)
        case list():
            return [struck(each, secrets) for each in value]
        case dict():
            return {without_secrets(secrets, key): struck(each, secrets) for key, each in value.items()}
    return value


def _whose(user_id: str) -> dict[str, Any]:
    if not user_id:
        return SAMPLE_USER
    profile = find_by_user_id(user_id)
    if profile is None:
        raise Invalid("unknown_customer", f"There is no customer with the id {user_id!r}.", "user_id")
    return user(profile)


def _context(text: str) -> dict[str, Any]:
    context = _json(text) if text.strip() else SAMPLE_CONTEXT
    if not isinstance(context, dict):
        raise Invalid("bad_context", "The login is not a JSON object.", "context")
    return context


def _answers(text: str) -> list[dict[str, Any]]:
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
        return json.loads(text) if len(text) <= LARGEST_CONTEXT else None
    except (ValueError, RecursionError):
        return None
