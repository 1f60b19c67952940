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
from regulars.rules.invocation import LateStep
from regulars.rules.run import MAX_ENRICHMENTS, RulesOutcome
from regulars.rules.run_records import record_late_step, record_refused_write

from .enrich import queue_enrichment
from .unit_of_work import changes
from .users import MetadataWrite, RefusedWrite, update_metadata

log = logging.getLogger(__name__)


def write_for_rules(profile: Profile, outcome: RulesOutcome) -> None:
    """Write the metadata that rules asked for before they ended, and queue their look-ups. Neither can hold a login up.

    A refused write is recorded as a failed step of its rule; the other writes are kept.
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
            refused = _write(c.profile, run_id, updates)
            written = [each for each in updates if all(each.data is not one.write.data for one in refused)]
            record_late_step(run_id, step, sorted({f"{each.bag}.{key}" for each in written for key in each.data}))
            for source_key in dict.fromkeys(step.enrichments[:MAX_ENRICHMENTS]):
                queue_enrichment(c.profile, source_key)
    except NotFound:
        log.info("rule %s went on after its customer was erased; nothing is stored", step.slug)
    except Exception:
        log.exception("what rule %s asked for after its login failed (run %s)", step.slug, run_id)


def _write(profile: Profile, run_id: int, updates: Sequence[MetadataUpdate]) -> list[RefusedWrite]:
    writes = [MetadataWrite(f"{RULE}{each.rule_slug}", each.bag, each.data) for each in updates]
    refused = update_metadata(profile, writes)
    for each in refused:
        write = each.write
        record_refused_write(run_id, write.source.removeprefix(RULE), write.bag, [*write.data], each.error)
    return refused
