"""Export a customer's data: everything (GDPR Art. 15), or what they provided, for another service (Art. 20)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.consent.models import ConsentEvent
from regulars.enrichment.models import Lookup
from regulars.events.models import Event
from regulars.events.read import source_of
from regulars.profiles.document import iso, user
from regulars.profiles.models import Fact, Profile

from .customer_data import CustomerFact, decisions_of, facts_of, purposes_of, segments_of
from .export_tables import CHUNK, LEFT_OUT, messages, tables
from .recipients import recipients_by_purpose
from .record_disclosures import all_disclosures_of
from .retention import days_of

VERSION = "regulars-access-1"
# Provided by the customer or observed; conclusions and data of third parties are not portable (WP 242 rev.01).
PORTABLE_KINDS = {"corrected", "declared", "verified", "social", "observed"}
PORTABLE_BASES = {"consent", "contract"}
LOGIC = {
    "inferred": gettext_noop("Concluded from other things we know; a guess that any word of yours replaces."),
    "enriched": gettext_noop("Looked up at a source outside; your own word replaces it."),
}
# Terms of the Data Privacy Vocabulary, which other systems know.
DPV = {
    "given": "dpv:ConsentGiven",
    "imported": "dpv:ConsentGiven",
    "refused": "dpv:ConsentRefused",
    "withdrawn": "dpv:ConsentWithdrawn",
    "expired": "dpv:ConsentExpired",
    "objected": "dpv:ConsentWithdrawn",
    "gpc": "dpv:ConsentWithdrawn",
}
RIGHTS = gettext_noop(
    "You may see, correct, restrict, take along and erase all this, object to uses and take any yes back, on the page "
    "“Your data”. You may complain to the data protection authority of your country."
)


def access(profile: Profile) -> dict[str, Any]:
    """Return all data as JSON: see `export.schema.json`. No passwords, no tokens, nothing of other people."""
    whole: dict[str, Any] = json.loads("".join(access_file(profile)))
    return whole


def access_file(profile: Profile) -> Iterator[str]:
    """Yield the text of `access` in pieces: the rows of long tables are read a portion at a time."""
    return json_pieces(_access(profile))


def _access(profile: Profile) -> dict[str, Any]:
    """Return the sections. Long ones are iterators, which are read when they are written."""
    people = [profile, *profile.merged.all()]
    own_purposes = purposes_of(profile)
    recipients = recipients_by_purpose()
    return {
        "format": VERSION,
        "made_at": iso(clock.now()),
        "controller": {"name": settings.CONTROLLER, "url": settings.PUBLIC_URL},
        "profile": user(profile),
        "identities": _identities(profile),
        "facts": [_fact(each) for each in facts_of(profile, everything=True)],
        "purposes": [_times(asdict(each)) for each in own_purposes],
        "recipients": [
            {"purpose": key, "kind": each.kind.value, "name": each.name, "place": each.place}
            for key, found in sorted(recipients.items())
            for each in found
        ],
        "decisions": list(map(_decision, _decisions(profile))),
        "questions": [
            {
                "question": row.question.text,
                "words": row.words,
                "shown_at": iso(row.shown_at),
                "outcome": row.outcome,
            }
            for row in profile.impressions.select_related("question").order_by("shown_at")
        ],
        "segments": [
            {
                "name": row.segment.name,
                "rule": row.segment.text,
                "since": iso(row.since),
                "purpose": row.segment.purpose_id,
            }
            for row in segments_of(profile)
        ],
        "lookups": [
            {
                "source": row.source_key,
                "answer": row.answer,
                "error": row.error,
                "asked_at": iso(row.asked_at),
                "fresh_until": iso(row.fresh_until),
            }
            for row in Lookup.objects.filter(profile__in=people).order_by("asked_at")
        ],
        "events": map(_event, _events(profile)),
        "messages": messages(profile),
        "tables": tables(people),
        "left_out": LEFT_OUT,
        "disclosures": [_times(asdict(each)) for each in all_disclosures_of(profile)],
        "retention_days": days_of(),
        "rights": RIGHTS,
    }


def json_pieces(value: object) -> Iterator[str]:
    """Yield a JSON text in pieces. An iterator becomes an array, whose elements are read one after the other."""
    if isinstance(value, dict):
        opening = "{"
        for key, each in value.items():
            yield f"{opening}{json.dumps(key)}: "
            yield from json_pieces(each)
            opening = ",\n"
        yield "}" if value else "{}"
    elif isinstance(value, Iterator):
        opening = "[\n"
        for each in value:
            yield f"{opening}{json.dumps(each)}"
            opening = ",\n"
        yield "[]" if opening == "[\n" else "\n]"
    else:
        yield json.dumps(value, indent=1)


def portable(profile: Profile) -> dict[str, Any]:
    """Return what the customer provided or did under consent or contract, for another service to read.

    `events` is an iterator: for `json_pieces`.
    """
    facts = profile.facts.filter(retracted_at=None, source_kind__in=PORTABLE_KINDS, derived_from=[])
    return {
        "format": "regulars-portable-1",
        "made_at": iso(clock.now()),
        "facts": [
            {
                "attribute": fact.attribute,
                "value": fact.value,
                "source": fact.source,
                "since": iso(fact.collected_at),
                "confirmed_at": iso(fact.confirmed_at),
            }
            for fact in facts.order_by("attribute", "id")
            if fact.value is not None and (fact.basis in PORTABLE_BASES or fact.source_kind == Fact.SourceKind.OBSERVED)
        ],
        "events": map(_event, _events(profile)),
    }


def _fact(each: CustomerFact) -> dict[str, Any]:
    row = _times(asdict(each))
    row["logic"] = LOGIC.get(each.source_kind, "")
    return {key: value for key, value in row.items() if key not in ("options", "asserter", "may_correct", "may_remove")}


def _decisions(profile: Profile) -> list[ConsentEvent]:
    """Return the ledgers, each decision once: a merge copies those of the profile that is merged."""
    found = decisions_of(profile)
    copied = {event.copy_of for event in found if event.copy_of}
    return [event for event in found if event.pk not in copied]


def _decision(event: ConsentEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "purpose": event.purpose_id,
        "purpose_version": event.purpose_version,
        "action": event.action,
        "status": DPV.get(event.action, ""),
        "explicit": event.explicit,
        "at": iso(event.at),
        "method": event.method,
        "words": event.notice.body if event.notice else "",
        "evidence": event.evidence,
        "hash": event.hash,
    }


def _events(profile: Profile) -> Iterator[Event]:
    events = Event.objects.filter(profile_id=profile.pk).select_related("source").order_by("at", "id")
    return events.iterator(chunk_size=CHUNK)


def _event(event: Event) -> dict[str, Any]:
    return {
        "name": event.name,
        "type": event.type,
        "at": iso(event.at),
        "source": source_of(event),
        "properties": event.properties,
        "context": event.context,
        "message": event.message,
        "marks": event.marks,
    }


def _identities(profile: Profile) -> Iterator[dict[str, Any]]:
    for identity in profile.identities.order_by("first_seen_at"):
        yield {
            "provider": identity.provider,
            "user_id": identity.provider_user_id,
            "since": iso(identity.first_seen_at),
            "last_seen": iso(identity.last_seen_at),
            "answers": [
                {
                    "at": iso(answer.at),
                    "raw": answer.raw,
                    "asked": answer.scopes_asked,
                    "granted": answer.scopes_granted,
                    "refused": answer.scopes_refused,
                }
                for answer in identity.answers.order_by("id")
            ],
        }


def _times(row: dict[str, Any]) -> dict[str, Any]:
    return {key: iso(value) if isinstance(value, dt.datetime) else value for key, value in row.items()}
