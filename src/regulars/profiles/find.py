"""Who is this? Find a profile by any identity, or make one."""

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

from .document import rebuild
from .models import Identity, Profile

DATABASE = "auth0"  # the strategy of everybody who signs in by an address of her own
ANONYMOUS = "anonymous|"  # how the user id of a visitor begins of whom we know a cookie only


def customers() -> QuerySet[Profile]:
    """Everybody the outside knows: no nameless visitors, and nobody who was merged into somebody else."""
    return Profile.objects.filter(merged_into=None).exclude(user_id__startswith=ANONYMOUS)


def is_anonymous(profile: Profile) -> bool:
    """A visitor of whom we know a cookie only is nobody's customer yet."""
    return profile.user_id.startswith(ANONYMOUS)


def find_by_user_id(user_id: str) -> Profile | None:
    profile = Profile.objects.filter(user_id=user_id).select_related("merged_into").first()
    return canonical_profile(profile) if profile else None


def canonical_id_of(user_id: Any) -> Subquery:
    """The number of the customer that this user id names by now, as a part of another query."""
    named = Profile.objects.filter(user_id=user_id)
    return Subquery(named.values(number=Coalesce("merged_into_id", "pk"))[:1])


def canonical_profile(profile: Profile) -> Profile:
    """The customer that this profile is a part of by now: itself, or the one it was merged into."""
    return profile.merged_into or profile


def of_profile(profile: int, field: str = "profile") -> Q:
    """The same for rows that hang on a profile."""
    return in_either(field, Profile.objects.filter(pk=profile), Profile.objects.filter(merged_into=profile))


def accounts_of_address(email: str) -> list[Account]:
    """Customers who sign in with this address of their own, the oldest first: no staff, nobody who came by a network only.

    Linked to another customer, the way in is that one's and still opens. Databases differ in what they hold alike (to
    PostgreSQL `Ä` is `ä`, and the sign of Kelvin is a `k`), and a mail to the one does not reach the other: so only
    letters of ASCII are the same in capitals, and that is looked at here too.
    """
    email = email.strip()
    if "\x00" in email:
        return []
    return [account for account in _by_address.all(email=email) if _alike(account.email, email)]


def _alike(email: str, other: str) -> bool:
    return email.encode().lower() == other.encode().lower()


def _accounts_by_address() -> QuerySet[Account]:
    own, given_to_another = Q(profile=OuterRef("profile")), Q(origin=OuterRef("profile"))
    found = Account.objects.alias(lower=Lower("email")).filter(lower=Lower(param("email")), is_staff=False)
    # Not a join: SQLite would begin with everybody who has a password.
    found = found.filter(Exists(Identity.objects.filter(own | given_to_another, provider=DATABASE)))
    return found.order_by("pk")[:10]


_by_address = CompiledQuery(_accounts_by_address)


def is_email_taken(email: str, but: Account | None = None) -> bool:
    """Whether another customer than `but` signs in with this address, or has proved that it is hers."""
    others = Account.objects.filter(is_staff=False)
    others = others.exclude(pk=but.pk) if but else others
    proved = EmailAddress.objects.filter(email=email.lower(), verified=True)  # allauth keeps them in lower case
    signs_in = others.alias(lower=Lower("email")).filter(lower=Lower(Value(email)))
    return signs_in.exists() or others.filter(pk__in=proved.values("user")).exists()


def find_by_account(account_id: int) -> Profile | None:
    """The customer who signs in with this account; staff are none."""
    return _by_account.first(account=account_id)


_by_account = CompiledQuery(lambda: Profile.objects.filter(account_id=param("account"), merged_into=None))


def find_by_identity(provider: str, provider_user_id: str) -> Profile | None:
    identity = (
        Identity.objects.filter(provider=provider, provider_user_id=provider_user_id).select_related("profile").first()
    )
    return identity.profile if identity else None


def get_or_create_by_identity(
    provider: str, provider_user_id: str, *, connection: str = "", is_social: bool = False
) -> tuple[Profile, bool]:
    """The profile known this way; made when there is none. Safe when two requests meet the same stranger at once."""
    found = find_by_identity(provider, provider_user_id)
    if found:
        return found, False
    try:
        with transaction.atomic():
            profile = Profile.objects.create(user_id=f"{provider}|{provider_user_id}")
            add_identity(profile, provider, provider_user_id, connection=connection, is_social=is_social)
            return profile, True
    except IntegrityError:
        met = find_by_identity(provider, provider_user_id) or find_by_user_id(f"{provider}|{provider_user_id}")
        if met is None:
            raise
        return met, False


def create_database_profile(connection: str) -> Profile:
    """A customer of our own password connection: `auth0|<24 hex>`, as Auth0 names them."""
    key = new_key()
    profile, _ = get_or_create_by_identity(DATABASE, key, connection=connection)
    return profile


def add_identity(
    profile: Profile, provider: str, provider_user_id: str, *, connection: str = "", is_social: bool = False
) -> Identity:
    """Add one more way to know this profile, or note that it was seen again."""
    identity, made = Identity.objects.get_or_create(
        provider=provider,
        provider_user_id=provider_user_id,
        defaults={"profile": profile, "connection": connection, "is_social": is_social},
    )
    if not made:
        identity.last_seen_at = clock.now()
        identity.save(update_fields=["last_seen_at"])
    rebuild(profile)
    return identity
