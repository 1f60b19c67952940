"""Where a person is named: rows that hang on her, and text anywhere that has one of her names in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Cast

from regulars.base.kit.encrypted import EncryptedJSONField
from regulars.events.models import Event, InboxItem
from regulars.profiles.models import Account, Profile

if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]

SHORTEST = 8  # a shorter name stands in too many texts that are not about her
# Tables whose rows hang on a profile, or that are too long to be read through: found by number instead.
BY_NUMBER = {"events.Event", "profiles.Fact", "consent.PermittedView", "segments.Membership", "events.InboxItem"}
# What is only passing through: a row that names her is not needed without her. From others her name is struck out.
PASSING = {"jobs.Job", "events.Rejection", "signin.PendingSignup", "provider.PendingLogin"}
STRUCK = "(erased)"


def names_of(profiles: Sequence[Profile]) -> set[str]:
    """What she is called inside and outside: user ids, ids at networks and of browsers, addresses, telephone numbers."""
    names: set[str] = set()
    for profile in profiles:
        names |= {profile.user_id, profile.account.email if profile.account else ""}
        for identity in profile.identities.all():
            names |= {f"{identity.provider}|{identity.provider_user_id}", identity.provider_user_id}
        told = profile.facts.filter(attribute__in=("email", "phone_number", "username"))
        names |= {str(value) for value in told.values_list("value", flat=True)}
    return {name for name in names if len(name) >= SHORTEST}


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
    """Take her names out of every table that has them in a text. Table → rows that went or were struck out."""
    wanted, done = sorted(names, key=len, reverse=True), {}
    if not wanted:
        return {}
    for model in apps.get_models():
        if model._meta.proxy or model._meta.label in BY_NUMBER:
            continue
        if gone := _sweep_table(model, wanted):
            done[model._meta.label] = gone
    if gone := _sweep_inbox(wanted):
        done["events.InboxItem"] = gone
    return done


def end_sessions(accounts: Iterable[int]) -> int:
    """Sessions say whose they are only inside."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
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


def _sweep_table(model: type[models.Model], names: list[str]) -> int:
    texts = [field for field in model._meta.concrete_fields if _is_text(field)]
    if not texts:
        return 0
    found = _naming(model._default_manager.all(), texts, names)
    if model._meta.label in PASSING:
        return found.delete()[0]
    return sum(_strike_out(row, texts, names) for row in found)


def _sweep_inbox(names: list[str]) -> int:
    """What became an event of hers went by its id; what never did is looked through."""
    odd = InboxItem.objects.filter(Q(processed_at=None) | ~Q(rejected=""))
    return _naming(odd, [InboxItem._meta.get_field("body")], names).delete()[0]


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


def _strike_out(row: models.Model, fields: Sequence[AnyField], names: list[str]) -> bool:
    changed = []
    for field in fields:
        before = getattr(row, field.name)
        after = _without(before, names)
        if after != before:
            setattr(row, field.name, after)
            changed.append(field.name)
    if changed:
        row.save(update_fields=changed)
    return bool(changed)


def _without(value: object, names: list[str]) -> object:
    match value:
        case str():
            for name in names:
                value = value.replace(name, STRUCK)
            return value
        case list():
            return [_without(each, names) for each in value]
        case dict():
            return {str(_without(key, names)): _without(each, names) for key, each in value.items()}
    return value
