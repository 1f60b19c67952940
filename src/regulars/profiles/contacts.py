"""E-mail addresses and phone numbers of customers in one form, and the profiles that hold one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from regulars.accounts.models import Account
from regulars.accounts.proofs.addresses import proved_among
from regulars.base.email_address import canonical_email

from .assertions import Asserter
from .known_customers import ANONYMOUS, is_of_known
from .models import Fact, Profile

EMAIL, PHONE = "email", "phone_number"
LONGEST = 320
# What customers typed, here or at a provider: anybody else's too, until it is proved.
TYPED = (Asserter.CUSTOMER, Asserter.PROVIDER)
FEWEST_DIGITS = 6  # a shorter number is an extension, or no number
_EXTENSION = re.compile(r"(?:;|ext|x|#).*", re.DOTALL)


def contact_of(attribute: str, value: Any) -> str | None:
    """Return the one form of an e-mail address or a phone number; None of anything else.

    Upper and lower case are one address to every mail service in use. Of a number the digits count: `00` in front is `+`.
    """
    if not isinstance(value, str):
        return None
    if attribute == EMAIL:
        email = canonical_email(value).lower()
        return email if "@" in email and len(email) <= LONGEST else None
    if attribute != PHONE:
        return None
    text = _EXTENSION.sub("", value.strip().lower())
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) < FEWEST_DIGITS or len(digits) > LONGEST - 1:
        return None
    return f"+{digits.removeprefix('00')}" if text.startswith(("+", "00")) else digits


def proved_contacts(profile: Profile) -> set[str]:
    """Return the addresses and numbers that the customer has proved to be theirs."""
    return proved_of([profile])[profile.pk]


def proved_of(profiles: Sequence[Profile]) -> dict[int, set[str]]:
    """Return profile id → proved addresses and numbers, in as many queries as for one."""
    found: dict[int, set[str | None]] = {}
    for profile in profiles:
        known, mine = profile.document, found.setdefault(profile.pk, set())
        if known.get("email_verified") is True:
            mine.add(contact_of(EMAIL, known.get("email")))
        if known.get("phone_verified") is True:
            mine.add(contact_of(PHONE, known.get("phone_number")))
    own = Q(profile__in=list(found)) | Q(profile__merged_into__in=list(found))
    accounts = list(Account.objects.filter(own).select_related("profile")) if found else []
    proved = proved_among(accounts)
    for account in accounts:
        if account.pk in proved:
            # Of a row that was linked to another after it was read, the account is its own still.
            for number in (account.profile.pk, account.profile.merged_into_id):
                if number in found:
                    found[number].add(contact_of(EMAIL, account.email))
    return {number: {each for each in mine if each} for number, mine in found.items()}


def contacts_of(profile: Profile, *, typed_until: dt.datetime | None = None) -> set[str]:
    """Return the addresses and numbers of a customer, but for those that only a public key named.

    `typed_until`: nor those that the customer typed after it, here or at a provider.
    """
    held = profile.facts.filter(contact__isnull=False, retracted_at=None).exclude(asserter=Asserter.PUBLIC_KEY)
    if typed_until is not None:
        held = held.exclude(asserter__in=TYPED, collected_at__gt=typed_until)
    return {each for each in held.values_list("contact", flat=True) if each}


def believed_contacts(profile: Profile) -> set[str]:
    """Return the addresses and numbers that the customer proved, or that a list, a server, an application or staff gave."""
    given = profile.facts.filter(contact__isnull=False, retracted_at=None)
    given = given.exclude(asserter__in=(*TYPED, Asserter.PUBLIC_KEY))
    return proved_contacts(profile) | {each for each in given.values_list("contact", flat=True) if each}


def typed_before(proved: Collection[int]) -> list[Fact]:
    """Return the addresses and numbers that these profiles typed: what was proved now may be one of them."""
    typed = Fact.objects.filter(profile__in=proved, contact__isnull=False, retracted_at=None, asserter__in=TYPED)
    return list(typed) if proved else []


def holders_of(contacts: Collection[str], but: Iterable[int] = (), *, believed: bool = False) -> list[int]:
    """Return the ids of the profiles that hold one of these contacts now, in ascending order.

    The word of a public key counts only of a profile that is known by such words alone: any visitor could send it of a
    customer. What was only typed does not count: customers would learn about the holder of any number they type.
    `believed`, where the answer opens something or names one customer: no public key's word counts, and what was typed does
    if no one else holds it.
    """
    if not contacts:
        return []
    weak = Q(asserter=Asserter.PUBLIC_KEY)
    facts = Fact.objects.filter(contact__in=list(contacts), retracted_at=None)
    facts = facts.exclude(weak) if believed else facts.filter(~(weak & is_of_known()))
    rows = facts.annotate(whose=Coalesce(F("profile__merged_into_id"), F("profile_id")))
    held = {(whose, contact, asserter) for whose, contact, asserter in rows.values_list("whose", "contact", "asserter")}
    found = {whose for whose, _, asserter in held if asserter not in TYPED}
    if typed := {whose for whose, _, _ in held} - found:
        proved = proved_of(list(Profile.objects.filter(pk__in=typed)))
        found |= {whose for whose, contact, _ in held if contact in proved.get(whose, ())}
    if believed and not found:
        found = typed
    return sorted(found - set(but))


def facts_with(contacts: Collection[str], but: Profile) -> QuerySet[Fact]:
    """Return every fact with one of these contacts, retracted ones too, of other customers than `but`."""
    own = Q(profile=but) | Q(profile__merged_into=but)
    return Fact.objects.filter(contact__in=list(contacts)).exclude(own).select_related("profile__merged_into")


def profiles_without_account(contacts: Collection[str], but: Profile) -> list[Profile]:
    """Return the profiles that are known by one of these contacts alone, with those merged into them.

    No known customer is among them for what a public key said of them: any visitor could have sent that.
    """
    believed = Q(profile__user_id__startswith=ANONYMOUS) | ~Q(asserter=Asserter.PUBLIC_KEY)
    live = facts_with(contacts, but).filter(believed, retracted_at=None, profile__account=None)
    live = live.filter(profile__merged_into=None).exclude(profile__merged__account__isnull=False)
    numbers = set(live.values_list("profile_id", flat=True))
    return list(Profile.objects.filter(Q(pk__in=numbers) | Q(merged_into__in=numbers)).order_by("pk"))
