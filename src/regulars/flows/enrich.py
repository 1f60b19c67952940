"""What others know of her: asked for after the login, never during it, and learned like any fact."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction

from regulars.base.jobs.models import Job
from regulars.base.jobs.queue import GiveUp, Retry, enqueue_once, handles
from regulars.base.kit.errors import Refused
from regulars.enrichment.look_up import look_up, permitted_source
from regulars.enrichment.source import LookupFailed
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile

from .refresh import after_learning

log = logging.getLogger("regulars.enrichment")

JOB = "enrich"


def queue_enrichment(profile: Profile, source_key: str) -> Job | None:
    """Ask for it in the caller's transaction. None: the same is waiting already, so two logins ask once."""
    payload = {"profile": profile.pk, "source": source_key}
    return enqueue_once(JOB, payload, key=f"enrich:{profile.pk}:{source_key}"[:128])


@handles(JOB, calls_out=True)
def enrich(payload: dict[str, Any]) -> None:
    """Payload: `{"profile": id, "source": key}`. Without her yes, or with the source off, nothing is done."""
    profile = Profile.objects.filter(pk=payload["profile"]).first()
    if profile is None:
        return
    try:
        _learn(profile.pk, payload["source"], look_up(profile, payload["source"]))
    except LookupFailed as fault:
        if fault.permanent:
            raise GiveUp(f"{fault.name}: {fault.sentence}") from None
        raise Retry(f"{fault.name}: {fault.sentence}", fault.after) from None
    except Refused as no:
        log.info("profile %s was not looked up: %s", profile.pk, no.sentence)


@transaction.atomic
def _learn(profile_id: int, source_key: str, news: list[NewFact]) -> None:
    """She may have gone, or said no, while the source was thinking."""
    profile = Profile.objects.select_for_update().filter(pk=profile_id).first()
    if profile is None:
        return
    permitted_source(profile, source_key)
    if learn(profile, news):
        after_learning(profile)
