"""Link a second provider to the account of a signed-in customer, and propose accounts to link."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from regulars.accounts.factors.authenticator_codes import is_enrolled
from regulars.accounts.models import Account
from regulars.accounts.proofs import FRESH
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, Shown
from regulars.base.errors import Forbidden, Invalid
from regulars.base.tokens.jwt import Claims
from regulars.clients.models import Client
from regulars.oauth.sessions import is_alive
from regulars.profiles.find import add_identity, find_by_identity, login_identities
from regulars.profiles.models import Fact, Identity, Profile
from regulars.profiles.sign_in import MAY_SIGN_IN, sign_in_block

from .account_mails import address_of, notify
from .complete_social_login import ProviderLogin, complete_social_login
from .unit_of_work import changes
from .users import account_of, link


@dataclass(frozen=True)
class TokenSignIn:
    """How and when a customer signed in, by the claims of a token. `auth_time` is seconds since 1970, 0 when it is unknown."""

    profile: Profile
    auth_time: float
    amr: tuple[str, ...] = ()
    sid: str = ""

    @classmethod
    def of(cls, profile: Profile, claims: Claims) -> TokenSignIn:
        at, amr = claims.get("auth_time"), claims.get("amr")
        methods = tuple(str(each) for each in amr) if isinstance(amr, list) else ()
        seconds = float(at) if isinstance(at, int | float) else 0.0
        return cls(profile, seconds, methods, str(claims.get("sid", "")))


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


def check_link_by_token(client_id: str, sign_ins: Iterable[TokenSignIn]) -> None:
    """Check that an application may link or unlink accounts with tokens of their customers.

    What holds on our own page holds here: only the business's own applications, and for each account a sign-in of the last
    minutes that was not ended since, with its second factor if it has one. Otherwise one consent page would be worth a whole account. Raises
    `Forbidden`: `first_party_only`, `account_blocked`, `login_required`, `mfa_required`.
    """
    if not Client.objects.filter(pk=client_id, first_party=True).exists():
        raise Forbidden("first_party_only", "Only a first-party application links accounts with tokens of customers.")
    for sign_in in sign_ins:
        profile = sign_in.profile
        if sign_in_block(profile):
            raise Forbidden("account_blocked", "A closed account cannot be linked.")
        if not 0 <= time.time() - sign_in.auth_time < FRESH or not is_alive(sign_in.sid, client_id):
            message = "The customer has to sign in anew to each account first (prompt=login, or max_age=0)."
            raise Forbidden("login_required", message)
        if profile.account and is_enrolled(profile.account) and "mfa" not in sign_in.amr:
            message = "An account has a second factor: sign the customer in with acr_values for multi-factor first."
            raise Forbidden("mfa_required", message)


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
