"""The review list: two known customers whom a message called one person. Staff decide whether they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import F

from regulars.base import clock
from regulars.base.errors import Conflict, NotFound
from regulars.profiles.contacts import EMAIL, contact_of, holders_of
from regulars.profiles.find import accounts_of_address, canonical_profile, find_by_account
from regulars.profiles.known_customers import known_customers_among
from regulars.profiles.models import IdentityConflict, Profile

from .unit_of_work import changes
from .users import link

# What a message named both customers by, as staff read it.
HOW = {
    "browser": "a browser of the one was used by the other",
    "alias": "an alias from the id of the one to the other",
    "email": "the one was given the e-mail address of the other",
    "phone_number": "the one was given the phone number of the other",
}
MOST = 100  # listed at a time
State = IdentityConflict.State


@dataclass(frozen=True)
class ListedConflict:
    """An open conflict, with the customers that the two are by now."""

    conflict: IdentityConflict
    first: Profile
    second: Profile

    @property
    def how(self) -> str:
        return HOW.get(self.conflict.how, self.conflict.how)


def record_conflict(one: Profile, other: Profile, how: str, source: str) -> None:
    """List a pair, or count it again. A pair that staff decided stays decided."""
    first, second = sorted((one.pk, other.pk))
    row, made = IdentityConflict.objects.get_or_create(
        first_id=first, second_id=second, defaults={"how": how, "source": source}
    )
    if not made:
        IdentityConflict.objects.filter(pk=row.pk).update(times=F("times") + 1, last_at=clock.now())


def list_claim(profile: Profile, attribute: str, value: Any, source: str) -> None:
    """List the pair when a message gives a known customer the address or the number of another. It names no customer.

    Of several who hold it, those whose account signs in with it, or else the first.
    """
    contact = contact_of(attribute, value)
    if contact is None or contact == contact_of(attribute, profile.document.get(attribute)):
        return
    if profile.pk not in known_customers_among([profile]):
        return
    accounts = accounts_of_address(str(value)) if attribute == EMAIL else []
    others = [other for each in accounts if (other := find_by_account(each.pk)) and other.pk != profile.pk]
    if not others:
        others = list(Profile.objects.filter(pk__in=holders_of([contact], but=[profile.pk], believed=True)[:1]))
    for other in others:
        record_conflict(profile, other, attribute, source)


def open_conflicts() -> list[ListedConflict]:
    """Return the newest open conflicts; pairs that have become one customer otherwise are left out."""
    rows = IdentityConflict.objects.filter(state=State.OPEN).order_by("-last_at", "-pk")
    rows = rows.select_related("first__merged_into", "second__merged_into")
    listed = (
        ListedConflict(row, canonical_profile(row.first), canonical_profile(row.second))
        for row in rows.iterator(chunk_size=MOST)
    )
    return list(islice((each for each in listed if each.first.pk != each.second.pk), MOST))


def join(number: int, keep: str, staff: str) -> Profile:
    """Make the two one customer, under the user id `keep`, which must be one of theirs. Returns that customer.

    Raises `NotFound("unknown_conflict")`, `Conflict("decided_meanwhile")`, `Invalid` as `users.link`.
    """
    row = _open(number)
    pair = [canonical_profile(row.first), canonical_profile(row.second)]
    kept = next((each for each in pair if each.user_id == keep), None)
    if kept is None:
        raise NotFound("unknown_conflict", "Name one of the two customers as the one to keep.")
    other = next(each for each in pair if each is not kept)
    with changes([kept, other], "staff"):
        _decide(row, State.JOINED, staff)
        link(kept, other, f"staff:{staff}")
    return kept


def keep_apart(number: int, staff: str) -> None:
    """Record that the two are two persons. Raises `NotFound("unknown_conflict")`, `Conflict("decided_meanwhile")`."""
    _decide(_open(number), State.APART, staff)


def _open(number: int) -> IdentityConflict:
    related = ("first__merged_into", "second__merged_into")
    row = IdentityConflict.objects.select_related(*related).filter(pk=number).first()
    if row is None:
        raise NotFound("unknown_conflict", "There is no such pair in the review list.")
    return row


def _decide(row: IdentityConflict, state: str, staff: str) -> None:
    still_open = IdentityConflict.objects.filter(pk=row.pk, state=State.OPEN)
    if not still_open.update(state=state, decided_by=staff[:64], decided_at=clock.now()):
        raise Conflict("decided_meanwhile", "This pair was decided already.")
