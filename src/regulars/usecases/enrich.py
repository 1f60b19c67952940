"""Enrich profiles: sources are asked after the login, never during it, and their answers learned like any fact."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction

from regulars.base.db.compiled_query import CompiledQuery
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.models import FINISHED, Job
from regulars.base.jobs.queues import pause_queue
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue_once, handles, retry_job
from regulars.enrichment.budget import RateLimited
from regulars.enrichment.look_up import look_up, permitted_source
from regulars.enrichment.models import Lookup, SourceSetting
from regulars.enrichment.source import LookupFailed
from regulars.profiles.models import Profile

from .record_disclosures import record_lookup
from .unit_of_work import changes

log = logging.getLogger("regulars.enrichment")

JOB = "enrich"
UNRESPONSIVE = frozenset({"timed_out", "unreachable"})
PAUSE = 30.0  # seconds; a source that hangs costs a worker half of that per call


def queue_enrichment(profile: Profile, source_key: str) -> Job | None:
    """Queue a lookup in the caller's transaction. None: the same is queued already, so two logins ask once."""
    payload, queue = {"profile": profile.pk, "source": source_key}, SourceSetting(key=source_key).queue
    return enqueue_once(JOB, payload, key=f"enrich:{profile.pk}:{source_key}"[:128], queue=queue)


def queue_all_sources(profile: Profile) -> list[Job]:
    """Queue a lookup at every source that is switched on. Consent is checked when the job runs."""
    return [job for key in _switched_on.all() if (job := queue_enrichment(profile, key))]


_switched_on = CompiledQuery(
    lambda: SourceSetting.objects.filter(enabled=True).order_by("key").values_list("key", flat=True)
)


def dead_letters(source_key: str) -> list[Job]:
    """Return the failed lookups of a source, newest first."""
    dead = Job.objects.filter(FINISHED, kind=JOB, state=Job.State.FAILED, queue=SourceSetting(key=source_key).queue)
    return list(dead.order_by("-id"))


@transaction.atomic
def resend_dead_letters(source_key: str) -> int:
    """Queue all failed lookups again, without the failures that were cached. Returns how many."""
    dead = dead_letters(source_key)
    Lookup.objects.filter(source_key=source_key).exclude(error="").delete()
    for job in dead:
        retry_job(job)
    return len(dead)


@transaction.atomic
def resend_dead_letter(source_key: str, number: int) -> None:
    """Queue one failed lookup again. Raises `Invalid("no_dead_letter")`."""
    job = next((each for each in dead_letters(source_key) if each.pk == number), None)
    if job is None:
        raise Invalid("no_dead_letter", "This lookup has not failed, or is queued again already.")
    Lookup.objects.filter(source_key=source_key, profile=job.payload["profile"]).exclude(error="").delete()
    Lookup.objects.filter(source_key=source_key, profile=None).exclude(error="").delete()
    retry_job(job)


@handles(JOB, non_transactional=True)
def enrich(payload: dict[str, Any]) -> None:
    """Payload: `{"profile": id, "source": key}`. Does nothing without consent or when the source is switched off."""
    profile = Profile.objects.filter(pk=payload["profile"]).first()
    if profile is None:
        return
    try:
        facts = look_up(profile, payload["source"], record_lookup)
        with changes(profile, JOB) as c:
            # Checked again under the lock: the customer may have withdrawn consent while the source was answering.
            permitted_source(c.profile, payload["source"])
            c.learn(facts)
    except RateLimited as wait:
        if (
            wait.code == "too_fast"
        ):  # no lookup of this source may call now; over budget, those with a cached answer may
            pause_queue(SourceSetting(key=payload["source"]).queue, wait.after or 0.0)
        raise Retry(f"{wait.code}: {wait.message}", wait.after, counts=False) from None
    except LookupFailed as fault:
        if fault.permanent:
            raise PermanentFailure(f"{fault.code}: {fault.message}") from None
        if fault.code in UNRESPONSIVE:
            pause_queue(SourceSetting(key=payload["source"]).queue, PAUSE)
        raise Retry(f"{fault.code}: {fault.message}", fault.after) from None
    except DomainError as error:
        log.info("profile %s was not looked up: %s", profile.pk, error.message)
