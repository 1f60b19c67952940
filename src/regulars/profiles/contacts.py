"""E-mail addresses and phone numbers of customers in one form, and the profiles that hold one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from regulars.accounts.proofs.addresses import is_proved
from regulars.base.email_address import canonical_email

from .assertions import Asserter
from .find import ANONYMOUS, accounts_of
from .models import Fact, Profile

EMAIL, PHONE = "email", "phone_number"
LONGEST = 320
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
    known = profile.document
    found = {contact_of(EMAIL, account.email) for account in accounts_of(profile) if is_proved(account)}
    if known.get("email_verified") is True:
        found.add(contact_of(EMAIL, known.get("email")))
    if known.get("phone_verified") is True:
        found.add(contact_of(PHONE, known.get("phone_number")))
    return {each for each in found if each}


def contacts_of(profile: Profile, *, typed_until: dt.datetime | None = None) -> set[str]:
    """Return the addresses and numbers of a customer, but for those that only a public key named.

    `typed_until`: nor those that the customer typed after it, here or at a provider.
    """
    held = profile.facts.filter(contact__isnull=False, retracted_at=None).exclude(asserter=Asserter.PUBLIC_KEY)
    if typed_until is not None:
        held = held.exclude(asserter__in=(Asserter.CUSTOMER, Asserter.PROVIDER), collected_at__gt=typed_until)
    return {each for each in held.values_list("contact", flat=True) if each}


def holders_of(contacts: Collection[str], but: Iterable[int] = (), *, believed: bool = False) -> list[int]:
    """Return the ids of the profiles that hold one of these contacts now, in ascending order.

    The word of a public key counts only of a profile without an account, which is known by such words alone: any visitor
    could send it of a customer. `believed`: it counts of none, where the answer opens something or names one customer.
    """
    if not contacts:
        return []
    weak = Q(asserter=Asserter.PUBLIC_KEY)
    if not believed:
        weak &= Q(profile__account__isnull=False)
    facts = Fact.objects.filter(contact__in=list(contacts), retracted_at=None).exclude(weak)
    numbers = facts.annotate(whose=Coalesce(F("profile__merged_into_id"), F("profile_id"))).values_list(
        "whose", flat=True
    )
    return sorted(set(numbers) - set(but))


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
