"""Carry out what rules ask for about the customer who logs in, with the login and after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import transaction

from regulars.base.errors import NotFound
from regulars.profiles.learn import RULE
from regulars.profiles.models import Profile
from regulars.rules import decide
from regulars.rules.decide import MetadataUpdate
from regulars.rules.declaration import purpose_of
from regulars.rules.invocation import LateStep, has_called_outside
from regulars.rules.models import Rule, RuleRun
from regulars.rules.run import MAX_ENRICHMENTS, RulesOutcome
from regulars.rules.run_records import RefusedByRun, record_late_step, record_refused_writes

from .enrich import queue_enrichment
from .unit_of_work import changes
from .users import MetadataWrite, RefusedWrite, update_metadata
from .write_values import Authorship
from .writers import Writer

log = logging.getLogger(__name__)


def write_for_rules(profile: Profile, outcome: RulesOutcome) -> None:
    """Write the metadata that rules asked for before they ended, and queue their look-ups. Neither can hold a login up.

    A write that no rule may make is recorded as a failed step of its rule, one that a person's word withstands with its reason;
    the other writes are kept.
    """
    try:
        with transaction.atomic():
            _write(profile, outcome.run_id, outcome.metadata_updates)
            for source_key in outcome.enrichments:
                queue_enrichment(profile, source_key)
    except Exception:
        log.exception("writes of rules about profile %s failed; the login continues", profile.pk)


def continue_rules(profile: Profile, outcome: RulesOutcome) -> None:
    """Let rules go on after the login, once what it wrote is committed: what they write then comes later."""
    afterwards, profile_id, run_id = outcome.afterwards, profile.pk, outcome.run_id
    if afterwards is not None:
        transaction.on_commit(lambda: afterwards.start(lambda step: store_late(profile_id, run_id, step)), robust=True)


def store_late(profile_id: int, run_id: int, step: LateStep) -> None:
    """Carry out what a rule asked for after the login, and add it to the record of its run. Never raises.

    Writes are checked like those before the callback. A customer who was erased meanwhile stays erased; of one who was
    merged, the one that they are now is changed.
    """
    updates = decide.metadata_updates(step.slug, step.updates)
    try:
        with changes(profile_id, "rules") as c:
            refused = _write(c.profile, run_id, updates, step)
            asked = {f"{each.bag}.{key}" for each in updates for key in each.data}
            kept_out = {f"{each.write.bag}.{key}" for each in refused for key in each.keys}
            record_late_step(run_id, step, sorted(asked - kept_out))
            for source_key in dict.fromkeys(step.enrichments[:MAX_ENRICHMENTS]):
                queue_enrichment(c.profile, source_key)
    except NotFound:
        log.info("rule %s went on after its customer was erased; nothing is stored", step.slug)
    except Exception:
        log.exception("what rule %s asked for after its login failed (run %s)", step.slug, run_id)


def authorship_of_rule(slug: str, version: object, *, called: bool = False) -> Authorship:
    """Return a rule as the writer, under its purpose. `called`: another service answered it in the same run.

    Calls of an installed Python rule are not seen: one that declares recipients counts as answered by them. `version` is
    empty where the rule ran before rules had one.
    """
    rule = Rule.objects.filter(slug=slug).first()
    called = called or (rule is not None and rule.language == Rule.Language.PYTHON and bool(rule.recipients))
    source = f"{RULE}{slug}@{version}" if version else f"{RULE}{slug}"
    return Authorship(
        Writer.RULE_AFTER_CALL if called else Writer.RULE, source, purpose_of(rule.purpose_id if rule else None)
    )


def _write(
    profile: Profile, run_id: int, updates: Sequence[MetadataUpdate], late: LateStep | None = None
) -> list[RefusedWrite]:
    """Write what rules asked for, each as a fact of that rule and its version, and record what was refused."""
    if not updates:
        return []
    run = RuleRun.objects.get(pk=run_id)
    requests = {step["rule"]: list(step["requests"]) for step in run.steps}
    versions = {step["rule"]: step.get("version", "") for step in run.steps}
    if late:
        requests.setdefault(late.slug, []).extend(late.requests)
    called = {slug: has_called_outside(asked) for slug, asked in requests.items()}
    by = {
        slug: authorship_of_rule(slug, versions.get(slug, ""), called=called.get(slug, False))
        for slug in {each.rule_slug for each in updates}
    }
    refused = update_metadata(profile, [MetadataWrite(by[each.rule_slug], each.bag, each.data) for each in updates])
    record_refused_writes(run_id, [_of_run(each) for each in refused])
    return refused


def _of_run(refused: RefusedWrite) -> RefusedByRun:
    write = refused.write
    return RefusedByRun(
        write.by.source.removeprefix(RULE).partition("@")[0],
        {f"{write.bag}.{key}" for key in refused.keys},
        {each.path: each.why for each in refused.refused},
        None if refused.refused else refused.error,
    )
