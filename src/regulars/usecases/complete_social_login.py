"""She arrives: by a social network or with a password of ours. Who is it, what was said, what did she decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils.translation import gettext_noop

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.text import storable
from regulars.connections.provider import ProviderClaim
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.purposes import get_purpose
from regulars.consent.record import Decision
from regulars.profiles.find import create_database_profile, get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Identity, Profile, ProviderAnswer
from regulars.profiles.sign_in import sign_in_block
from regulars.profiles.upstream_tokens import keep_token

from .unit_of_work import Changes, changes

LONGEST_USER_ID = 255
SIGNED_UP = "Signed Up"
# Who says it when she types her address into our own pages; applications say `app:<client>` in the same way.
SOURCE = "app:signin"


@dataclass(frozen=True)
class ClaimConsent:
    """A piece she chose to share, and that her provider then released. `words` are those she saw."""

    piece: str
    purpose: str
    words: str


@dataclass(frozen=True)
class ProviderLogin:
    """One answer of one provider. `raw` is kept as it is; scopes are words of the provider.

    `issued` is what its token endpoint said: `{"access_token", "refresh_token", "expires_in"}`, kept encrypted.
    """

    strategy: str
    provider_user_id: str
    connection: str
    raw: dict[str, Any]
    asked: Sequence[str]
    granted: Sequence[str]
    told: Sequence[ProviderClaim] = ()
    choices: Sequence[ClaimConsent] = ()
    issued: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def complete_social_login(login: ProviderLogin) -> Account:
    """The account of whoever the provider says she is, made on her first arrival. Raises `Invalid("account_blocked")`.

    The provider and its user id decide who it is, never an e-mail address: the same address from elsewhere is a
    profile of its own until she links the two herself.
    """
    if len(f"{login.strategy}|{login.provider_user_id}") > LONGEST_USER_ID:
        raise Invalid("id_too_long", gettext_noop("Your provider's name for you is too long to be kept."))
    profile, _ = get_or_create_by_identity(
        login.strategy, login.provider_user_id, connection=login.connection, is_social=True
    )
    # Of two logins at once the second waits here for the lock and then finds what the first one wrote.
    with changes(profile, "social_login") as c:
        if sign_in_block(c.profile):
            raise Invalid(
                "account_blocked", gettext_noop("This account is closed. Ask the shop if you think that is wrong.")
            )
        answer = _keep(login)
        if login.issued:
            keep_token(answer.identity_id, login.issued, login.granted)
        consents = _decide(c, login, answer)
        c.learn(_facts(login, consents, answer.identity_id))
        c.refresh()
        return c.profile.account or _open_account(c, Account.objects.create_user())


@transaction.atomic
def sign_up(email: str, password: str, connection: str, told: Mapping[str, Any] | None = None) -> Account:
    """A new customer of our own password connection. `password` is hashed; she has proved the address.

    `told` is `{"source": "app:…", "values": {attribute or path: text}}`, from the app whose form she filled in.
    """
    profile = create_database_profile(connection)
    account = Account(email=email, password=password)
    account.save()
    EmailAddress.objects.create(user=account, email=email, primary=True, verified=True)
    facts = [
        NewFact("email", email, "declared", SOURCE),
        NewFact("email_verified", True, "verified", SOURCE),
        # Auth0's applications expect a name; any better source wins over this guess.
        NewFact("name", email, "inferred", SOURCE, confidence=0.1),
        NewFact("nickname", email.partition("@")[0], "inferred", SOURCE, confidence=0.1),
    ]
    if told:
        facts += [NewFact(path, value, "declared", told["source"]) for path, value in told["values"].items()]
    with changes(profile, "sign_up") as c:
        c.learn(facts)
        return _open_account(c, account)


def verify_email(profile: Profile, email: str) -> None:
    """She opened a link that only a reader of this mailbox has: whoever said "unverified" before is out of date.

    Linked to another customer, who has an address of her own, it proves nothing of that one.
    """
    if profile.merged_into_id:
        return
    with changes(profile, "proved_by_mail") as c:
        c.retract(list(profile.facts.filter(attribute="email_verified", value=False, retracted_at=None)))
        c.learn([NewFact("email", email, "declared", SOURCE), NewFact("email_verified", True, "verified", SOURCE)])


def _keep(login: ProviderLogin) -> ProviderAnswer:
    identity = Identity.objects.get(provider=login.strategy, provider_user_id=login.provider_user_id)
    Identity.objects.filter(pk=identity.pk).update(last_seen_at=clock.now())
    return ProviderAnswer.objects.create(
        identity=identity,
        raw=storable(login.raw),
        scopes_asked=list(login.asked),
        scopes_granted=storable(list(login.granted)),
        scopes_refused=[scope for scope in login.asked if scope not in login.granted],
    )


def _decide(c: Changes, login: ProviderLogin, answer: ProviderAnswer) -> dict[str, list[int]]:
    """Her yes to each piece, in the words she saw: piece → ids of consent events. An empty box is no decision."""
    wanted = [choice for choice in login.choices if get_purpose(choice.purpose).basis == Purpose.Basis.CONSENT]
    decisions = [
        Decision(
            choice.purpose,
            ConsentEvent.Action.GIVEN,
            "login",
            words=choice.words,
            evidence={"connection": login.connection, "piece": choice.piece, "provider_answer": answer.pk},
        )
        for choice in wanted
    ]
    events = c.decide_all([(c.profile, decisions)])
    return {choice.piece: [event.pk] for choice, event in zip(wanted, events, strict=True)}


def _facts(login: ProviderLogin, consents: dict[str, list[int]], identity: int) -> list[NewFact]:
    purposes = {choice.piece: choice.purpose for choice in login.choices}
    return [
        NewFact(
            told.attribute,
            told.value,
            told.kind,
            login.strategy,
            basis=get_purpose(purposes[told.piece]).basis if told.piece else "contract",
            consents=consents.get(told.piece, []),
            identity=identity,
        )
        for told in login.told
        if not told.piece or told.piece in purposes
    ]


def _open_account(c: Changes, account: Account) -> Account:
    profile = c.profile
    profile.account = account
    profile.save(update_fields=["account"])
    how = profile.identities.order_by("pk").values_list("connection", flat=True).first()
    c.record_event(SIGNED_UP, {"connection": how or ""}, message_id=f"house-signed-up-{profile.pk}")
    return account
