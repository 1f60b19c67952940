"""Find personal data for erasure: rows related to a customer, and texts anywhere that name the customer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Cast

from regulars.accounts.models import Account
from regulars.base.db.encrypted import EncryptedJSONField
from regulars.clients.models import Client
from regulars.events.models import Event, InboxItem
from regulars.profiles.models import Fact, Identity, Profile

from .sign_out import session_store

if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]

SHORTEST = 8  # a shorter name occurs in too many texts about something else
# Tables whose rows belong to a profile, or that are too long to scan: found by id instead.
BY_NUMBER = {"events.Event", "profiles.Fact", "consent.PermittedView", "segments.Membership", "events.InboxItem"}
# Temporary rows: one that names the customer is deleted. In other tables the name is replaced.
TEMPORARY = {"jobs.Job", "events.Rejection", "accounts.PendingSignup", "oauth.PendingLogin"}
# Written by staff, not by customers: a customer whose name is a word of these texts changes nothing in them.
WRITTEN_BY_STAFF = {
    "auth.Permission",
    "consent.KeptDecision",
    "consent.Notice",
    "consent.Purpose",
    "contenttypes.ContentType",
    "destinations.Destination",
    "enrichment.Reliability",
    "enrichment.SourceDay",
    "enrichment.SourceSetting",
    "events.Source",
    "profiles.Attribute",
    "clients.Client",
    "clients.ClientGrant",
    "connections.Connection",
    "clients.ResourceServer",
    "questions.AnswerModel",
    "questions.QuestionSettings",
    "questions.Question",
    "questions.Target",
    "rules.Rule",
    "rules.RuleSetting",
    "segments.Segment",
    "tokens.SigningKey",
}
REPLACEMENT = "(erased)"
CLAIMED = ("email", "phone_number")
FEWEST_DIGITS = 4  # of a name that is no address: with fewer it may be a word in texts about something else


def names_of(profiles: Sequence[Profile]) -> set[str]:
    """Return the names of customers: user ids, ids at providers and of browsers, addresses, telephone numbers.

    An unverified name (typed, or sent with the public write key) counts only if it looks like a name and belongs to no
    other customer.
    """
    sure: set[str] = set()
    claimed: set[str] = set()
    for profile in profiles:
        sure |= {profile.user_id, profile.account.email if profile.account else ""}
        if profile.document.get("email_verified") is True:
            sure.add(str(profile.document.get("email", "")))
        for identity in profile.identities.all():
            sure.add(f"{identity.provider}|{identity.provider_user_id}")
            claimed.add(identity.provider_user_id)
        sure |= {str(value) for value in profile.facts.filter(attribute="username").values_list("value", flat=True)}
        claimed |= {str(value) for value in profile.facts.filter(attribute__in=CLAIMED).values_list("value", flat=True)}
    likely = {name for name in claimed if "@" in name or sum(letter.isdigit() for letter in name) >= FEWEST_DIGITS}
    names = sure | (likely - _names_of_others(claimed, profiles))
    return {name for name in names if len(name) >= SHORTEST}


def identifiers_of(profiles: Sequence[Profile]) -> set[str]:
    """Return the ids and addresses under which events name these customers, as `consent.erasures` writes them.

    An address that another customer has too is left out: their events go on.
    """
    found = {profile.user_id for profile in profiles}
    identities = Identity.objects.filter(profile__in=profiles).values_list("provider", "provider_user_id")
    found |= {f"{provider}|{name}" for provider, name in identities}
    claimed = Fact.objects.filter(profile__in=profiles, attribute="email").values_list("value", flat=True)
    addresses = {str(value) for value in claimed if value}
    addresses |= {profile.account.email for profile in profiles if profile.account and profile.account.email}
    return found | {f"email|{address}" for address in addresses - _names_of_others(addresses, profiles)}


def _names_of_others(names: set[str], profiles: Sequence[Profile]) -> set[str]:
    claims = Fact.objects.filter(attribute__in=CLAIMED, value__in=sorted(names)).exclude(profile__in=profiles)
    identities = Identity.objects.filter(provider_user_id__in=names).exclude(profile__in=profiles)
    accounts = Account.objects.filter(email__in=names).exclude(profile__in=profiles)
    return {
        *map(str, claims.values_list("value", flat=True)),
        *identities.values_list("provider_user_id", flat=True),
        *accounts.values_list("email", flat=True),
        *Client.objects.filter(client_id__in=names).values_list("client_id", flat=True),
    }


def rows_of(profiles: Sequence[Profile]) -> dict[str, QuerySet[models.Model]]:
    """Return table → rows that belong to the customers by a relation or by their id."""
    numbers = [profile.pk for profile in profiles]
    accounts = [profile.account_id for profile in profiles if profile.account_id]
    themselves: dict[type[models.Model], Q] = {
        Profile: Q(pk__in=numbers),
        Account: Q(pk__in=accounts),
        Event: Q(profile_id__in=numbers),
    }
    found: dict[str, QuerySet[models.Model]] = {}
    for model in apps.get_models():
        where = themselves.get(model)
        if where is None and (paths := list(_paths(model))):
            where = Q()
            for path, target in paths:
                where |= Q(**{f"{path}__in": numbers if target is Profile else accounts})
        if where is not None:
            found[model._meta.label] = model._default_manager.filter(where).distinct()
    return found


def count(rows: dict[str, QuerySet[models.Model]]) -> dict[str, int]:
    return {label: number for label, each in rows.items() if (number := each.count())}


def sweep(names: Iterable[str]) -> dict[str, int]:
    """Remove names from texts that belong to no customer. Returns table → rows that were deleted or changed.

    Call it after the customers' rows are deleted: a row that still belongs to a customer belongs to another one.
    """
    wanted, done = sorted(names, key=len, reverse=True), {}
    if not wanted:
        return {}
    # Whole names only: `ana@example.com` is not in `susana@example.com`, nor in `ana@example.com.au`.
    either = "|".join(re.escape(name) for name in wanted)
    pattern = re.compile(rf"(?<![\w.+-])(?:{either})(?![\w-]|\.\w)")
    for model in apps.get_models():
        if model._meta.proxy or model._meta.label in BY_NUMBER | WRITTEN_BY_STAFF or model in (Profile, Account):
            continue
        if rows := _sweep_table(model, wanted, pattern):
            done[model._meta.label] = rows
    # Messages that became events are deleted by their id; the others are searched.
    odd = InboxItem.objects.filter(Q(processed_at=None) | ~Q(rejected=""))
    body = [InboxItem._meta.get_field("body")]
    if rows := _delete([row for row in _containing(odd, body, wanted) if _has_name(row, body, pattern)]):
        done["events.InboxItem"] = rows
    return done


def end_sessions(accounts: Iterable[int]) -> int:
    """Delete the sessions of accounts. Only the encoded data of a session names its account."""
    store = session_store()
    keys = {str(account) for account in accounts}
    ended = 0
    for session in Session.objects.iterator(chunk_size=500):
        if keys and store().decode(session.session_data).get("_auth_user_id") in keys:
            session.delete()
            ended += 1
    return ended


def delete_mails(names: Iterable[str]) -> int:
    """Delete mails that name the customer, where mail is written into files (the default without a mail server)."""
    folder = Path(str(getattr(settings, "EMAIL_FILE_PATH", "") or "missing"))
    deleted = 0
    for path in folder.glob("*.log") if folder.is_dir() else []:
        text = path.read_text(errors="replace")
        if any(name in text for name in names):
            path.unlink(missing_ok=True)
            deleted += 1
    return deleted


def _paths(model: type[models.Model], depth: int = 2) -> Iterator[tuple[str, type[models.Model]]]:
    """Yield relations that delete a row with its customer, over at most `depth` tables: `identity__profile`."""
    for field in model._meta.concrete_fields:
        target, remote = field.related_model, field.remote_field
        if not isinstance(target, type) or remote is None or remote.on_delete is not models.CASCADE:
            continue
        if target in (Profile, Account):
            yield field.name, target
        elif depth > 1 and target is not model:
            for path, end in _paths(target, depth - 1):
                yield f"{field.name}__{path}", end


def _sweep_table(model: type[models.Model], names: list[str], pattern: re.Pattern[str]) -> int:
    texts = [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField | models.JSONField)
        and not (isinstance(field, EncryptedJSONField) or field.primary_key or field.unique)
    ]
    if not texts:
        return 0
    unowned = {f"{path.partition('__')[0]}__isnull": True for path, _ in _paths(model)}
    found = _containing(model._default_manager.filter(**unowned), texts, names)
    if model._meta.label in TEMPORARY:
        return _delete([row for row in found if _has_name(row, texts, pattern)])
    return sum(_replace_names(row, texts, pattern) for row in found)


def _delete(rows: Sequence[models.Model]) -> int:
    return sum(row.delete()[0] for row in rows)


def _containing(
    rows: QuerySet[models.Model],
    fields: Sequence[AnyField],
    names: list[str],
) -> QuerySet[models.Model]:
    where = Q()
    for number, field in enumerate(fields):
        rows = rows.annotate(**{f"text_{number}": Cast(field.name, models.TextField())})
        for name in names:
            where |= Q(**{f"text_{number}__contains": name})
            if (quoted := json.dumps(name)[1:-1]) != name:
                where |= Q(**{f"text_{number}__contains": quoted})
    return rows.filter(where)


def _has_name(row: models.Model, fields: Sequence[AnyField], pattern: re.Pattern[str]) -> bool:
    return any(_without(value := _read(getattr(row, field.name)), pattern) != value for field in fields)


def _read(value: object) -> object:
    """Decode a text that is JSON, because escapes may hide a name in the text itself."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    except (ValueError, RecursionError):
        return value


def _replace_names(row: models.Model, fields: Sequence[AnyField], pattern: re.Pattern[str]) -> bool:
    changed = []
    for field in fields:
        before = getattr(row, field.name)
        after = _without(before, pattern)
        if after != before:
            setattr(row, field.name, after)
            changed.append(field.name)
    if changed:
        row.save(update_fields=changed)
    return bool(changed)


def _without(value: object, pattern: re.Pattern[str]) -> object:
    match value:
        case str():
            return pattern.sub(REPLACEMENT, value)
        case list():
            return [_without(each, pattern) for each in value]
        case dict():
            return {str(_without(key, pattern)): _without(each, pattern) for key, each in value.items()}
    return value
