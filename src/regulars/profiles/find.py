"""Find profiles by user id, identity, account or address, and create them."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Lower

from regulars.accounts.models import Account, new_key
from regulars.base import clock
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.db.unions import in_either
from regulars.base.email_address import address_key, canonical_email
from regulars.base.errors import Conflict
from regulars.base.text import storable

from .assertions import Asserter, Place, Thing, asserter_of, asserter_of_identity, is_shown
from .document import rebuild
from .known_customers import ANONYMOUS
from .models import Fact, Identity, Profile
from .row_locks import holding

DATABASE = "auth0"  # the strategy of customers who sign in by an e-mail address
NOT_FOR_LOGIN = ("anonymous", "external")  # providers of ids that events name customers by


def customers() -> QuerySet[Profile]:
    """Return all customers: no anonymous visitors, no merged profiles."""
    return Profile.objects.filter(merged_into=None).exclude(user_id__startswith=ANONYMOUS)


def customers_of_email(email: str) -> QuerySet[Profile]:
    """Return the customers with this address in their document.

    Callers decide by this whose account it is: the word of a public key finds no one.
    """
    better = Fact.objects.filter(profile=OuterRef("pk"), attribute="email", retracted_at=None)
    found = customers().filter(Exists(better.exclude(asserter=Asserter.PUBLIC_KEY)))
    return found.filter(document__email=canonical_email(email))


def is_anonymous(profile: Profile) -> bool:
    """Return whether a profile is an anonymous visitor, who is known by a cookie only."""
    return profile.user_id.startswith(ANONYMOUS)


def find_by_user_id(user_id: str) -> Profile | None:
    profile = Profile.objects.filter(user_id=user_id).select_related("merged_into").first()
    return canonical_profile(profile) if profile else None


def canonical_id_of(user_id: Any) -> Subquery:
    """Return a subquery for the id of the canonical profile of a user id."""
    named = Profile.objects.filter(user_id=user_id)
    return Subquery(named.values(number=Coalesce("merged_into_id", "pk"))[:1])


def canonical_profile(profile: Profile) -> Profile:
    """Return the profile itself, or the one it was merged into."""
    return profile.merged_into or profile


def of_profile(profile: int, field: str = "profile") -> Q:
    """Return a filter for rows of a profile and of the profiles merged into it."""
    return in_either(field, Profile.objects.filter(pk=profile), Profile.objects.filter(merged_into=profile))


def accounts_of(profile: Profile) -> list[Account]:
    """Return the customer's account, and those of the customers that were linked to them."""
    own = [profile.account] if profile.account else []
    return own + list(Account.objects.filter(profile__merged_into=profile).order_by("pk"))


def accounts_of_address(email: str) -> list[Account]:
    """Return the accounts that sign in with this address, the oldest first: no staff, and none that a network opened.

    An application may write an address to an account that a network opened. Notices go there, but it does not sign in:
    its owner would share the account with the holder of the network's account. The address of an account that was linked
    to another customer still signs in. Two accounts may have had one address in two spellings of its domain: the one that
    kept the other spelling is found by it alone. Databases differ in case folding (to PostgreSQL `Ä` is `ä`, and the Kelvin
    sign is a `k`), and a mail to the one does not reach the other: so only ASCII letters ignore case, which is checked
    here again.
    """
    found: dict[int, Account] = {}
    for spelling in _spellings(email):
        wanted = spelling.encode().lower()
        found |= {each.pk: each for each in _by_address.all(email=spelling) if each.email.encode().lower() == wanted}
    return [found[number] for number in sorted(found)]


def _spellings(email: str) -> list[str]:
    """Return the form that addresses are stored in, and the typed one where it is more than another case."""
    canonical, typed = canonical_email(email), storable(email.strip())
    return [canonical] if typed.lower() == canonical.lower() else [canonical, typed]


def _accounts_by_address() -> QuerySet[Account]:
    found = Account.objects.alias(lower=Lower("email")).filter(lower=Lower(param("email")), is_staff=False)
    # Not a join: SQLite would start from every account with a password.
    own = Profile.objects.filter(account=OuterRef("pk"), user_id__startswith=f"{DATABASE}|")
    found = found.filter(Exists(own))
    return found.order_by("pk")[:10]


_by_address = CompiledQuery(_accounts_by_address)


def vouched_address(profile: Profile) -> str:
    """Return the newest address that a provider vouches for, by its last word; empty when there is none.

    Providers whose word may not be mailed to do not vouch: see `assertions`.
    """
    facts = profile.facts.filter(attribute="email", identity__isnull=False, retracted_at=None)
    last = {fact.source: fact for fact in facts.order_by("collected_at", "id")}
    vouched = [fact for fact in last.values() if fact.value and _may_be_mailed(fact)]
    return str(max(vouched, key=lambda fact: (fact.collected_at, fact.pk)).value) if vouched else ""


