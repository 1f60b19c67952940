"""Where a person is named: rows that hang on her, and text anywhere that has one of her names in it."""

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

SHORTEST = 8  # a shorter name stands in too many texts that are not about her
# Tables whose rows hang on a profile, or that are too long to be read through: found by number instead.
BY_NUMBER = {"events.Event", "profiles.Fact", "consent.PermittedView", "segments.Membership", "events.InboxItem"}
# What is only passing through: a row that names her is not needed without her. From others her name is struck out.
PASSING = {"jobs.Job", "events.Rejection", "accounts.PendingSignup", "provider.PendingLogin"}
# What the company wrote, not what passed through: a customer who calls herself like a word of it takes nothing of it along.
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
    "profiles.ClientGrant",
    "connections.Connection",
    "clients.ResourceServer",
    "questions.AnswerModel",
    "questions.QuestionSettings",
    "questions.Question",
    "questions.Target",
    "rules.Rule",
    "rules.RuleSetting",
    "segments.Segment",
    "signing.SigningKey",
}
STRUCK = "(erased)"
TOLD = ("email", "phone_number")
FEWEST_DIGITS = 4  # of a name that is no address: without them it is a word, and stands in texts about something else


def names_of(profiles: Sequence[Profile]) -> set[str]:
    """What she is called inside and outside: user ids, ids at networks and of browsers, addresses, telephone numbers.

    What nobody vouches for (she typed it, or a stranger sent it with the public write key) counts when it is a name and
    nobody else's.
    """
    sure: set[str] = set()
    claimed: set[str] = set()
    for profile in profiles:
        sure |= {profile.user_id, profile.account.email if profile.account else "", *_proved(profile)}
        for identity in profile.identities.all():
            sure.add(f"{identity.provider}|{identity.provider_user_id}")
            claimed.add(identity.provider_user_id)
        sure |= {str(value) for value in profile.facts.filter(attribute="username").values_list("value", flat=True)}
        claimed |= {str(value) for value in profile.facts.filter(attribute__in=TOLD).values_list("value", flat=True)}
    names = sure | ({name for name in claimed if _is_a_name(name)} - _of_others(claimed, profiles))
    return {name for name in names if len(name) >= SHORTEST}


def _proved(profile: Profile) -> set[str]:
    return {str(profile.document.get("email", ""))} if profile.document.get("email_verified") is True else set()


def _is_a_name(text: str) -> bool:
    return "@" in text or sum(letter.isdigit() for letter in text) >= FEWEST_DIGITS


def _of_others(names: set[str], profiles: Sequence[Profile]) -> set[str]:
    told = Fact.objects.filter(attribute__in=TOLD, value__in=sorted(names)).exclude(profile__in=profiles)
    theirs = Identity.objects.filter(provider_user_id__in=names).exclude(profile__in=profiles)
    accounts = Account.objects.filter(email__in=names).exclude(profile__in=profiles)
    return {
        *map(str, told.values_list("value", flat=True)),
        *theirs.values_list("provider_user_id", flat=True),
        *accounts.values_list("email", flat=True),
        *Client.objects.filter(client_id__in=names).values_list("client_id", flat=True),
    }


def rows_of(profiles: Sequence[Profile]) -> dict[str, QuerySet[models.Model]]:
    """Table → the rows that go with her by a relation or by her number."""
    accounts = [profile.account_id for profile in profiles if profile.account_id]
    found: dict[str, QuerySet[models.Model]] = {}
    for model in apps.get_models():
        where = _where(model, profiles, accounts)
        if where is not None:
            found[model._meta.label] = model._default_manager.filter(where).distinct()
    return found


def count(rows: dict[str, QuerySet[models.Model]]) -> dict[str, int]:
    return {label: number for label, each in rows.items() if (number := each.count())}


def sweep(names: Iterable[str]) -> dict[str, int]:
    """Take her names out of what passed through the house and is nobody else's. Table → rows that went or were struck out.

    Call it when the rows that hang on her are gone: those that hang on somebody now are another's, and stay as they are.
    """
    wanted, done = sorted(names, key=len, reverse=True), {}
    if not wanted:
        return {}
    whole = _whole(wanted)
    for model in apps.get_models():
        if model._meta.proxy or model._meta.label in BY_NUMBER | WRITTEN_BY_STAFF or model in (Profile, Account):
            continue
        if gone := _sweep_table(model, wanted, whole):
            done[model._meta.label] = gone
    if gone := _sweep_inbox(wanted, whole):
        done["events.InboxItem"] = gone
    return done


