"""Several ways in, one customer: link and unlink, by herself or by an app of the business."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_noop

from regulars.accounts.factors.codes import is_enrolled
from regulars.accounts.models import Account
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import Invalid
from regulars.profiles.find import add_identity, find_by_identity
from regulars.profiles.models import Fact, Identity, Profile
from regulars.profiles.sign_in import MAY_SIGN_IN, sign_in_block

from .complete_social_login import ProviderLogin, complete_social_login
from .merge import ANONYMOUS, merge, split
from .sign_out import move_sessions
from .unit_of_work import changes

EXTERNAL = "external"


@dataclass(frozen=True)
class Proposal:
    """Another account that has proved the same address. She has to sign in there before the two become one."""

    profile: Profile
    email: str
    identities: tuple[Identity, ...]


def link(primary: Profile, other: Profile, why: str) -> None:
    """Make two customers one, under the name of `primary`. Whoever calls has made sure that both are the same person.

    Raises `DomainError`: `same_account`, `account_blocked`.
    """
    if primary.pk == other.pk:
        raise Invalid("same_account", gettext_noop("These two are one account already."))
    with changes([primary, other], why) as c:
        if any(sign_in_block(profile) for profile in c.profiles):
            raise Invalid("account_blocked", gettext_noop("A closed account cannot be linked."))
        merge(other, primary, why)
        if other.account:
            move_sessions(other.account, account_of(other.account))
        c.refresh()


def arrive_and_link(profile: Profile, arrival: ProviderLogin) -> Account:
    """She is signed in, and has signed in at another network as well: that is hers too. Raises as `complete_social_login` and `link`.

    And `second_factor_there`: that network is but the first of the two things that open the other account.
    """
    known = find_by_identity(arrival.strategy, arrival.provider_user_id)
    if known and known.pk != profile.pk and known.account and is_enrolled(known.account):
        raise Invalid(
            "second_factor_there",
            gettext_noop("Your other account has a second factor. Sign in there, and add this way in from there."),
        )
    with changes([profile, known] if known else profile, "customer") as c:
        if known is None:
            name = arrival.provider_user_id
            add_identity(c.profile, arrival.strategy, name, connection=arrival.connection, is_social=True)
        other = complete_social_login(arrival)
        if other.profile.pk != profile.pk:
            link(profile, other.profile, "customer")
    return account_of(other)


@transaction.atomic
def unlink(profile: Profile, identity: Identity, why: str) -> Profile:
    """The identity leaves with what it brought. Returns the profile that it has now.

    Raises `DomainError`: `main_identity`, `last_way_in`.
    """
    if identity.profile_id != profile.pk:
        raise Invalid("unknown_identity", gettext_noop("This account has no such way in."))
    if len(ways_in(profile)) < 2:
        raise Invalid("last_way_in", gettext_noop("This is your only way in. Add another one first."))
    return split(identity, why)


def ways_in(profile: Profile) -> list[Identity]:
    """The identities that somebody can sign in with, oldest first."""
    return list(profile.identities.exclude(provider__in=[ANONYMOUS, EXTERNAL]).order_by("pk"))


def account_of(account: Account) -> Account:
    """Whose session this becomes: an account that was linked to another signs in as the other."""
    if not _was_linked.exists(account=account.pk):
        return account
    target = Profile.objects.select_related("account").get(merged__account=account)
    if target.account is None:
        target.account = Account.objects.create_user()
        target.save(update_fields=["account"])
    return target.account


_was_linked = CompiledQuery(
    lambda: Profile.objects.filter(account_id=param("account"), merged_into__isnull=False).values_list("pk")
)


def find_proposals(profile: Profile) -> list[Proposal]:
    """Customers with an address that they proved, and that she proved too. Only an offer: nothing is joined by it."""
    email = _proved_email(profile)
    if not email:
        return []
    same = Fact.objects.filter(attribute="email", value=email, retracted_at=None).values("profile")
    others = Profile.objects.filter(MAY_SIGN_IN, pk__in=same, account__isnull=False)
    found = [each for each in others.exclude(pk=profile.pk).order_by("pk")[:10] if _proved_email(each) == email]
    return [Proposal(each, email, tuple(ways_in(each))) for each in found]


def _proved_email(profile: Profile) -> str:
    known = profile.document
    return str(known.get("email", "")) if known.get("email_verified") is True else ""