def _may_be_mailed(fact: Fact) -> bool:
    asserter = fact.asserter or asserter_of(fact.source_kind, fact.source)
    return is_shown(Asserter(asserter), Thing.CLAIM, Place.MAILS)


def is_email_taken(email: str, but: Account | None = None) -> bool:
    """Return whether another account than `but` signs in with this address or has verified it."""
    others = Account.objects.filter(is_staff=False)
    others = others.exclude(pk=but.pk) if but else others
    spellings = _spellings(email)
    # allauth keeps them in lower case
    proved = EmailAddress.objects.filter(email__in=[each.lower() for each in spellings], verified=True)
    signs_in = others.alias(lower=Lower("email")).filter(lower__in=[Lower(Value(each)) for each in spellings])
    return signs_in.exists() or others.filter(pk__in=proved.values("user")).exists()


def hold_address(account: Account, *, proved: bool = False) -> None:
    """Save that this account has its address, and no other one. Code that gives an account an address calls it at once.

    The database keeps the address once, whatever other requests write meanwhile. A customer who has just `proved` it takes it
    from an account that does not sign in by it: an application may have written it there. Raises `Conflict("email_taken")`.
    """
    account.address_key = address_key(account.email) or None
    try:
        with transaction.atomic():
            if proved:
                others = Account.objects.filter(address_key=account.address_key).exclude(pk=account.pk)
                others.exclude(profile__user_id__startswith=f"{DATABASE}|").update(address_key=None)
            account.save(update_fields=["address_key"])
    except IntegrityError:
        raise Conflict("email_taken", "The specified new email already exists.") from None


def find_by_account(account_id: int) -> Profile | None:
    """Return the customer of an account; None for staff."""
    return _by_account.first(account=account_id)


_by_account = CompiledQuery(lambda: Profile.objects.filter(account_id=param("account"), merged_into=None))


def find_by_identity(provider: str, provider_user_id: str) -> Profile | None:
    identity = (
        Identity.objects.filter(provider=provider, provider_user_id=provider_user_id).select_related("profile").first()
    )
    return identity.profile if identity else None


def get_or_create_by_identity(
    provider: str,
    provider_user_id: str,
    *,
    connection: str = "",
    is_social: bool = False,
    asserted_by: Asserter | None = None,
) -> tuple[Profile, bool]:
    """Return the profile of an identity, created if missing, and whether it was. Safe against concurrent requests.

    `asserted_by` is who names the customer so; left out, it is who usually does for this provider.
    """
    found = find_by_identity(provider, provider_user_id)
    if found:
        return found, False
    try:
        with transaction.atomic():
            profile = Profile.objects.create(user_id=f"{provider}|{provider_user_id}")
            with holding({profile.pk: profile}):
                add_identity(
                    profile,
                    provider,
                    provider_user_id,
                    connection=connection,
                    is_social=is_social,
                    asserted_by=asserted_by,
                )
            return profile, True
    except IntegrityError:
        existing = find_by_identity(provider, provider_user_id) or find_by_user_id(f"{provider}|{provider_user_id}")
        if existing is None:
            raise
        return existing, False


def login_identities(profile: Profile) -> list[Identity]:
    """Return the identities that the customer can sign in with, oldest first."""
    return list(profile.identities.exclude(provider__in=NOT_FOR_LOGIN).order_by("pk"))


def create_database_profile(connection: str) -> Profile:
    """Create a customer of a password connection: `auth0|<24 hex>`, as Auth0 names them."""
    key = new_key()
    profile, _ = get_or_create_by_identity(DATABASE, key, connection=connection)
    return profile


def add_identity(
    profile: Profile,
    provider: str,
    provider_user_id: str,
    *,
    connection: str = "",
    is_social: bool = False,
    asserted_by: Asserter | None = None,
) -> Identity:
    """Add an identity to a profile, or record that it was seen again. `asserted_by` as in `get_or_create_by_identity`."""
    identity, made = Identity.objects.get_or_create(
        provider=provider,
        provider_user_id=provider_user_id,
        defaults={
            "profile": profile,
            "connection": connection,
            "is_social": is_social,
            "asserted_by": asserted_by or asserter_of_identity(provider),
        },
    )
    if not made:
        identity.last_seen_at = clock.now()
        identity.save(update_fields=["last_seen_at"])
    rebuild(profile)
    return identity