def end_sessions(accounts: Iterable[int]) -> int:
    """Sessions say whose they are only inside."""
    store = session_store()
    hers = {str(account) for account in accounts}
    ended = 0
    for session in Session.objects.iterator(chunk_size=500):
        if hers and store().decode(session.session_data).get("_auth_user_id") in hers:
            session.delete()
            ended += 1
    return ended


def forget_mails(names: Iterable[str]) -> int:
    """Where mail is written into files (the default until a mail server is named), those to her go."""
    folder = Path(str(getattr(settings, "EMAIL_FILE_PATH", "") or "missing"))
    gone = 0
    for path in folder.glob("*.log") if folder.is_dir() else []:
        text = path.read_text(errors="replace")
        if any(name in text for name in names):
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _where(model: type[models.Model], profiles: Sequence[Profile], accounts: list[int]) -> Q | None:
    numbers = [profile.pk for profile in profiles]
    if model is Profile:
        return Q(pk__in=numbers)
    if model is Account:
        return Q(pk__in=accounts)
    if model is Event:
        return Q(profile_id__in=numbers)
    paths = list(_paths(model))
    if not paths:
        return None
    where = Q()
    for path, target in paths:
        where |= Q(**{f"{path}__in": numbers if target is Profile else accounts})
    return where


def _paths(model: type[models.Model], depth: int = 2) -> Iterator[tuple[str, type[models.Model]]]:
    """Relations by which a row goes when she goes, over at most `depth` tables: `identity__profile`."""
    for field in model._meta.concrete_fields:
        target, remote = field.related_model, field.remote_field
        if not isinstance(target, type) or remote is None or remote.on_delete is not models.CASCADE:
            continue
        if target in (Profile, Account):
            yield field.name, target
        elif depth > 1 and target is not model:
            for path, end in _paths(target, depth - 1):
                yield f"{field.name}__{path}", end


def _sweep_table(model: type[models.Model], names: list[str], whole: re.Pattern[str]) -> int:
    texts = [field for field in model._meta.concrete_fields if _is_text(field)]
    if not texts:
        return 0
    nobodys = {f"{path.partition('__')[0]}__isnull": True for path, _ in _paths(model)}
    found = _naming(model._default_manager.filter(**nobodys), texts, names)
    if model._meta.label in PASSING:
        return _delete([row for row in found if _names_her(row, texts, whole)])
    return sum(_strike_out(row, texts, whole) for row in found)


def _sweep_inbox(names: list[str], whole: re.Pattern[str]) -> int:
    """What became an event of hers went by its id; what never did is looked through."""
    odd = InboxItem.objects.filter(Q(processed_at=None) | ~Q(rejected=""))
    body = [InboxItem._meta.get_field("body")]
    return _delete([row for row in _naming(odd, body, names) if _names_her(row, body, whole)])


def _delete(rows: Sequence[models.Model]) -> int:
    return sum(row.delete()[0] for row in rows)


def _is_text(field: AnyField) -> bool:
    if isinstance(field, EncryptedJSONField) or field.primary_key or field.unique:
        return False
    return isinstance(field, models.CharField | models.TextField | models.JSONField)


def _naming(
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


def _whole(names: list[str]) -> re.Pattern[str]:
    """Her names where they stand whole: `ana@example.com` is not in `susana@example.com`, nor in `ana@example.com.au`."""
    either = "|".join(re.escape(name) for name in names)
    return re.compile(rf"(?<![\w.+-])(?:{either})(?![\w-]|\.\w)")


def _names_her(row: models.Model, fields: Sequence[AnyField], whole: re.Pattern[str]) -> bool:
    return any(_without(value := _read(getattr(row, field.name)), whole) != value for field in fields)


def _read(value: object) -> object:
    """A text that is JSON is looked through as what it says: in the text itself a name may stand behind an escape."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    except (ValueError, RecursionError):
        return value


def _strike_out(row: models.Model, fields: Sequence[AnyField], whole: re.Pattern[str]) -> bool:
    changed = []
    for field in fields:
        before = getattr(row, field.name)
        after = _without(before, whole)
        if after != before:
            setattr(row, field.name, after)
            changed.append(field.name)
    if changed:
        row.save(update_fields=changed)
    return bool(changed)


def _without(value: object, whole: re.Pattern[str]) -> object:
    match value:
        case str():
            return whole.sub(STRUCK, value)
        case list():
            return [_without(each, whole) for each in value]
        case dict():
            return {str(_without(key, whole)): _without(each, whole) for key, each in value.items()}
    return value
