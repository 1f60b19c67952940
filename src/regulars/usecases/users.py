"""Every write about one user: create, update, block, delete, link and unlink.

The Management API, rules in each of their languages, sign-up forms and the customer's own pages call these functions, so
that one contract holds for all of them. Metadata merges as Auth0 merges it: a first-level key is replaced whole, `null`
removes it, an empty object clears the bag, and a key with a dot or a dollar sign is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.utils.translation import gettext_noop

from regulars.accounts.models import Account, new_key
from regulars.accounts.passwords import problems_with, set_password
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, Shown, is_proved, record_address
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.email_address import canonical_email
from regulars.base.errors import Conflict, DomainError, Invalid, NotFound
from regulars.base.json_values import same_json
from regulars.connections.models import Connection
from regulars.consent.erasures import erased_among
from regulars.events.own_events import OwnEvent
from regulars.profiles.assertions import Asserter
from regulars.profiles.auth0_user import RESERVED_IN_APP_METADATA
from regulars.profiles.find import (
    DATABASE,
    accounts_of,
    find_by_identity,
    find_by_user_id,
    get_or_create_by_identity,
    hold_address,
    is_email_taken,
    login_identities,
)
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Identity, Profile
from regulars.profiles.sign_in import sign_in_block

from .account_mails import address_of, notify
from .erase import erase_customer
from .first_proof import record_phone_proof, record_proof, record_vouched
from .merge import merge, split
from .sign_out import end_sessions, move_sessions
from .unit_of_work import Changes, changes
from .write_values import LONGEST_PATH, Authorship, RefusedValue, Values, leaves, refused_among, write_values

# The source of what a customer enters on our own pages; an application's source is `app:<client>`.
SIGN_UP = "app:signin"


@dataclass(frozen=True)
class UserPatch:
    """Changes to one user. What is absent stays.

    `root` maps root attributes to their new values; None removes one. `metadata` maps a bag (`user_metadata`,
    `app_metadata`) to its new first-level keys. `password` is in clear text.
    """

    root: Values = field(default_factory=dict)
    metadata: Mapping[str, Values] = field(default_factory=dict)
    blocked: bool | None = None
    password: str = ""


@dataclass(frozen=True)
class NewDatabaseUser:
    """A user of a database connection. `user_id` is the part after `auth0|`; empty: a new one is made."""

    connection: str
    email: str
    patch: UserPatch
    user_id: str = ""


@dataclass(frozen=True)
class UpdatedUser:
    """The customer, read anew, and the values that were not written."""

    profile: Profile
    refused: tuple[RefusedValue, ...] = ()


@dataclass(frozen=True)
class MetadataWrite:
    """New first-level keys of one bag, and who writes them."""

    by: Authorship
    bag: str
    data: Values


@dataclass(frozen=True)
class RefusedWrite:
    """A write of metadata that was not carried out: the whole, because of `error`, or the values `refused` of it."""

    write: MetadataWrite
    error: DomainError
    refused: tuple[RefusedValue, ...] = ()

    @property
    def keys(self) -> set[str]:
        """The first-level keys of which nothing was written."""
        if not self.refused:
            return {*self.write.data}
        paths = {each.path for each in self.refused}
        asked = {key: f"{self.write.bag}.{key}" for key in self.write.data}
        news = {key: set(leaves(path, self.write.data[key])) for key, path in asked.items()}
        return {key for key, path in asked.items() if path in paths or (news[key] and news[key] <= paths)}


@transaction.atomic
def create_user(new: NewDatabaseUser, by: Authorship) -> Profile:
    """Create a customer of a database connection, who can sign in at once.

    Raises `Invalid`: `inexistent_connection`, `operation_not_supported`, `weak_password`, `invalid_metadata_key`;
    `Conflict`: `user_exists`, `erased_identifier`.
    """
    connection = Connection.objects.filter(name=new.connection, enabled=True).first()
    if connection is None:
        raise Invalid("inexistent_connection", "The connection does not exist.")
    if connection.strategy != DATABASE:
        raise Invalid("operation_not_supported", "Users can be created in database connections only.")
    email = canonical_email(new.email).lower()
    if is_email_taken(email) or (new.user_id and find_by_identity(DATABASE, new.user_id)):
        raise Conflict("user_exists", "The user already exists.")
    if new.user_id and erased_among([f"{DATABASE}|{new.user_id}"]):
        raise Conflict(
            "erased_identifier",
            "The customer with this id was erased, and the id is refused for a while. Leave out user_id for a new one.",
        )
    _refuse_erased_address(email)
    _refuse_weak_password(new.patch.password, Account(email=email), new.connection)
    profile, _ = get_or_create_by_identity(
        DATABASE, new.user_id or new_key(), connection=new.connection, asserted_by=Asserter.APP_TOKEN
    )
    profile.account = Account.objects.create_user(email, new.patch.password)
    try:
        hold_address(profile.account)
    except Conflict:  # another request took it meanwhile
        raise Conflict("user_exists", "The user already exists.") from None
    profile.save(update_fields=["account"])
    root = {"email_verified": False, **new.patch.root}
    record_address(profile.account, proved=root["email_verified"] is True)
    with changes(profile, "created") as c:
        _write(c, UserPatch({**root, "email": email}, new.patch.metadata, new.patch.blocked), by)
        guess_names(c, email, by.source, Asserter.APP_TOKEN)
        return c.profile


def update_user(profile: Profile, patch: UserPatch, by: Authorship, *, notified_by: str = "") -> UpdatedUser:
    """Replace root attributes, merge metadata, block or unblock, set a password. What a person said or deleted stands.

    A new address is unverified unless the patch says otherwise; a first proof ends what could open the account before
    (`first_proof`). The customer is notified of a new password and of a new address, at the address from before, unless
    `notified_by` (a source) has done so itself. Raises `Invalid`: `weak_password`, `invalid_metadata_key`;
    `Conflict`: `email_taken`, `erased_identifier`.
    """
    root, source = dict(patch.root), by.source
    with changes(profile, "replaced_by_app") as c:
        profile = c.profile
        standing = refused_among(c, root, by) if root else set[str]()
        kept_out = {name: root.pop(name) for name in standing & root.keys()}
        before = address_of(profile.account) if profile.account else ""
        database = _database_account(profile)
        account = database or profile.account
        if patch.password:
            if database is None:
                raise Invalid("operation_not_supported", "This user has no password: they sign in by a network.")
            _refuse_weak_password(patch.password, database, _database_of(profile))
        email = str(root.get("email") or "")
        if email and account:
            root["email"] = email = canonical_email(email).lower()
            if is_email_taken(email, but=account):
                raise Conflict("email_taken", "The specified new email already exists.")
        if email and email != str(profile.document.get("email", "")).lower():
            _refuse_erased_address(email)
        if email and email != profile.document.get("email"):
            root.setdefault("email_verified", False)
        has_moved = _change_address(profile, account, root, source, notified_by)
        refused = _write(c, UserPatch({**root, **kept_out}, patch.metadata, patch.blocked), by)
        if patch.password and database:
            set_password(database, patch.password, _database_of(profile))
            for each in {database, profile.account or database}:
                end_sessions(each)
        if has_moved and database:
            guess_names(c, email, source, Asserter.APP_TOKEN)
        if has_moved:
            _record_change(c, "email", before, source, notified_by)
        if patch.password:
            _record_change(c, "password", before, source, notified_by)
        return UpdatedUser(profile, tuple(refused))


def update_metadata(profile: Profile, writes: Iterable[MetadataWrite]) -> list[RefusedWrite]:
    """Carry out several writes of metadata in turn. Returns those that were refused, whole or in part; the rest is kept.

    Views and segments follow once, and only when a fact changed.
    """
    refused, writes = [], list(writes)
    if not writes:
        return []
    with changes(profile, "metadata") as c:
        for write in writes:
            try:
                values = write_values(c, _first_level(c.profile, write.bag, write.data), write.by)
            except DomainError as error:
                refused.append(RefusedWrite(write, error))
            else:
                if values:
                    refused.append(RefusedWrite(write, values[0].error, tuple(values)))
    return refused


def find_user(user_id: str) -> Profile:
    """Return the customer of that id, or the one that they were merged into. Raises `NotFound("inexistent_user")`."""
    profile = find_by_user_id(user_id)
    if profile is None:
        raise NotFound("inexistent_user", "The user does not exist.")
    return profile


def delete_user(user_id: str, requested_by: str = "api") -> bool:
    """Erase the user of that id. Returns False for an unknown id, which is no error: the result is the same."""
    profile = find_by_user_id(user_id)
    if profile is not None:
        with suppress(NotFound):  # erased by another request meanwhile
            erase_customer(profile, requested_by)
    return profile is not None


def link(primary: Profile, other: Profile, why: str, shown: Shown = NOTHING_SHOWN, *, notified_by: str = "") -> Profile:
    """Make two customers one, under the id of `primary`, and return them. The caller has made sure that both are the same person.

    Where one of the two has proved the address that an account of the other has unproved, this is that account's first
    proof. Both are notified. Of customers who were linked to others meanwhile it links the ones that they are by then.
    Raises `Conflict("identity_already_linked")`, `Invalid("account_blocked")`, `NotFound("customer_erased")`.
    """
    with changes([primary, other], why) as c:
        primary, other = c.find(primary), c.find(other)
        if primary.pk == other.pk:
            raise Conflict("identity_already_linked", gettext_noop("These two are one account already."))
        if sign_in_block(primary) or sign_in_block(other):
            raise Invalid("account_blocked", gettext_noop("A closed account cannot be linked."))
        proved = {each.pk: _proved_addresses(each) for each in (primary, other)}
        record_vouched(primary, proved[other.pk], why, replace(shown, customer=primary.pk), notified_by=notified_by)
        record_vouched(other, proved[primary.pk], why, replace(shown, customer=other.pk), notified_by=notified_by)
        _notify_each([primary, other], "accounts_linked", notified_by)
        merge(other, primary, why)
        if other.account:
            move_sessions(other.account, account_of(other.account))
        c.refresh()
        return c.find(primary)


def unlink(profile: Profile, identity: Identity, why: str, *, kept_session: str = "", notified_by: str = "") -> Profile:
    """Remove an identity with everything that it brought. Returns the profile that the identity has now.

    Every session of the customer ends but the one with the key `kept_session`: any of them may have begun with what is
    removed. The customers of both are notified.
    Raises `Invalid`: `unknown_identity`, `last_login_method`, `main_identity`; `NotFound("customer_erased")`.
    """
    origin = [] if identity.origin is None else [identity.origin]
    with changes([profile, *origin], why) as c:
        # Under the lock: of two who each take away one of two login methods the second one keeps the last.
        methods = {each.pk: each for each in login_identities(c.profile)}
        if identity.pk not in methods and not c.profile.identities.filter(pk=identity.pk).exists():
            raise Invalid("unknown_identity", gettext_noop("This account has no such login method."))
        if len(methods) < 2:
            raise Invalid("last_login_method", gettext_noop("This is your only login method. Add another one first."))
        owner = split(methods.get(identity.pk, identity), why)
        if c.profile.account:
            end_sessions(c.profile.account, but=kept_session)
        _notify_each([c.profile, owner], "login_method_removed", notified_by)
    return owner


def account_of(account: Account) -> Account:
    """Return the account that a session belongs to: an account that was linked to another signs in as the other."""
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


def _write(c: Changes, patch: UserPatch, by: Authorship) -> list[RefusedValue]:
    values = dict(patch.root)
    for bag, data in patch.metadata.items():
        values |= _first_level(c.profile, bag, data)
    refused = write_values(c, values, by)
    if patch.blocked is not None:
        c.profile.blocked = patch.blocked
        c.profile.save(update_fields=["blocked"])
    c.refresh()
    return refused


def _first_level(profile: Profile, bag: str, data: Values) -> Values:
    """Return the first-level paths of a bag with their new values. Raises `Invalid("invalid_metadata_key")`."""
    for name in data:
        if not name or "." in name or "$" in name:
            message = f"{bag}: a key is a text without dots and dollar signs, not {name[:64]!r}."
            raise Invalid("invalid_metadata_key", message, bag)
        if len(f"{bag}.{name}") > LONGEST_PATH:
            raise Invalid("invalid_metadata_key", f"{bag}: the key {name[:20]!r}… is too long.", bag)
        # Applications take these for what this server says of a customer. One that is stored may be sent back or removed.
        is_new = data[name] is not None and not same_json(data[name], profile.document.get(bag, {}).get(name))
        if bag == "app_metadata" and name in RESERVED_IN_APP_METADATA and is_new:
            raise Invalid("invalid_metadata_key", f"{bag}: the key {name!r} is reserved. Choose another name.", bag)
    return {f"{bag}.{name}": value for name, value in (data or dict.fromkeys(profile.document.get(bag, {}))).items()}


def guess_names(c: Changes, email: str, source: str, asserter: Asserter) -> None:
    """Guess names from the customer's address: Auth0's applications expect them. Any better source wins over the guess.

    They follow from the address, and fall with it.
    """
    said = list(c.profile.facts.filter(attribute="email", value=email, retracted_at=None).values_list("pk", flat=True))
    guesses = {"name": email, "nickname": email.partition("@")[0]}
    c.learn(
        NewFact(
            key, value, "inferred", source, basis="contract", confidence=0.1, derived_from=said[-1:], asserter=asserter
        )
        for key, value in guesses.items()
    )


def _database_account(profile: Profile) -> Account | None:
    """Return the account that signs in by an address and a password: the customer's own, or one that was linked to it."""
    return next((each for each in accounts_of(profile) if each.profile.user_id.startswith(f"{DATABASE}|")), None)


