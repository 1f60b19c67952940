"""Link a second provider to the account of a signed-in customer, and propose accounts to link."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_noop

from regulars.accounts.factors.authenticator_codes import is_enrolled
from regulars.accounts.models import Account
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, Shown
from regulars.base.errors import Invalid
from regulars.profiles.find import add_identity, find_by_identity, login_identities
from regulars.profiles.models import Fact, Identity, Profile
from regulars.profiles.sign_in import MAY_SIGN_IN

from .account_mails import address_of, notify
from .complete_social_login import ProviderLogin, complete_social_login
from .unit_of_work import changes
from .users import account_of, link


@dataclass(frozen=True)
class LinkProposal:
    """Another account that verified the same address. The customer has to sign in there before the two become one."""

    profile: Profile
    email: str
    identities: tuple[Identity, ...]


def link_social_login(profile: Profile, login: ProviderLogin, shown: Shown = NOTHING_SHOWN) -> Account:
    """Link the provider at which a signed-in customer has just signed in as well. Raises as `complete_social_login` and `link`.

    The customer is notified at the address they had before: it may not have been them. `shown` is what they have shown in
    this session.

    Also raises `second_factor_there`: the provider alone does not open the other account, which has a second factor.
    """
    known = find_by_identity(login.strategy, login.provider_user_id)
    if known and known.pk != profile.pk and known.account and is_enrolled(known.account):
        raise Invalid(
            "second_factor_there",
            gettext_noop(
                "Your other account has a second factor. Sign in there, and add this login method from there."
            ),
        )
    with changes([profile, known] if known else profile, "customer") as c:
        if known is None:
            name = login.provider_user_id
            if profile.account:
                notify(profile.account, "connection_added", address_of(profile.account))
            add_identity(c.profile, login.strategy, name, connection=login.connection, is_social=True)
        other = complete_social_login(login, shown)
        if other.profile.pk != profile.pk:
            link(profile, other.profile, "customer", shown)
    return account_of(other)


def find_link_proposals(profile: Profile) -> list[LinkProposal]:
    """Return other customers who verified the address that this customer verified. Nothing is linked by it."""
    email = _verified_email(profile)
    if not email:
        return []
    same = Fact.objects.filter(attribute="email", value=email, retracted_at=None).values("profile")
    others = Profile.objects.filter(MAY_SIGN_IN, pk__in=same, account__isnull=False)
    found = [each for each in others.exclude(pk=profile.pk).order_by("pk")[:10] if _verified_email(each) == email]
    return [LinkProposal(each, email, tuple(login_identities(each))) for each in found]


def _verified_email(profile: Profile) -> str:
    known = profile.document
    return str(known.get("email", "")) if known.get("email_verified") is True else ""
