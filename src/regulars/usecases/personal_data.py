"""Find personal data for erasure: rows related to a customer, and texts anywhere that name the customer."""

from __future__ import annotations

import datetime as dt
import json
import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Concat, Substr

from regulars.accounts.models import Account, StoredSession
from regulars.accounts.session_contents import words_of
from regulars.base.db.contains_any import ContainsAny
from regulars.base.db.encrypted import EncryptedJSONField
from regulars.base.email_address import canonical_email, readable_email
from regulars.clients.models import Client
from regulars.events.models import Event, InboxItem
from regulars.profiles.contacts import EMAIL, PHONE, contact_of
from regulars.profiles.models import Fact, Identity, Profile

from .merge import ANONYMOUS as BROWSER

if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]

# Tables whose rows belong to a profile, or that are too long to scan: found by id instead.
BY_NUMBER = {
    "accounts.StoredSession",
    "consent.PermittedView",
    "events.Event",
    "events.InboxItem",
    "profiles.Fact",
    "segments.Membership",
}
# Temporary rows: one that names the customer is deleted. In other tables the name is replaced.
TEMPORARY = {
    "accounts.PendingSignup",
    "events.Rejection",
    "jobs.Job",
    "oauth.PendingLogin",
    "oauth.PushedRequest",
    "proofs.EmailCode",
}
# Written by staff, not by customers: a customer whose name is a word of these texts changes nothing in them.
WRITTEN_BY_STAFF = {
    "auth.Permission",
    "consent.KeptDecision",
    "consent.Notice",
    "consent.Purpose",
    "contenttypes.ContentType",
    "destinations.Destination",
    "destinations.DestinationVersion",
    "enrichment.Reliability",
    "enrichment.SourceDay",
    "enrichment.SourceSetting",
    "events.Source",
    "profiles.Attribute",
    "clients.Client",
    "clients.ClientGrant",
    "connections.Connection",
    "clients.ResourceServer",
    "configuration.ConfigurationVersion",
    "console.SentForm",
    "questions.AnswerModel",
    "questions.QuestionSettings",
    "questions.Question",
    "questions.Target",
    "rules.Rule",
    "rules.RuleSetting",
    "rules.UndeclaredRules",
    "segments.Segment",
    "tokens.SigningKey",
}
REPLACEMENT = "(erased)"
CLAIMED = ("email", "phone_number", "username")
# A name without @ and | is searched for in every text only from this length and with so many digits: a shorter one may be
# a word, or a number of something else, and counts where a key says that an identifier follows.
SHORTEST, FEWEST_DIGITS = 8, 4
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
IDENTIFYING = (
    "userId",
    "user_id",
    "anonymousId",
    "anonymous_id",
    "previousId",
    "previous_id",
    "sub",
    "login_hint",
    "username",
    "preferred_username",
    "email",
    "phone",
    "phone_number",
)
_KEYS = frozenset(IDENTIFYING)


class Way(Enum):
    """How an erasure takes a customer out of a table."""

    DELETED = "deleted with the customer, at once"
    BY_ID = "found by the customer's id and deleted, at once"
    TEMPORARY = "deleted if it names the customer, at once; else by its own end"
    REPLACED = "every name is replaced by `(erased)`, at once"
    STAFF = "written by staff or by the code, holds no customers"


def ways() -> dict[str, Way]:
    """Return table → how an erasure takes a customer out of it, by the same rules as `rows_of` and `sweep`."""
    found = {}
    for model in apps.get_models():
        label = model._meta.label
        if model._meta.proxy:
            continue
        if model in (Profile, Account):
            found[label] = Way.DELETED
        elif label in BY_NUMBER:
            found[label] = Way.BY_ID
        elif label in WRITTEN_BY_STAFF:
            found[label] = Way.STAFF
        elif any(True for _ in _paths(model)):
            found[label] = Way.DELETED
        else:
            found[label] = Way.TEMPORARY if label in TEMPORARY else Way.REPLACED
    return found


