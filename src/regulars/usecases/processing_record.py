"""The record of processing (GDPR art. 30), generated from what this installation is configured to do.

Purposes, attributes, login methods, questions, look-ups, event sources, destinations, applications, rules and retention are read
from the registries and tables that the code itself uses: what is switched on is in the record, and nothing else.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from regulars.base import clock
from regulars.base.mail_server import sends_to_files
from regulars.clients.models import ClientGrant
from regulars.connections.models import Connection
from regulars.connections.provider import find_provider
from regulars.consent.models import Purpose
from regulars.consent.view import COLLECTED_FOR
from regulars.destinations.kind import KINDS as DESTINATION_KINDS
from regulars.destinations.message import mapping_of
from regulars.destinations.models import Destination
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.source import LAST_IP, SOURCES
from regulars.events.message_fields import TRAITS
from regulars.events.models import Source
from regulars.profiles.derive import CONCLUDES
from regulars.profiles.models import Attribute
from regulars.questions.models import Question
from regulars.rules.declaration import purpose_of, read_recipients, undeclared_hosts
from regulars.rules.models import Rule
from regulars.rules.run import configuration

from .correct_facts import may_correct, may_staff_correct
from .recipients import SERVED, Recipient, RecipientKind, recipients_by_purpose, rule_hosts
from .retention import KINDS, days_of, starts

SIGN_IN = ("email", "email_verified", "name", "given_name", "family_name", "nickname", "picture", "locale")
WRITES_USERS = frozenset({"create:users", "update:users", "update:users_app_metadata"})
SUBJECTS = ("customers with an account", "visitors", "contacts that were imported", "staff")
MEASURES = (
    "one consent gate that every use asks, and that fails closed",
    "encryption of secrets and of providers' tokens in the database; TLS towards the public",
    "roles of staff with a second factor, and a log of what they did",
    "erasure in every table, in the lake, and again after a restore",
    "backups into one file, whose age `regulars doctor` checks",
)

# What the law asks for and no setting of Regulars tells.
LEFT_TO_YOU = (
    "transfers to countries outside the European Economic Area, with their safeguards (art. 30 (1) (e)): only hosts are known here",
    "your data protection officer and joint controllers (art. 30 (1) (a)), unless REGULARS_CONTROLLER names them",
    "lists that you imported: their origin is a fact's source, on each customer's page",
)


@dataclass(frozen=True)
class Origin:
    """Where values of an attribute come from.

    `kind`: sign_in, share, question, event, lookup, conclusion, application, rule, page, staff.
    """

    kind: str
    name: str
    purpose: str = ""
    follows_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttributeRecord:
    """`kept_days`: facts expire so many days after they were last confirmed; None: with the customer."""

    key: str
    label: str
    category: str
    sensitivity: str
    purposes: tuple[str, ...]
    origins: tuple[Origin, ...]
    recipients: tuple[Recipient, ...]
    kept_days: int | None


@dataclass(frozen=True)
class PurposeRecord:
    key: str
    label: str
    text: str
    basis: str
    version: int
    direct_marketing: bool
    consent_days: int | None
    categories: tuple[str, ...]
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True)
class RuleRecord:
    """A rule that runs at each login, what it declares, and the metadata that its code names.

    `undeclared` are hosts that it calls without declaring them: under the purpose of undeclared rules.
    """

    name: str
    moment: str
    metadata: tuple[str, ...]
    purpose: str
    recipients: tuple[str, ...]
    sends: tuple[str, ...]
    undeclared: tuple[str, ...]


@dataclass(frozen=True)
class RetentionRecord:
    kind: str
    label: str
    days: int | None
    why: str
    starts_at: dt.datetime | None


@dataclass(frozen=True)
class Processor:
    """A service that this installation uses to store or send data. `host` is empty for one on this machine."""

    role: str
    host: str


@dataclass(frozen=True)
class ProcessingRecord:
    at: dt.datetime
    controller: str
    installation: str
    subjects: tuple[str, ...]
    purposes: tuple[PurposeRecord, ...]
    attributes: tuple[AttributeRecord, ...]
    rules: tuple[RuleRecord, ...]
    processors: tuple[Processor, ...]
    retention: tuple[RetentionRecord, ...]
    measures: tuple[str, ...]
    left_to_you: tuple[str, ...]


def processing_record() -> ProcessingRecord:
    recipients = recipients_by_purpose()
    attributes = list(Attribute.objects.order_by("key"))
    rules = _rules(attributes)
    origins = _origins(attributes, rules)
    received = _received()
    records = tuple(
        AttributeRecord(
            each.key,
            each.label,
            each.category,
            each.sensitivity,
            tuple(each.purposes),
            tuple(origins[each.key]),
            _recipients_of(each, recipients, received),
            each.expires_days,
        )
        for each in attributes
    )
    return ProcessingRecord(
        clock.now(),
        settings.CONTROLLER,
        settings.PUBLIC_URL,
        SUBJECTS,
        tuple(_purpose(each, records, recipients) for each in Purpose.objects.filter(active=True).order_by("key")),
        records,
        rules,
        tuple(_processors()),
        _retention(),
        MEASURES,
        LEFT_TO_YOU,
    )


def _purpose(
    purpose: Purpose, attributes: Iterable[AttributeRecord], recipients: Mapping[str, tuple[Recipient, ...]]
) -> PurposeRecord:
    return PurposeRecord(
        purpose.key,
        purpose.label,
        purpose.text,
        purpose.basis,
        purpose.version,
        purpose.is_direct_marketing,
        purpose.expires_days,
        tuple(sorted({each.category for each in attributes if purpose.key in each.purposes})),
        recipients.get(purpose.key, ()),
    )


def _retention() -> tuple[RetentionRecord, ...]:
    days, waiting = days_of(), starts()
    return tuple(RetentionRecord(key, kind.label, days[key], kind.why, waiting.get(key)) for key, kind in KINDS.items())


def _origins(attributes: Sequence[Attribute], rules: Iterable[RuleRecord]) -> defaultdict[str, list[Origin]]:
    """Return attribute → where its values come from, of what is switched on now."""
    found: defaultdict[str, list[Origin]] = defaultdict(list)
    for keys, origin in (*_login_methods(), *_questions(), *_lookups(), *_events(attributes)):
        for key in keys:
            found[key].append(origin)
    for premise, concluded in CONCLUDES.items():
        for key in concluded:
            found[key].append(Origin("conclusion", "Regulars", follows_from=(premise,)))
    grants = ClientGrant.objects.select_related("client").order_by("client__name")
    writers = sorted({each.client.name for each in grants if WRITES_USERS & set(each.scopes)})
    for rule in rules:
        for key in rule.metadata:
            found[key].append(Origin("rule", rule.name))
    for each in attributes:
        found[each.key] += [
            Origin("application", name) for name in writers if each.metadata_path or each.key in SIGN_IN
        ]
        if may_correct(each.key, each.metadata_path):
            found[each.key].append(Origin("page", "the customer's own page"))
        if may_staff_correct(each):
            found[each.key].append(Origin("staff", "staff, with a reason"))
    return found


def _rules(attributes: Iterable[Attribute]) -> tuple[RuleRecord, ...]:
    """Return the rules that are switched on, with the metadata that their code names: only the code tells what it writes."""
    roots = {each.key: each.metadata_path.split(".")[1] for each in attributes if "." in each.metadata_path}
    words = {key: re.compile(rf"\b{re.escape(root)}\b") for key, root in roots.items()}
    found = []
    rules = list(Rule.objects.filter(enabled=True).order_by("order", "pk"))
    labels, shared = dict(Purpose.objects.values_list("key", "label")), configuration() if rules else {}
    for rule in rules:
        uses_metadata = "metadata" in rule.script.lower()
        named = sorted(key for key, word in words.items() if uses_metadata and word.search(rule.script))
        found.append(
            RuleRecord(
                rule.name,
                rule.moment,
                tuple(named),
                purpose=labels[purpose_of(rule.purpose_id)],
                recipients=tuple(each.name or ", ".join(each.hosts) for each in read_recipients(rule.recipients)),
                sends=tuple(rule.sends),
                undeclared=tuple(undeclared_hosts(rule, shared)),
            )
        )
    return tuple(found)


def _login_methods() -> Iterator[tuple[Iterable[str], Origin]]:
    for each in Connection.objects.filter(enabled=True).order_by("name"):
        provider = find_provider(each.strategy)
        yield (SIGN_IN if provider else SIGN_IN[:2]), Origin("sign_in", each.display_name, SERVED)
        for claim in provider.offered(each.requested_claims) if provider else ():
            yield claim.attributes, Origin("share", each.display_name, claim.purpose)


def _questions() -> Iterator[tuple[Iterable[str], Origin]]:
    for each in Question.objects.filter(enabled=True).order_by("key"):
        yield (each.attribute,), Origin("question", each.text, each.purpose_id)


def _lookups() -> Iterator[tuple[Iterable[str], Origin]]:
    for each in SourceSetting.objects.filter(enabled=True).order_by("key"):
        if each.key in SOURCES:
            source = SOURCES[each.key].for_settings(each.settings)
            yield source.gives, Origin("lookup", source.title, each.purpose_id, tuple(source.needs))


def _events(attributes: Iterable[Attribute]) -> Iterator[tuple[Iterable[str], Origin]]:
    keys = sorted({*TRAITS.values(), *(each.key for each in attributes)})
    for each in Source.objects.filter(enabled=True).order_by("slug"):
        yield keys, Origin("event", each.name, COLLECTED_FOR)


def _received() -> dict[tuple[RecipientKind, str], set[str]]:
    """Return recipient → the attributes that it is sent; one that is not named may be sent all that its purpose permits."""
    found: dict[tuple[RecipientKind, str], set[str]] = {}
    for each in Destination.objects.filter(enabled=True):
        lines = mapping_of(each, DESTINATION_KINDS[each.kind]) if each.kind in DESTINATION_KINDS else []
        if lines is not None:
            found[RecipientKind.DESTINATION, each.slug] = {line["attribute"] for line in lines}
    for setting in SourceSetting.objects.filter(enabled=True):
        if setting.key in SOURCES:
            source = SOURCES[setting.key].for_settings(setting.settings)
            found[RecipientKind.LOOKUP, setting.key] = set(source.needs) - {LAST_IP}
    return found


def _recipients_of(
    attribute: Attribute,
    recipients: Mapping[str, tuple[Recipient, ...]],
    received: Mapping[tuple[RecipientKind, str], set[str]],
) -> tuple[Recipient, ...]:
    return tuple(
        sorted(
            {
                each
                for purpose in attribute.purposes
                for each in recipients.get(purpose, ())
                if attribute.key in received.get((each.kind, each.key), {attribute.key})
            }
        )
    )


def _processors() -> Iterator[Processor]:
    database = settings.DATABASES["default"]
    yield Processor("database", str(database.get("HOST") or ""))
    lake = urlsplit(settings.LAKE_URL)
    yield Processor("lake", lake.netloc if "://" in settings.LAKE_URL else "")
    if not sends_to_files():
        yield Processor("mail server", str(settings.EMAIL_HOST))
    for host in rule_hosts():
        yield Processor("host that rules may call", host)
