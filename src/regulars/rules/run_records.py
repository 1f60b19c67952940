"""Records of runs: results, effects, and the input for a limited time."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from regulars.base import clock
from regulars.base.client_network import stored_ip
from regulars.base.errors import DomainError
from regulars.base.plugins.fields import HIDDEN
from regulars.base.text import JsonObject, storable
from regulars.profiles.models import Profile

from .invocation import LateStep, RuleInvocation, RuleResult
from .models import RuleRun

MAX_INPUTS = 128 * 1024
MAX_LINES = 200  # of the console of one rule
_SHORTEST_SECRET = 4
# Keys of the user, the context and of answers whose values are credentials.
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


def step_recorded(job: RuleInvocation, step: RuleResult, milliseconds: float, tokens: Iterable[str] = ()) -> JsonObject:
    """Return an entry of `RuleRun.steps`. Settings and `tokens` are redacted, because a rule may print its API key."""
    secrets = [*job.configuration.values(), *tokens]
    recorded: JsonObject = storable(
        {
            "rule": job.slug,
            "version": job.version,
            "how": step.how,
            "fault": step.fault,
            "message": without_secrets(secrets, step.message or str(step.error.get("message", ""))),
            "milliseconds": round(milliseconds, 2),
            "console": [without_secrets(secrets, line) for line in step.console],
            "requests": [{**request, "host": without_secrets(secrets, request["host"])} for request in step.requests],
        }
    )
    return recorded


@dataclass(frozen=True)
class RefusedByRun:
    """What was not written of what a rule asked for: `keys` of metadata of which nothing was, and each value with its reason.

    `error`: the whole write was refused, which is a fault of the rule.
    """

    rule_slug: str
    keys: Collection[str]
    values: Mapping[str, str]
    error: DomainError | None = None


def record_refused_writes(run_id: int, refused: Sequence[RefusedByRun]) -> None:
    """Add what was refused after the run to its record. Other writes of the same rules stay."""
    if not refused:
        return
    run = RuleRun.objects.select_for_update().get(pk=run_id)
    for each in refused:
        for step in run.steps:
            if each.error and step["rule"] == each.rule_slug:
                step |= {"how": "failed", "fault": each.error.code, "message": each.error.message}
        run.effects["metadata"] = [key for key in run.effects["metadata"] if key not in each.keys]
        news = [{"rule": each.rule_slug, "value": path, "why": why} for path, why in sorted(each.values.items())]
        known = run.effects.get("refused", [])
        run.effects["refused"] = [*known, *(one for one in news if one not in known)]
    run.save(update_fields=["steps", "effects"])


def record_late_step(run_id: int, late: LateStep, written: Sequence[str]) -> None:
    """Add what a rule did after its login to the record of the run. `written` are the keys of metadata that it wrote.

    Secrets are redacted already.
    """
    run = RuleRun.objects.select_for_update().get(pk=run_id)
    for step in run.steps:
        if step["rule"] == late.slug:
            step["console"] = [*step["console"], *storable(late.console)][:MAX_LINES]
            step["requests"] = [*step["requests"], *late.requests]
    known = run.effects.get("late", [])
    run.effects["late"] = sorted({*known, *written, *(f"lookup {key}" for key in late.enrichments)})
    if late.fault:
        run.effects["late_faults"] = [*run.effects.get("late_faults", []), f"{late.slug}: {late.fault}"]
    run.save(update_fields=["steps", "effects"])


def recorded_inputs(user: JsonObject, context: JsonObject, answers: list[JsonObject]) -> JsonObject | None:
    """Return the input that a replay needs, without credentials; None when it is too large."""
    if settings.RULE_INPUT_DAYS <= 0:
        return None
    kept: JsonObject = storable(_redacted({"user": user, "context": _with_stored_ip(context), "answers": answers}))
    return kept if len(json.dumps(kept)) <= MAX_INPUTS else None


def _with_stored_ip(context: JsonObject) -> JsonObject:
    request = context.get("request")
    if not isinstance(request, dict) or "ip" not in request:
        return context
    return {**context, "request": {**request, "ip": stored_ip(str(request["ip"]))}}


def recorded_context(profile: Profile) -> JsonObject | None:
    """Return the context of the customer's last login whose input is stored; None while their processing is restricted."""
    if profile.restricted_at:
        return None
    runs = RuleRun.objects.filter(profile=profile, moment="login", inputs__isnull=False)
    last = runs.order_by("-id").first()
    context = (last.inputs or {}).get("context") if last else None
    return context if isinstance(context, dict) else None


def delete_old_inputs() -> int:
    """Delete inputs older than `RULE_INPUT_DAYS`. Returns the number of runs."""
    before = clock.now() - dt.timedelta(days=settings.RULE_INPUT_DAYS)
    return RuleRun.objects.filter(at__lt=before, inputs__isnull=False).update(inputs=None)


def without_secrets(secrets: Iterable[Any], text: str) -> str:
    """Return the text with these values redacted."""
    for secret in sorted(
        map(str, secrets), key=len, reverse=True
    ):  # the longest first, because one may contain another
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
