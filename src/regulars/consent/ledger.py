"""Read ledgers and fold them: when a decision arrives late, when two profiles are merged or split, and after an upgrade."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from regulars.profiles.find import canonical_profile, is_anonymous
from regulars.profiles.models import Merge, Profile

from .fold import YES, Folded, Joined, about_what, fold, join, step
from .models import SAME_PERSON, ConsentEvent, ConsentState

Key = tuple[int, str]  # a profile and a purpose


def fold_ledgers(keys: Iterable[Key]) -> dict[Key, Folded]:
    """Fold the ledgers of these customers on these purposes anew, with those of the profiles that were merged into them."""
    wanted = set(keys)
    if not wanted:
        return {}
    profiles, purposes = {pk for pk, _ in wanted}, {purpose for _, purpose in wanted}
    histories: dict[Key, list[ConsentEvent]] = {key: [] for key in wanted}
    for event in ConsentEvent.objects.filter(profile__in=profiles, purpose__in=purposes):
        if (event.profile_id, event.purpose_id) in wanted:
            histories[event.profile_id, event.purpose_id].append(event)
    merges = _merges(profiles)
    found = {key: fold(history, merges.get(key, ())) for key, history in histories.items()}
    return {key: folded for key, folded in found.items() if folded is not None}


def join_states(source: Profile, into: Profile, merge: Merge) -> None:
    """Add what a merged profile decided to the states of the one that stays. Both ledgers stay as they are."""
    mine = {state.purpose_id: state.folded for state in into.consent_states.all()}
    states = source.consent_states.select_related("event")
    theirs = {state.purpose_id: state.folded for state in states if not _is_hearsay(state)}
    joined = {key: join(mine.get(key), Joined(merge.at, other)) for key, other in theirs.items()}
    save_states({(into.pk, key): folded for key, folded in joined.items()})


def refold(profiles: Sequence[Profile]) -> None:
    """Fold everything that these customers decided anew, in this order: a merged profile before the one it is part of."""
    for profile in profiles:
        merged = Merge.objects.filter(into=profile, undone_at=None).values("source")
        own = set(profile.consent_events.values_list("purpose_id", flat=True))
        others = set(ConsentState.objects.filter(profile__in=merged).values_list("purpose_id", flat=True))
        folded = fold_ledgers((profile.pk, key) for key in own | others)
        profile.consent_states.exclude(purpose__in=[key for _, key in folded]).delete()
        save_states(folded)


def drop_expired(state: ConsentState, now: dt.datetime) -> bool:
    """Forget what ran out while another yes to the purpose stands. Returns whether one does."""
    left = state.folded.without_expired(now)
    if left.standing:
        save_states({(state.profile_id, state.purpose_id): left})
    return bool(left.standing)


def save_states(folded: Mapping[Key, Folded]) -> None:
    ConsentState.objects.bulk_create(
        [ConsentState.of_folded(pk, purpose, each) for (pk, purpose), each in folded.items()],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["profile", "purpose"],
        update_fields=["status", "since", "as_of", "expires_at", "standing", "event"],
    )


def first_of_equal(profiles: Sequence[Profile]) -> dict[int, int]:
    """Return, for every yes of these customers, the id of the decision that it repeats, or its own. Reads whole ledgers."""
    folded: dict[Key, Folded] = {}
    found: dict[int, int] = {}
    events = list(ConsentEvent.objects.filter(profile__in=profiles).order_by("at", "id"))
    for event in sorted(events, key=lambda each: (each.at, each.action not in YES, each.pk)):
        key = event.profile_id, event.purpose_id
        folded[key] = step(folded.get(key), event)
        if event.action in YES:
            about = about_what(event)
            same = (each.first for each in folded[key].standing if each.about == about)
            found[event.pk] = next(same, event.pk)
    return found


def _is_hearsay(state: ConsentState) -> bool:
    """Return whether a visitor who became a customer was closed by an address alone, which any visitor could have sent."""
    was, is_now = state.profile, canonical_profile(state.profile)
    return SAME_PERSON in state.event.evidence and is_anonymous(was) and not is_anonymous(is_now)


def _merges(profiles: Iterable[int]) -> dict[Key, list[Joined]]:
    merges = {each.source_id: each for each in Merge.objects.filter(into__in=profiles, undone_at=None)}
    found: dict[Key, list[Joined]] = {}
    states = ConsentState.objects.filter(profile__in=merges).select_related("event", "profile__merged_into")
    for state in states:
        if not _is_hearsay(state):
            merge = merges[state.profile_id]
            found.setdefault((merge.into_id, state.purpose_id), []).append(Joined(merge.at, state.folded))
    return found