@dataclass(frozen=True)
class Names:
    """Names of customers. `anywhere` are searched for in every text, `identifiers` as the whole value under a key of `IDENTIFYING`."""

    anywhere: frozenset[str]
    identifiers: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.anywhere or self.identifiers)

    @cached_property
    def texts(self) -> list[str]:
        """What tables are searched for, without case, before rows are read: names as texts, JSON and addresses write them."""
        written = {form.lower() for name in self.anywhere for form in _forms(name)}
        for name in self.identifiers:
            written |= {json.dumps(name).lower(), *((f":{name}", f": {name}") if name.isdecimal() else ())}
        return sorted(written)

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """Match whole names: `ana@example.com` is not in `susana@example.com`, nor in `ana@example.com.au`."""
        if not self.anywhere:
            return None
        longest_first = sorted({form for name in self.anywhere for form in _forms(name)}, key=len, reverse=True)
        # Addresses are compared without their case, ids with it.
        either = "|".join(
            f"(?i:{re.escape(each)})" if ADDRESS.search(each) else re.escape(each) for each in longest_first
        )
        return re.compile(rf"(?<![\w.+-])(?:{either})(?![\w-]|\.\w)")

    @cached_property
    def keyed(self) -> re.Pattern[str] | None:
        """Match identifiers under their keys in JSON that is part of a text, or cut off."""
        if not self.identifiers:
            return None
        keys, either = "|".join(IDENTIFYING), "|".join(re.escape(name) for name in sorted(self.identifiers))
        return re.compile(rf'("(?:{keys})"\s*:\s*)(?:"(?:{either})"|(?:{either}))(?=\s*[,}}\]])')

    def without(self, value: object, key: str = "") -> object:
        """Return a text or JSON value with every name replaced."""
        if key in _KEYS and isinstance(value, str | int) and str(value) in self.identifiers:
            return REPLACEMENT
        match value:
            case str():
                value = self.pattern.sub(REPLACEMENT, value) if self.pattern else value
                return self.keyed.sub(rf'\1"{REPLACEMENT}"', value) if self.keyed else value
            case list():
                return [self.without(each, key) for each in value]
            case dict():
                return {str(self.without(each)): self.without(within, each) for each, within in value.items()}
        return value

    def are_in(self, value: object) -> bool:
        return self.without(value) != value


NO_NAMES = Names(frozenset(), frozenset())


def _forms(name: str) -> set[str]:
    """Return a name as texts, JSON and addresses of pages write it."""
    return {
        form
        for each in (name, readable_email(name))  # a message may hold the Unicode form of an address
        for form in (each, json.dumps(each)[1:-1], quote(each, safe=""), quote(each, safe="").lower())
    }


