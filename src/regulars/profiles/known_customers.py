"""Tell the customers for whom more stands than the word of a public write key.

An account, or the word of a list, a server's key, an application, a provider, staff or the customer. What any visitor could
send is no address and no age of such a customer. Visitors, whom a cookie alone names, are never among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet

from .assertions import Asserter, asserter_of_identity
from .models import Fact, Identity, Profile

ANONYMOUS = "anonymous|"  # the prefix of user ids of visitors, who are known by a cookie only
ASSERTED_BY = "_asserted_by"  # in the cached document only: the asserters of `identities`, in their order
# A look-up finds out more about what another said; facts without an asserter are from before there were any.
STANDS_FOR_NO_ONE = (Asserter.PUBLIC_KEY, Asserter.LOOKUP, "")
NAMED_WEAKLY = Q(asserted_by=Asserter.PUBLIC_KEY) | Q(asserted_by="", provider__in=("anonymous", "external"))


def is_known_customer(profile: Profile, facts: Iterable[Fact]) -> bool:
    """Return whether a customer is known by a better word than a public key's. `facts` are their live ones."""
    if profile.account_id is not None:
        return True
    if profile.user_id.startswith(ANONYMOUS):
        return False
    return _is_named_well(profile) or any(fact.asserter not in STANDS_FOR_NO_ONE for fact in facts)


def known_customers_among(profiles: Sequence[Profile]) -> set[int]:
    """Return the ids of those who are known by a better word than a public key's, in one query at most."""
    found = {each.pk for each in profiles if is_known_customer(each, ())}
    if others := [each.pk for each in profiles if each.pk not in found and not each.user_id.startswith(ANONYMOUS)]:
        found |= set(_standing().filter(profile__in=others).values_list("profile_id", flat=True))
    return found


def is_of_known() -> Q:
    """Return the same as a filter on facts, by the profile of each."""
    mine = OuterRef("profile")
    named = Exists(Identity.objects.filter(profile=mine).exclude(NAMED_WEAKLY))
    better = named | Exists(_standing().filter(profile=mine))
    return Q(profile__account__isnull=False) | (~Q(profile__user_id__startswith=ANONYMOUS) & better)


def without_weak_contacts(profile: Profile, facts: Collection[Fact]) -> list[Fact]:
    """Return live facts of a customer without the addresses and numbers that a public key alone gave a known one."""
    weak = {fact.pk for fact in facts if fact.contact and fact.asserter == Asserter.PUBLIC_KEY}
    if not weak or not is_known_customer(profile, facts):
        return list(facts)
    return [fact for fact in facts if fact.pk not in weak]


def _standing() -> QuerySet[Fact]:
    return Fact.objects.filter(retracted_at=None).exclude(asserter__in=STANDS_FOR_NO_ONE)


def _is_named_well(profile: Profile) -> bool:
    identities = profile.document.get("identities", [])
    asserters = profile.document.get(ASSERTED_BY) or [""] * len(identities)
    pairs = zip(identities, asserters, strict=True)
    return any((asserter or asserter_of_identity(each["provider"])) != Asserter.PUBLIC_KEY for each, asserter in pairs)
