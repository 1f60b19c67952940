"""Look whether anybody changed the ledger afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, OuterRef

from regulars.profiles.models import Profile

from .models import ConsentEvent
from .record import first_broken_link


def verify_everybody() -> Iterator[tuple[str, ConsentEvent | None]]:
    """(user id, the first broken link or None) for every customer who decided anything, oldest first."""
    decided = ConsentEvent.objects.filter(profile=OuterRef("pk"))
    for profile in Profile.objects.filter(Exists(decided)).order_by("pk").iterator(chunk_size=500):
        yield profile.user_id, first_broken_link(profile)