def names_of(profiles: Sequence[Profile]) -> Names:
    """Return the names of customers: user ids, ids at providers and of browsers, addresses, telephone numbers.

    An unverified name (typed, or sent with the public write key) counts only if it belongs to no other customer, and is
    searched for in every text only if it looks like a name.
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
        claimed |= {str(value) for value in profile.facts.filter(attribute__in=CLAIMED).values_list("value", flat=True)}
    names = (sure | (claimed - _names_of_others(claimed, profiles))) - {""}
    return Names(frozenset(filter(_is_unmistakable, names)), frozenset(names))


def nameless(visitors: QuerySet[Profile]) -> QuerySet[Profile]:
    """Return those of whom no name is known but the ids of browsers."""
    named = Fact.objects.filter(profile=OuterRef("pk"), attribute__in=CLAIMED)
    known = Identity.objects.filter(profile=OuterRef("pk")).exclude(provider=BROWSER)
    return visitors.filter(~Exists(named), ~Exists(known), account=None)


def _is_unmistakable(name: str) -> bool:
    """Return whether a name, wherever it stands, can only mean the customer."""
    if ADDRESS.fullmatch(name) or "|" in name:
        return True
    return len(name) >= SHORTEST and sum(letter.isdigit() for letter in name) >= FEWEST_DIGITS


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
    own = addresses - _names_of_others(addresses, profiles)
    return found | {f"email|{canonical_email(address)}" for address in own}


def _names_of_others(names: set[str], profiles: Sequence[Profile]) -> set[str]:
    held = _contacts_of_others(names, profiles)
    # Asked by two indexes of facts. Lists and numbers are written out: SQLite uses an index for the same words only.
    listed = ", ".join(f"'{each}'" for each in CLAIMED)
    claimed = RawSQL(f"profiles_fact.attribute IN ({listed})", (), models.BooleanField())  # noqa: S611 - names of our own
    heads = [json.dumps(name, ensure_ascii=is_ascii)[:200] for name in sorted(names) for is_ascii in (True, False)]
    first, length = RawSQL("1", ()), RawSQL("200", ())
    claims = Fact.objects.alias(head=Substr(Cast("value", models.TextField()), first, length))
    claims = claims.filter(claimed, contact=None, head__in=heads, value__in=sorted(names)).exclude(profile__in=profiles)
    identities = Identity.objects.filter(provider_user_id__in=names).exclude(profile__in=profiles)
    accounts = Account.objects.filter(email__in=names).exclude(profile__in=profiles)
    return {
        *(name for name in names if not held.isdisjoint(_as_contacts(name))),
        *map(str, claims.values_list("value", flat=True)),
        *identities.values_list("provider_user_id", flat=True),
        *accounts.values_list("email", flat=True),
        *Client.objects.filter(client_id__in=names).values_list("client_id", flat=True),
    }


def _contacts_of_others(names: set[str], profiles: Sequence[Profile]) -> set[str | None]:
    contacts = {each for name in names for each in _as_contacts(name)}
    held = Fact.objects.filter(contact__in=sorted(contacts)).exclude(profile__in=profiles)
    return set(held.values_list("contact", flat=True).distinct())


def _as_contacts(name: str) -> set[str]:
    return {each for each in (contact_of(EMAIL, name), contact_of(PHONE, name)) if each}


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


def sweep(names: Names) -> dict[str, int]:
    """Remove names from texts that belong to no customer. Returns table → rows that were deleted or changed.

    Call it after the customers' rows are deleted: a row that still belongs to a customer belongs to another one.
    """
    done: dict[str, int] = {}
    if not names:
        return done
    for model in apps.get_models():
        if model._meta.proxy or model._meta.label in BY_NUMBER | WRITTEN_BY_STAFF or model in (Profile, Account):
            continue
        if rows := _sweep_table(model, names):
            done[model._meta.label] = rows
    # Messages that became events are deleted by their id; the others are searched.
    odd = InboxItem.objects.filter(Q(processed_at=None) | ~Q(rejected=""))
    body = [InboxItem._meta.get_field("body")]
    if rows := _delete([row for row in _containing(odd, body, names) if _has_name(row, body, names)]):
        done["events.InboxItem"] = rows
    return done


def end_logins_that_name(names: Names) -> int:
    """Delete the sessions before a login in which the customers' names were typed. Returns how many there were.

    Those of their accounts are deleted with the accounts. Sessions of others stay: staff may have the name on a page.
    """
    words = {name: words_of(name) for name in names.identifiers}
    wanted, is_any_wordless = set().union(*words.values()), not all(words.values())
    before_login = StoredSession.objects.filter(words__isnull=False).values_list("session_key", "words")
    # Compared here: a database compares one text after the other, and takes ten times as long.
    found = [key for key, said in before_login if is_any_wordless or not wanted.isdisjoint(str(said).split())]
    named = [each.pk for each in StoredSession.objects.filter(pk__in=found) if names.are_in(each.get_decoded())]
    return StoredSession.objects.filter(pk__in=named).delete()[0]


def delete_mails(names: Names) -> int:
    """Delete mails that name the customer, where mail is written into files (the default without a mail server)."""
    folder = Path(str(getattr(settings, "EMAIL_FILE_PATH", "") or "missing"))
    deleted = 0
    for path in folder.glob("*.log") if folder.is_dir() else []:
        # A file holds what one connection sent. Bodies may be encoded, and long lines broken, so that no name is in one piece.
        written = path.read_bytes()
        parts = [written.decode(errors="replace"), quopri.decodestring(written).decode(errors="replace")]
        if any(names.are_in(part) for part in parts):
            path.unlink(missing_ok=True)
            deleted += 1
    return deleted


def delete_mails_before(before: dt.datetime) -> int:
    """Delete mails that were written into files before then. Returns how many files there were."""
    folder, deleted = Path(str(getattr(settings, "EMAIL_FILE_PATH", "") or "missing")), 0
    for path in folder.glob("*.log") if folder.is_dir() else []:
        if path.stat().st_mtime < before.timestamp():
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


def _sweep_table(model: type[models.Model], names: Names) -> int:
    texts = [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField | models.JSONField)
        and not (isinstance(field, EncryptedJSONField) or field.primary_key or field.unique or field.choices)
    ]
    if not texts:
        return 0
    unowned = {f"{path.partition('__')[0]}__isnull": True for path, _ in _paths(model)}
    found = _containing(model._default_manager.filter(**unowned), texts, names)
    if model._meta.label in TEMPORARY:
        return _delete([row for row in found if _has_name(row, texts, names)])
    return sum(_replace_names(row, texts, names) for row in found)


def _delete(rows: Sequence[models.Model]) -> int:
    return sum(row.delete()[0] for row in rows)


def _containing(rows: QuerySet[models.Model], fields: Sequence[AnyField], names: Names) -> list[models.Model]:
    """Return the rows that may name the customers, to be looked at one by one."""
    texts: list[Cast | Value] = []
    for field in fields:
        texts += [Cast(field.name, models.TextField()), Value("\n")]
    return list(rows.filter(ContainsAny(Concat(*texts, output_field=models.TextField()), names.texts)))


def _has_name(row: models.Model, fields: Sequence[AnyField], names: Names) -> bool:
    return any(names.are_in(_read(getattr(row, field.name))) for field in fields)


def _read(value: object) -> object:
    """Decode a text that is JSON, because escapes may hide a name in the text itself."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    except (ValueError, RecursionError):
        return value


def _replace_names(row: models.Model, fields: Sequence[AnyField], names: Names) -> bool:
    changed = []
    for field in fields:
        before = getattr(row, field.name)
        after = names.without(before)
        if after != before:
            setattr(row, field.name, after)
            changed.append(field.name)
    if changed:
        row.save(update_fields=changed)
    return bool(changed)
