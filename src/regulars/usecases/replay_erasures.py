"""A backup was restored: whoever was forgotten since is forgotten again, before anything is served."""

from __future__ import annotations

from regulars.consent.erasures import fingerprint, recorded_erasures
from regulars.consent.models import Erasure
from regulars.profiles.models import Profile

from .erase import erase_customer, erase_period


def replay_erasures() -> int:
    """Do again what the list of erasures says and this database does not know. Returns how many people it concerned.

    Who signed up again after her erasure is somebody new and stays.
    """
    done = set(Erasure.objects.values_list("id", flat=True))
    due = [erasure for erasure in recorded_erasures() if erasure.pk not in done]
    if not due:
        return 0
    people = {
        fingerprint(user_id): number for number, user_id in Profile.objects.values_list("id", "user_id").iterator()
    }
    return sum(_again(erasure, people) for erasure in due)


def _again(erasure: Erasure, people: dict[str, int]) -> int:
    numbers = [people[name] for name in erasure.who if name in people]
    profiles = list(Profile.objects.filter(pk__in=numbers, created_at__lt=erasure.at))
    for profile in profiles:
        if erasure.mode == Erasure.Mode.PERIOD and erasure.since and erasure.until:
            erase_period(profile, erasure.since, erasure.until, "restore")
        elif Profile.objects.filter(pk=profile.pk).exists():  # not gone with the one she was merged into
            erase_customer(profile, "restore", keep_events=erasure.mode == Erasure.Mode.ANONYMISED)
    erasure.save(force_insert=True)
    return len(profiles)
