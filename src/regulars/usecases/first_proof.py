"""Record a proof of an address; the first one ends everything that could open the account before.

An account can be made with an address that is not its maker's: by an application, or by a later change of the address.
Until someone proves the address, the maker may hold the password, have linked a network of their own, added a passkey or
allowed apps. The owner of the address would come in by a mailed code and share the account with them ("account
pre-hijacking", Sudhodanan and Paverd, USENIX Security 2022). Every road to a proof calls `record_proof`.
"""

from __future__ import annotations

from collections.abc import Iterable

from regulars.accounts.factors.authenticator_codes import Kind, remove_earlier
from regulars.accounts.models import Account
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, EarlierAccess, Shown, is_proved, record_address
from regulars.base.email_address import canonical_email
from regulars.events.own_events import OwnEvent
from regulars.oauth.consents import note_ended
from regulars.oauth.models import AppGrant, RefreshFamily
from regulars.profiles.find import NOT_FOR_LOGIN, accounts_of, login_identities
from regulars.profiles.models import Identity, Profile

from .account_mails import notify
from .merge import split
from .sign_out import end_sessions
from .unit_of_work import Changes, changes

WHY = "address_proved"


def record_proof(
    account: Account, by: str, shown: Shown = NOTHING_SHOWN, *, notified_by: str = ""
) -> tuple[EarlierAccess, ...]:
    """Record that the account's address is its customer's. Returns what ended; empty unless it is the first proof.

    `by` is who proved it: `mail`, a provider, the source of an application. `shown` is what stays. The customer is
    notified, unless the application `notified_by` has done so. `account` is brought up to date and must be saved by no
    caller that read it earlier.
    """
    own = Profile.objects.get(account=account)
    with changes(own, WHY) as c:
        if is_proved(account):
            return ()
        ended = _end_earlier_access(c, account, own, shown, by, notified_by)
        record_address(account, proved=True)
        c.spread_earlier()
    return ended


def record_phone_proof(account: Account, by: str, shown: Shown, *, notified_by: str = "") -> tuple[EarlierAccess, ...]:
    """Record that the phone number is the customer's. It ends what came before only where nothing was proved yet.

    A phone number opens no account here: with an address that is proved, its owner holds the account already.
    """
    own = Profile.objects.get(account=account)
    with changes(own, WHY) as c:
        if is_proved(account) or c.profile.document.get("phone_verified") is True:
            return ()
        return _end_earlier_access(c, account, own, shown, by, notified_by)


def record_vouched(
    profile: Profile, emails: Iterable[str], by: str, shown: Shown, *, notified_by: str = ""
) -> tuple[EarlierAccess, ...]:
    """Record that these addresses are the customer's: each account of theirs that has one of them is proved by that."""
    wanted = {canonical_email(email).lower() for email in emails} - {""}
    ended: list[EarlierAccess] = []
    for account in accounts_of(profile) if wanted else ():
        if canonical_email(account.email).lower() in wanted:
            ended += record_proof(account, by, shown, notified_by=notified_by)
    return tuple(dict.fromkeys(ended))


def _end_earlier_access(
    c: Changes, account: Account, own: Profile, shown: Shown, by: str, notified_by: str
) -> tuple[EarlierAccess, ...]:
    # Sessions and grants of a linked customer may have begun with this account's password: they end as well.
    customers = list({own.pk: own, c.profile.pk: c.profile}.values())
    has_unlinked = _unlink(own, shown)
    has_access = RefreshFamily.objects.filter(profile__in=customers, revoked_at=None).exists()
    grants = AppGrant.objects.filter(profile__in=customers)
    note_ended(grants)
    has_access |= bool(grants.delete()[0])
    # As it is now: the caller read it before the lock, and the maker may have set a password since.
    account.password = Account.objects.select_for_update().values_list("password", flat=True).get(pk=account.pk)
    has_password = account.has_usable_password() and account.pk not in shown.passwords
    if has_password:
        account.set_unusable_password()
        account.save(update_fields=["password"])
    factors = remove_earlier(account, shown.factors)
    accounts = {account, *(each.account for each in customers if each.account)}
    found = {
        EarlierAccess.PASSWORD: has_password,
        EarlierAccess.AUTHENTICATOR_APP: Kind.TOTP in factors,
        EarlierAccess.PASSKEYS: Kind.WEBAUTHN in factors,
        EarlierAccess.LOGIN_METHODS: has_unlinked,
        EarlierAccess.APP_ACCESS: has_access,
        EarlierAccess.SESSIONS: sum(end_sessions(each, but=shown.session_key) for each in accounts),
    }
    ended = tuple(each for each, was_there in found.items() if was_there)
    if ended:
        c.record_event(
            OwnEvent.EARLIER_ACCESS_ENDED, {"ended": list(ended), "by": by, "notified_by": notified_by}, of=own
        )
        if not notified_by:
            notify(account, "earlier_access_ended", account.email, ended=list(ended))
    return ended


def _unlink(own: Profile, shown: Shown) -> bool:
    """Take every other login method away from the account, and the account away from a customer it was linked to.

    Each is an account of its own again, as if its customer had unlinked it. An account stays linked to the customer who
    proves the address, unless it brought further login methods along.
    """
    at = [own.pk, own.merged_into_id or own.pk]
    brought = Identity.objects.filter(profile__in=at, origin=own.pk).exclude(provider__in=NOT_FOR_LOGIN).order_by("pk")
    further = [each for each in brought if _is_earlier(each, own, shown)]
    first = brought.first()
    has_unlinked = bool(own.merged_into_id and first and (further or own.merged_into_id != shown.customer))
    if has_unlinked and first:
        split(first, WHY)
    for identity in login_identities(own):
        identity.refresh_from_db()  # those that came together leave together
        if identity.profile_id == own.pk and _is_earlier(identity, own, shown):
            split(identity, WHY)
            has_unlinked = True
    return has_unlinked


def _is_earlier(identity: Identity, own: Profile, shown: Shown) -> bool:
    """Return whether an identity could sign in before and is neither the account's own nor shown just now."""
    is_own = f"{identity.provider}|{identity.provider_user_id}" == own.user_id
    return identity.pk not in shown.identities and not is_own
