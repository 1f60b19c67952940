"""What an application writes about a customer: facts marked with its name, columns, and the account she signs in with."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q

from regulars.accounts.models import Account, new_key
from regulars.accounts.passwords import problems_with, set_password
from regulars.connections.models import Connection
from regulars.profiles.document import BAGS, rebuild
from regulars.profiles.find import find_by_identity, get_or_create_by_identity, is_taken
from regulars.profiles.learn import NewFact, learn, retract
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.usecases.refresh import after_learning
from regulars.usecases.sign_out import end_sessions

from .access import Caller
from .bodies import ROOT, NewUser, UserChange
from .errors import ApiError, invalid_body


@transaction.atomic
def create_user(body: NewUser, caller: Caller) -> Profile:
    """A customer of a database connection, who can sign in at once. Raises 400 and 409 as Auth0 does."""
    _refuse_connection(body.connection)
    email = body.email.lower()
    if is_taken(email) or (body.user_id and find_by_identity("auth0", body.user_id)):
        raise ApiError(409, "auth0_idp_error", "The user already exists.")
    _refuse_weak(body.password or "", Account(email=email), body.connection)
    account = Account.objects.create_user(email, body.password)
    profile, _ = get_or_create_by_identity("auth0", body.user_id or new_key(), connection=body.connection)
    profile.account = account
    profile.save(update_fields=["account"])
    defaults = {"name": email, "nickname": email.partition("@")[0], "email_verified": False}
    return _write(profile, {**defaults, **body.sent(), "email": email}, caller)


@transaction.atomic
def change_user(profile: Profile, body: UserChange, caller: Caller) -> Profile:
    """Root attributes replace, metadata merges on its first level. Raises 400 and 409."""
    profile = Profile.objects.select_for_update(of=("self",)).select_related("account").get(pk=profile.pk)
    sent = body.sent()
    if sent.get("password"):
        _refuse_weak(sent["password"], profile.account or Account(), _database_of(profile))
    if profile.account and sent.get("email"):
        sent["email"] = sent["email"].lower()
        if is_taken(sent["email"], but=profile.account):
            raise ApiError(409, "auth0_idp_error", "The specified new email already exists.")
    if sent.get("email") not in (None, profile.document.get("email")):
        sent.setdefault("email_verified", False)
    return _write(profile, sent, caller)


def _write(profile: Profile, sent: dict[str, Any], caller: Caller) -> Profile:
    replaced = {key: sent[key] for key in ROOT if key in sent}
    for bag in BAGS:
        if bag in sent:
            replaced |= _replaced(profile, bag, sent[bag] or {})
    _learn(profile, replaced, caller)
    _change_columns(profile, sent)
    rebuild(profile)
    after_learning(profile)
    return profile


def _replaced(profile: Profile, bag: str, sent: dict[str, Any]) -> dict[str, Any]:
    """First-level paths of a bag with their new values; an empty object clears the bag."""
    for name in sent:
        if not name or "." in name or "$" in name:
            raise invalid_body(f"{bag}: a key is a text without dots and dollar signs, not {name!r}.")
        if len(f"{bag}.{name}") > 128:
            raise invalid_body(f"{bag}: the key {name[:20]!r}… is too long.")
    sent = sent or dict.fromkeys(profile.document.get(bag, {}))
    return {f"{bag}.{name}": value for name, value in sent.items()}


def _learn(profile: Profile, replaced: dict[str, Any], caller: Caller) -> None:
    """What is replaced is taken back from whoever said it, else an older answer could outrank the newer word."""
    news = {leaf: each for path, value in replaced.items() for leaf, each in _leaves(path, value).items()}
    path_of_key = dict(Attribute.objects.exclude(metadata_path="").values_list("key", "metadata_path"))
    gone = []
    for fact in profile.facts.filter(retracted_at=None).select_related("profile"):
        path = path_of_key.get(fact.attribute, fact.attribute)
        if _is_under(path, replaced) and not _repeats(fact, news.get(path), caller):
            gone.append(fact)
    retract(gone, "replaced_by_app")
    learn(profile, [NewFact(path, value, Fact.SourceKind.DECLARED, caller.source) for path, value in news.items()])


def _leaves(path: str, value: Any) -> dict[str, Any]:
    """Nested objects become dotted facts, so that an attribute declared at a nested path is known by it."""
    if not isinstance(value, dict) or not value or not all(_can_be_dotted(path, name) for name in value):
        return {} if value is None else {path: value}
    return {leaf: each for name, inner in value.items() for leaf, each in _leaves(f"{path}.{name}", inner).items()}


def _can_be_dotted(path: str, name: str) -> bool:
    return bool(name) and "." not in name and len(f"{path}.{name}") <= 128 and path.partition(".")[0] in BAGS


def _is_under(path: str, replaced: dict[str, Any]) -> bool:
    bag, _, rest = path.partition(".")
    first_level = f"{bag}.{rest.partition('.')[0]}" if bag in BAGS and rest else path
    return first_level in replaced


def _repeats(fact: Fact, value: Any, caller: Caller) -> bool:
    return fact.source == caller.source and value is not None and bool(fact.value == value)


def _change_columns(profile: Profile, sent: dict[str, Any]) -> None:
    account = profile.account
    if sent.get("blocked") is not None:
        profile.blocked = sent["blocked"]
        profile.save(update_fields=["blocked"])
    if account is None:
        return
    if sent.get("email"):
        account.email = sent["email"]
    if sent.get("password"):
        set_password(account, sent["password"], _database_of(profile))
        end_sessions(account)
    account.is_active = not profile.blocked
    account.save(update_fields=["email", "password", "is_active"])
    if "email_verified" in sent and account.email:
        _replace_address(account, bool(sent["email_verified"]))


def _replace_address(account: Account, verified: bool) -> None:
    """What allauth signs her in by."""
    EmailAddress.objects.filter(Q(primary=True) | Q(email__iexact=account.email), user=account).delete()
    EmailAddress.objects.create(user=account, email=account.email, primary=True, verified=verified)


def _refuse_connection(name: str) -> None:
    connection = Connection.objects.filter(name=name, enabled=True).first()
    if connection is None:
        raise ApiError(400, "inexistent_connection", "The connection does not exist.")
    if connection.strategy != "auth0":
        raise ApiError(400, "operation_not_supported", "Users can be created in database connections only.")


def _refuse_weak(password: str, account: Account, connection: str) -> None:
    if problems := problems_with(password, account, connection):
        raise ApiError(400, "auth0_idp_error", f"PasswordStrengthError: {' '.join(problems)}")


def _database_of(profile: Profile) -> str:
    """The connection that her password is of."""
    return profile.identities.filter(provider="auth0").values_list("connection", flat=True).first() or ""
