"""Which table of a customer is where in the access export: in a section of its own, row by row, or left out and why.

`personal_data` finds the tables by their relations, for the erasure. A test fails on one that is not named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Field, Model, QuerySet

from regulars.clients.models import Client
from regulars.events.models import Event, InboxItem
from regulars.profiles.models import Profile

from .personal_data import rows_of

CHUNK = 500
STAFF_LOG = "console.AuditEntry"
# Table → the section of the export that its rows are in.
SECTIONS = {
    "consent.ConsentEvent": "decisions",
    "enrichment.Lookup": "lookups",
    "events.Event": "events",
    "profiles.Fact": "facts",
    "profiles.Identity": "identities",
    "profiles.ProviderAnswer": "identities",
}
# Table → its columns that are not exported: secrets, what names other people, and copies of other columns.
TABLES: dict[str, frozenset[str]] = {
    "account.EmailAddress": frozenset(),
    "account.EmailConfirmation": frozenset({"key"}),
    "accounts.Account": frozenset({"password"}),
    "consent.Restriction": frozenset({"actor", "lift_actor"}),
    "destinations.Delivery": frozenset(),
    "destinations.DirectDisclosure": frozenset(),
    "mfa.Authenticator": frozenset({"data"}),
    "oauth.AppGrant": frozenset(),
    "oauth.DeviceRequest": frozenset({"hash", "user_code_hash"}),
    "oauth.RefreshFamily": frozenset({"sid"}),
    "oauth.SessionClient": frozenset({"sid"}),
    "profiles.CrowdedProfile": frozenset(),
    "profiles.IdentityConflict": frozenset({"first_id", "second_id", "decided_by"}),
    "profiles.Merge": frozenset(),
    "profiles.Profile": frozenset({"document", "terms", "closed_consents"}),
    "profiles.UpstreamToken": frozenset({"secret"}),
    "questions.Impression": frozenset(),
    "questions.PriorityBoost": frozenset(),
    "questions.SelectionDecision": frozenset(),
    "rules.RuleRun": frozenset(),
    "segments.Membership": frozenset(),
    "usersessions.UserSession": frozenset({"session_key"}),
}
STAFF = frozenset({"account_id"})
# Table → why its rows are not exported.
LEFT_OUT = {
    "accounts.PreviousPassword": "hashes of earlier passwords, which are secrets",
    "accounts.StoredSession": "encoded, and opened by their keys; usersessions.UserSession has when and where they began",
    "consent.ConsentState": "computed from the decisions; the section purposes has it",
    "consent.JournalEntry": "encrypted copies of decisions, corrections and deletions, for a restore",
    "consent.PermittedView": "computed from facts and decisions",
    "oauth.AuthorizationCode": "a secret that is used once, within a minute",
    "oauth.PendingLogin": "a sign-in under way, for minutes; what comes of it is exported",
    "oauth.RefreshToken": "hashes of secrets; oauth.RefreshFamily has what they permit",
    "proofs.LoginTicket": "a secret that is used once, within minutes",
}


def tables(profiles: Sequence[Profile]) -> dict[str, Iterator[dict[str, Any]]]:
    """Return table → its rows, for those without a section. Rows are read when they are asked for, a portion at a time."""
    clients = dict(Client.objects.values_list("pk", "name"))
    return {label: _rows(rows, TABLES.get(label, STAFF), clients) for label, rows in _found(profiles).items()}


def newest(profiles: Sequence[Profile], most: int) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """Return table → how many rows there are, and the newest of them, for a page. Tables without rows are left out."""
    clients = dict(Client.objects.values_list("pk", "name"))
    found = {}
    for label, rows in _found(profiles).items():
        if number := rows.count():
            ids = list(rows.order_by("-pk").values_list("pk", flat=True)[:most])
            part = rows.model._default_manager.filter(pk__in=ids)
            found[label] = number, list(_rows(part, TABLES.get(label, STAFF), clients))[::-1]
    return found


def _found(profiles: Sequence[Profile]) -> dict[str, QuerySet[Any]]:
    related = rows_of(profiles)
    # The log of staff is of an interface, and names its subject instead of relating to it.
    log = apps.get_model(STAFF_LOG)._default_manager.filter(subject__in=[each.user_id for each in profiles])
    return {**{label: related[label] for label in sorted(TABLES)}, STAFF_LOG: log}


def messages(profile: Profile) -> Iterator[dict[str, Any]]:
    """Yield the messages that events of the customer came with, as they were received."""
    events = Event.objects.filter(profile_id=profile.pk).values("message_id")
    rows = InboxItem.objects.filter(message_id__in=events).order_by("pk")
    return _rows(rows, frozenset(), {})


def _rows(rows: QuerySet[Any], hidden: Iterable[str], clients: dict[Any, str]) -> Iterator[dict[str, Any]]:
    fields = [each for each in rows.model._meta.concrete_fields if each.attname not in hidden]
    for row in rows.order_by("pk").iterator(chunk_size=CHUNK):
        found = {each.attname: _plain(row, each) for each in fields}
        if name := clients.get(found.get("client_id")):
            found["client"] = name
        yield found


def _plain(row: Model, field: Field[Any, Any]) -> Any:
    value = getattr(row, field.attname)
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    return DjangoJSONEncoder().default(value)
