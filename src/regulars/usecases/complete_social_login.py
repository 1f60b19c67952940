"""Complete a login at a provider or a sign-up with a password: the customer, their facts and their consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop

from regulars.accounts.models import Account
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, EarlierAccess, Shown, record_address
from regulars.base import clock
from regulars.base.email_address import canonical_email
from regulars.base.errors import Invalid
from regulars.base.text import storable
from regulars.connections.endpoints import settings_of
from regulars.connections.models import Connection
from regulars.connections.provider import ProviderClaim, find_provider
from regulars.connections.raw_answers import cut, shared_claims
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.notices import ShownNotice
from regulars.consent.purposes import get_purpose
from regulars.consent.record import Decision
from regulars.consent.status import is_barred
from regulars.consent.suppressions import release
from regulars.events.own_events import OwnEvent
from regulars.profiles.assertions import Asserter
from regulars.profiles.contacts import proved_contacts
from regulars.profiles.find import create_database_profile, get_or_create_by_identity, hold_address
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, Identity, Profile, ProviderAnswer
from regulars.profiles.sign_in import sign_in_block
from regulars.profiles.upstream_tokens import keep_token

from .first_proof import record_proof, record_vouched
from .shown_notices import claim_notice, is_current
from .unit_of_work import Changes, changes
from .users import SIGN_UP, guess_names
from .write_values import Authorship, write_values
from .writers import Writer

LONGEST_USER_ID = 255
BY_MAIL = "mail"  # who proved an address: a link or a code that was mailed to it


@dataclass(frozen=True)
class ClaimConsent:
    """A claim that the customer chose to share and that the provider released, with the notice that they were shown.

    It counts while that is the notice of now (`unchanged`): it may have been reworded while they were away.
    """

    claim: str
    notice: ShownNotice

    @property
    def purpose(self) -> str:
        return self.notice.subject


@dataclass(frozen=True)
class ProviderLogin:
    """One answer of one provider. Of `raw` only what was shared is stored; scopes are written as the provider writes them.

    `allowed` are the notices of purposes that the customer allowed as a whole, before they went there.

    `issued` is what its token endpoint issued: `{"access_token", "refresh_token", "expires_in"}`, stored encrypted.
    """

    strategy: str
    provider_user_id: str
    connection: str
    raw: dict[str, Any]
    asked: Sequence[str]
    granted: Sequence[str]
    claims: Sequence[ProviderClaim] = ()
    shared: Sequence[ClaimConsent] = ()
    allowed: Sequence[ShownNotice] = ()
    issued: Mapping[str, object] = field(default_factory=dict)

    @property
    def vouched_emails(self) -> list[str]:
        """The addresses that the provider has verified to be the customer's."""
        kind = Fact.SourceKind.VERIFIED
        return [str(each.value) for each in self.claims if each.attribute == "email" and each.kind == kind]


def is_reworded(login: ProviderLogin) -> bool:
    """Return whether the customer would read something else beside one of the boxes now. Nothing of that is taken."""
    return not (all(map(is_current, login.allowed)) and all(unchanged(login.strategy, each) for each in login.shared))


def unchanged(strategy: str, chosen: ClaimConsent) -> bool:
    """Return whether the customer would read the same beside the box of a claim now."""
    provider = find_provider(strategy)
    claim = next((each for each in (provider.requested_claims if provider else ()) if each.key == chosen.claim), None)
    return claim is not None and claim_notice(claim, chosen.notice.locale) == chosen.notice


@dataclass(frozen=True)
class SubmittedValues:
    """What a customer entered in the sign-up form of an app: values by attribute or path."""

    source: str
    values: Mapping[str, Any]


