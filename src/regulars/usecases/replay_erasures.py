"""Repeat erasures after a restore, before anything is served."""

from __future__ import annotations

from regulars.consent.erasures import fingerprint, recorded_erasures, refuse_identifiers
from regulars.consent.models import Erasure
from regulars.profiles.models import Profile

from .erase import erase_customer, erase_period


def replay_erasures() -> int:
    """Repeat the recorded erasures that this database does not have. Returns how many customers were concerned.

    A customer who signed up again after their erasure is a new customer and stays.
    """
    done = set(Erasure.objects.values_list("id", flat=True))
    due = [erasure for erasure in recorded_erasures() if erasure.pk not in done]
    if not due:
        return 0
    ids_by_fingerprint = {
        fingerprint(user_id): number for number, user_id in Profile.objects.values_list("id", "user_id").iterator()
    }
    return sum(_repeat(erasure, ids_by_fingerprint) for erasure in due)


def _repeat(erasure: Erasure, ids_by_fingerprint: dict[str, int]) -> int:
    numbers = [ids_by_fingerprint[name] for name in erasure.who if name in ids_by_fingerprint]
    profiles = list(Profile.objects.filter(pk__in=numbers, created_at__lt=erasure.at))
    for profile in profiles:
        if erasure.mode == Erasure.Mode.PERIOD and erasure.since and erasure.until:
            erase_period(profile, erasure.since, erasure.until, "restore")
        elif Profile.objects.filter(pk=profile.pk).exists():  # not erased already with the one it was merged into
            erase_customer(profile, "restore", keep_events=erasure.mode == Erasure.Mode.ANONYMISED)
    refuse_identifiers(erasure.identifiers, erasure.at)
    erasure.save(force_insert=True)
    return len(profiles)
