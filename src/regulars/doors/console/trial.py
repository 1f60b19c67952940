"""Try a rule on somebody: who, in which login, and what came of it as the page shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from regulars.base.kit.errors import Refused
from regulars.profiles.document import user
from regulars.profiles.find import find_by_user_id
from regulars.rules.decide import objects_given
from regulars.rules.models import Rule
from regulars.rules.record import without_secrets
from regulars.rules.run import Trial, try_rule
from regulars.rules.templates import all_templates

from .differences import Difference, differences

LARGEST_CONTEXT = 100_000  # characters
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
    """A trial as words. Secrets are struck out of everything; `refused` says that the login would have ended."""

    error: str
    refused: str
    console: list[str]
    changes: list[Difference]
    claims: list[tuple[str, str, Any]]  # token, claim, value
    wants: list[str]
    milliseconds: float
    whose: str


def try_on(rule: Rule, user_id: str, context_text: str) -> Tried:
    """Run the rule on the customer (or, without id, on a sample). Stores nothing.

    Raises `Refused("unknown_customer" | "bad_context")`.
    """
    whose, context = _whose(user_id.strip()), _context(context_text)
    trial = try_rule(rule, whose, context)
    open_keys = open_settings(rule)
    secrets = [str(value) for key, value in trial.configuration.items() if key not in open_keys]
    return _told(_struck(_said(trial), secrets), _struck(list(objects_given(whose, context)), secrets))


def open_settings(rule: Rule) -> set[str]:
    """The settings that may be shown: those that the rule's template calls no secret."""
    template = next((each for each in all_templates() if each.key == rule.template), None)
    return {each.key for each in template.settings if not each.secret} if template else set()


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
    whose = str(before[0].get("user_id", ""))
    return Tried(
        said["error"], said["refused"], said["console"], changes, claims, said["wants"], said["milliseconds"], whose
    )


def _struck(value: Any, secrets: list[str]) -> Any:
    """The same value with secrets struck out of every text in it."""
    match value:
        case str():
            return without_secrets(secrets, value)
        case list():
            return [_struck(each, secrets) for each in value]
        case dict():
            return {without_secrets(secrets, key): _struck(each, secrets) for key, each in value.items()}
    return value


def _whose(user_id: str) -> dict[str, Any]:
    if not user_id:
        return SAMPLE_USER
    profile = find_by_user_id(user_id)
    if profile is None:
        raise Refused("unknown_customer", f"There is no customer with the id {user_id!r}.", "user_id")
    return user(profile)


def _context(text: str) -> dict[str, Any]:
    if not text.strip():
        return SAMPLE_CONTEXT
    try:
        context = json.loads(text) if len(text) <= LARGEST_CONTEXT else None
    except (ValueError, RecursionError):
        context = None
    if not isinstance(context, dict):
        raise Refused("bad_context", "The login is not a JSON object.", "context")
    return context
