"""Automatic disabling of rules that keep exceeding their limits, because each time delays a login.

A rule with `deny_on_failure` stays enabled and denies logins: disabled it would let every customer in.
"""

from __future__ import annotations

import datetime as dt
import logging

from django.db import transaction

from regulars.base import clock

from .models import Rule

log = logging.getLogger(__name__)

HITS = 10
MINUTES = 10
LIMITS = frozenset(
    {"too_much_cpu", "too_much_time", "too_much_memory", "too_deep", "answer_too_large", "waited_too_long"}
)


def count_limit(slug: str, fault: str) -> bool:
    """Record that a rule exceeded a limit. Returns true when the rule is now disabled."""
    with transaction.atomic():
        rule = Rule.objects.select_for_update().filter(slug=slug, enabled=True).first()
        if rule is None:
            return False
        now = clock.now()
        is_new = rule.limit_since is None or now - rule.limit_since > dt.timedelta(minutes=MINUTES)
        rule.limit_hits = 1 if is_new else rule.limit_hits + 1
        rule.limit_since = now if is_new else rule.limit_since
        if rule.limit_hits >= HITS:
            rule.enabled = rule.deny_on_failure
            effect = "Denies every login" if rule.deny_on_failure else "Disabled"
            rule.disabled_reason = f"{effect}: stopped {HITS} times within {MINUTES} minutes, last for {fault}."
        rule.save(update_fields=["limit_hits", "limit_since", "enabled", "disabled_reason"])
    if rule.limit_hits == HITS:
        log.error("rule %s: %s", slug, rule.disabled_reason)
    return not rule.enabled
