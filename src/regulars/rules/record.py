"""What is kept of a run: what each rule did, what came of it, and for a while what it was given."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.plugins.fields import HIDDEN
from regulars.base.text import storable

from .models import RuleRun
from .step import Job, Step

MAX_INPUTS = 128 * 1024
_SHORTEST_SECRET = 4
# Keys of the user, the context and of answers whose values open something.
_CREDENTIALS = frozenset(
    [
        "access_token",
        "access_token_secret",
        "refresh_token",
        "id_token",
        "id_token_hint",
        "client_secret",
        "password",
        "code",
        "session_token",
        "code_verifier",
        "authorization",
        "cookie",
        "set-cookie",
    ]
)


def step_recorded(job: Job, step: Step, milliseconds: float, tokens: Iterable[str] = ()) -> dict[str, Any]:
    """One entry of `RuleRun.steps`, with the values of settings and `tokens` struck out: a rule may well print its API key."""
    secrets = [*job.configuration.values(), *tokens]
    recorded: dict[str, Any] = storable(
        {
            "rule": job.slug,
            "how": step.how,
            "fault": step.fault,
            "message": without_secrets(secrets, step.message or str(step.error.get("message", ""))),
            "milliseconds": round(milliseconds, 2),
            "console": [without_secrets(secrets, line) for line in step.console],
            "requests": [{**request, "host": without_secrets(secrets, request["host"])} for request in step.requests],
        }
    )
    return recorded


def record_refused_write(run_id: int, rule_slug: str, bag: str, keys: Sequence[str], refused: DomainError) -> None:
    """Mark the step of a rule whose write of metadata was refused after the run as failed, with the reason.

    Other writes of the same rule stay; `keys` of this one are taken out of the effects of the run.
    """
    run = RuleRun.objects.select_for_update().get(pk=run_id)
    for step in run.steps:
        if step["rule"] == rule_slug:
            step |= {"how": "failed", "fault": refused.code, "message": refused.message}
    not_written = {f"{bag}.{key}" for key in keys}
    run.effects["metadata"] = [each for each in run.effects["metadata"] if each not in not_written]
    run.save(update_fields=["steps", "effects"])


def inputs_kept(user: dict[str, Any], context: dict[str, Any], heard: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What a replay needs, without credentials; None when it is too much to keep."""
    if settings.RULE_INPUT_DAYS <= 0:
        return None
    kept: dict[str, Any] = storable(_redacted({"user": user, "context": context, "heard": heard}))
    return kept if len(json.dumps(kept)) <= MAX_INPUTS else None


def forget_inputs() -> int:
    """Drop the inputs that were kept for `RULE_INPUT_DAYS`; how many runs that were. For the worker's clock."""
    before = clock.now() - dt.timedelta(days=settings.RULE_INPUT_DAYS)
    return RuleRun.objects.filter(at__lt=before, inputs__isnull=False).update(inputs=None)


def without_secrets(secrets: Iterable[Any], text: str) -> str:
    """The text with these values struck out."""
    for secret in sorted(map(str, secrets), key=len, reverse=True):  # the longest first: one may hold another
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "•••")
    return text


def _redacted(value: Any) -> Any:
    match value:
        case dict():
            return {key: HIDDEN if key.lower() in _CREDENTIALS else _redacted(item) for key, item in value.items()}
        case list():
            return [_redacted(item) for item in value]
    return value