def _change_address(profile: Profile, account: Account | None, root: Values, source: str, notified_by: str) -> bool:
    """Write the account's address and what is proved. Returns whether the address is another one now.

    An application may move a customer who has proved their address to another one that it has verified itself: that ends
    nothing. A proof is never undone: `email_verified: false` changes the claim alone.
    """
    known, shown = profile.document, Shown(customer=profile.pk)
    email = str(root.get("email") or "")
    has_moved = bool(account and email and email != account.email.lower())
    if account and has_moved:
        was_known, is_vouched = is_proved(account), email == known.get("email") and known.get("email_verified") is True
        account.email = email
        account.save(update_fields=["email"])
        hold_address(account)
        if root.get("email_verified", is_vouched) is not True:
            record_address(account, proved=False)
        elif was_known:
            record_address(account, proved=True)
        else:
            record_proof(account, source, shown, notified_by=notified_by)
    elif root.get("email_verified") is True:
        record_vouched(profile, [email or str(known.get("email", ""))], source, shown, notified_by=notified_by)
    if account and root.get("phone_verified") is True:
        record_phone_proof(account, source, shown, notified_by=notified_by)
    return has_moved


def _record_change(c: Changes, credential: str, to: str, source: str, notified_by: str) -> None:
    """Record a change of the address or the password, and notify the customer at the address from before."""
    properties = {"credential": credential, "by": source, "notified_by": notified_by}
    c.record_event(OwnEvent.CREDENTIAL_CHANGED, properties)
    if to and not notified_by and c.profile.account:
        notify(c.profile.account, f"{credential}_changed", to)


def _proved_addresses(profile: Profile) -> list[str]:
    proved = [account.email for account in accounts_of(profile) if is_proved(account)]
    known = profile.document
    return proved + ([str(known.get("email", ""))] if known.get("email_verified") is True else [])


def _notify_each(profiles: Iterable[Profile], what: str, notified_by: str) -> None:
    """Notify customers of the same thing, each address once."""
    found = {address_of(each.account): each.account for each in profiles if each.account and not notified_by}
    for address, account in found.items():
        if address:
            notify(account, what, address)


def _refuse_erased_address(email: str) -> None:
    """Refuse the address of a customer who was erased lately: no one but its holder brings it back, by signing up."""
    if erased_among([f"email|{email}"]) and not is_email_taken(email):
        raise Conflict(
            "erased_identifier",
            "The customer with this address was erased, and applications may not write it for a while. The customer may "
            "sign up again.",
        )


def _refuse_weak_password(password: str, account: Account, connection: str) -> None:
    if problems := problems_with(password, account, connection):
        raise Invalid("weak_password", " ".join(problems), "password")


def _database_of(profile: Profile) -> str:
    """Return the name of the connection that the password belongs to."""
    return profile.identities.filter(provider=DATABASE).values_list("connection", flat=True).first() or ""