@transaction.atomic
def complete_social_login(login: ProviderLogin, shown: Shown = NOTHING_SHOWN) -> Account:
    """Return the customer's account, created at their first login. Raises `Invalid("account_blocked")`.

    Where the provider vouches for an address that the customer's account has unproved, this is its first proof; `shown`
    and this identity stay (`first_proof`).

    The provider and its user id identify the customer, never an e-mail address: the same address from another provider is
    a profile of its own until the customer links the two.
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
        shared = [each for each in login.shared if unchanged(login.strategy, each)]
        allowed = [each for each in login.allowed if is_current(each)]
        if (shared or allowed) and is_barred(c.profile):
            shared, allowed = [], []
        login = replace(login, shared=shared, allowed=allowed)
        identity = Identity.objects.get(provider=login.strategy, provider_user_id=login.provider_user_id)
        Identity.objects.filter(pk=identity.pk).update(last_seen_at=clock.now())
        answer = ProviderAnswer.objects.create(
            identity=identity,
            raw=storable(_cut_answer(login)),
            scopes_asked=list(login.asked),
            scopes_granted=storable(list(login.granted)),
            scopes_refused=[scope for scope in login.asked if scope not in login.granted],
        )
        if login.issued:
            keep_token(identity.pk, login.issued, login.granted)
        shown = replace(shown, customer=c.profile.pk, identities=shown.identities | {identity.pk})
        record_vouched(c.profile, login.vouched_emails, login.strategy, shown)
        _learn_claims(c, login, answer)
        _allow(c, login, answer)
        c.refresh()
        return c.profile.account or _open_account(c, Account.objects.create_user(), login.connection)


@transaction.atomic
def sign_up(email: str, password: str, connection: str, submitted: SubmittedValues | None = None) -> Account:
    """Create a customer of our own password connection. `password` is a hash; the address is verified already.

    Raises `Conflict("email_taken")`: another account signs in with this address by now.
    """
    email = canonical_email(email)
    profile = create_database_profile(connection)
    account = Account(email=email, password=password)
    account.save()
    hold_address(account, proved=True)
    record_address(account, proved=True)
    with changes(profile, "sign_up") as c:
        c.learn(proved_email(email))
        guess_names(c, email, SIGN_UP, Asserter.CUSTOMER)
        if submitted:
            write_values(c, submitted.values, Authorship(Writer.SIGN_UP, submitted.source))
        return _open_account(c, account, connection)


def verify_email(account: Account, shown: Shown) -> tuple[EarlierAccess, ...]:
    """Record that the customer can read the mail of the account's address. Returns what the first proof ended.

    An earlier "unverified" is retracted. A profile that is merged into another learns nothing: the other customer has an
    address of their own.
    """
    ended, email = record_proof(account, BY_MAIL, shown), account.email
    profile = Profile.objects.get(account=account)
    if profile.merged_into_id:
        return ended
    with changes(profile, "proved_by_mail") as c:
        c.retract(list(profile.facts.filter(attribute="email_verified", value=False, retracted_at=None)))
        c.learn(proved_email(email))
    return ended


def proved_email(email: str) -> list[NewFact]:
    """Return the facts of an address whose mail the customer has just opened."""
    return [
        NewFact("email", email, "declared", SIGN_UP, basis="contract", asserter=Asserter.CUSTOMER_FRESH),
        NewFact("email_verified", True, "verified", SIGN_UP, basis="contract", asserter=Asserter.CUSTOMER_FRESH),
    ]


def _cut_answer(login: ProviderLogin) -> dict[str, Any]:
    """Return what may be stored of the answer. Pieces that were not ticked are gone before anything is written."""
    kind = find_provider(login.strategy)
    connection = Connection.objects.filter(name=login.connection, strategy=login.strategy).first()
    if kind is None:
        return {}
    settings = settings_of(connection) if connection else {}
    return cut(login.raw, kind, settings, shared_claims([each.claim for each in login.shared]))


def _learn_claims(c: Changes, login: ProviderLogin, answer: ProviderAnswer) -> None:
    """Learn the claims of the login itself, and those that the customer chose to share, with consent in the words shown.

    A box left empty is no decision.
    """
    bases = {key: get_purpose(key).basis for key in {each.purpose for each in login.shared}}
    wanted = [each for each in login.shared if bases[each.purpose] == Purpose.Basis.CONSENT]
    decisions = [
        Decision(
            each.purpose,
            ConsentEvent.Action.GIVEN,
            "login",
            notice=each.notice,
            evidence={"connection": login.connection, "claim": each.claim, "provider_answer": answer.pk},
        )
        for each in wanted
    ]
    events = c.decide_all([(c.profile, decisions)])
    consents = {each.claim: [event.pk] for each, event in zip(wanted, events, strict=True)}
    purposes = {each.claim: each.purpose for each in login.shared}
    facts = [
        NewFact(
            claim.attribute,
            claim.value,
            claim.kind,
            login.strategy,
            basis=bases[purposes[claim.requested_claim]] if claim.requested_claim else "contract",
            purpose=purposes.get(claim.requested_claim, ""),
            consents=consents.get(claim.requested_claim, []),
            identity=answer.identity_id,
            asserter=Asserter.PROVIDER_VOUCHING if claim.kind == Fact.SourceKind.VERIFIED else Asserter.PROVIDER,
        )
        for claim in login.claims
        if not claim.requested_claim or claim.requested_claim in purposes
    ]
    c.learn(facts)


def _allow(c: Changes, login: ProviderLogin, answer: ProviderAnswer) -> None:
    """Record consent to purposes as a whole, as `decide_consent.decide` does: it opens them again for later lists too."""
    evidence = {"connection": login.connection, "provider_answer": answer.pk}
    given = ConsentEvent.Action.GIVEN
    decisions = [Decision(each.subject, given, "login", notice=each, evidence=evidence) for each in login.allowed]
    if decisions:
        c.decide_all([(c.profile, decisions)])
        contacts = proved_contacts(c.profile)
        for each in decisions:
            release(contacts, each.purpose)


def _open_account(c: Changes, account: Account, connection: str) -> Account:
    profile = c.profile
    profile.account = account
    profile.save(update_fields=["account"])
    c.record_event(OwnEvent.SIGNED_UP, {"connection": connection}, message_id=f"regulars-signed-up-{profile.pk}")
    return account
