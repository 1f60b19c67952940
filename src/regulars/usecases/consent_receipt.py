"""A consent record as a receipt in the terms of ISO/IEC TS 27560:2023: header, processing, parties, events."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from django.conf import settings

from regulars.base.errors import NotFound
from regulars.consent.fold import PIECES, YES
from regulars.consent.models import ConsentEvent, Purpose
from regulars.profiles.document import iso
from regulars.profiles.models import Profile

SCHEMA_VERSION = "ISO/IEC TS 27560:2023"
CONTROLLER = "controller"  # its `party_id`
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class ConsentRecord:
    """One decision with what was recorded of it, and the decisions on the same purpose that followed, until the next yes."""

    event: ConsentEvent
    later: tuple[ConsentEvent, ...]

    @property
    def controller(self) -> str:
        """The controller at that time; of a decision without one, the controller of now."""
        return str(self.event.evidence.get("controller") or settings.CONTROLLER)

    @property
    def page(self) -> str:
        return str(self.event.evidence.get("page") or self.event.evidence.get("source") or "")

    @property
    def recipients(self) -> list[str]:
        """Those that stood beside the words."""
        return [str(each) for each in self.event.notice.recipients] if self.event.notice else []

    @property
    def categories(self) -> list[str]:
        return [str(each) for each in self.event.evidence.get("categories", [])]

    @property
    def pieces(self) -> list[str]:
        """What was asked about; none of a decision on the whole purpose."""
        return [str(each) for each in self.event.evidence.get(PIECES, [])]

    @property
    def words(self) -> str:
        return self.event.notice.body if self.event.notice else ""

    @property
    def locale(self) -> str:
        return self.event.notice.locale if self.event.notice else "en"


def find_record(profile: Profile, number: int) -> ConsentRecord:
    """Return the record of one decision of this customer. Raises `NotFound("unknown_decision")`."""
    event = profile.consent_events.select_related("purpose", "notice").filter(pk=number).first()
    if event is None:
        raise NotFound("unknown_decision", "There is no such decision.")
    after = profile.consent_events.filter(purpose=event.purpose_id, pk__gt=event.pk).order_by("pk")
    return ConsentRecord(event, tuple(takewhile(lambda each: each.action not in YES, after)))


def receipt(record: ConsentRecord) -> dict[str, Any]:
    """Return the receipt. The names are those of the specification; what Regulars does not know is left out."""
    event, purpose = record.event, record.event.purpose
    days = purpose.expires_days
    parties = [
        {
            "party_id": CONTROLLER,
            "party_name": record.controller,
            "party_role": "PII controller",
            "party_url": settings.PUBLIC_URL,
        }
    ]
    parties += [
        {"party_id": f"recipient-{number}", "party_name": name, "party_role": "Third party"}
        for number, name in enumerate(record.recipients, start=1)
    ]
    return {
        "record": {
            "schema_version": SCHEMA_VERSION,
            "record_id": event.hash,
            "pii_principal_id": event.profile.user_id,
        },
        "pii_processing": {
            "privacy_notice": record.words,
            "language": record.locale,
            "purposes": [
                {
                    "purpose": purpose.label,
                    "purpose_type": purpose.kind,
                    "purpose_version": event.purpose_version,
                    "lawful_basis": Purpose.Basis(purpose.basis).value,
                    "pii_information": [{"pii_type": each} for each in record.categories],
                    "pii_controllers": [CONTROLLER],
                    "collection_method": [event.method],
                    "storage_locations": [settings.PUBLIC_URL],
                    "retention_period": days * SECONDS_A_DAY if days else "until withdrawn",
                    "recipient_third_parties": [each["party_id"] for each in parties[1:]],
                    "withdrawal_method": f"{settings.PUBLIC_URL}/me#purposes",
                    "privacy_rights_reference": [f"{settings.PUBLIC_URL}/me"],
                }
            ],
        },
        "party_identification": parties,
        "event": [_event(each, days if each is event else None) for each in (event, *record.later)],
    }


def _event(event: ConsentEvent, days: int | None) -> dict[str, Any]:
    return {
        "event_time": iso(event.at),
        "duration": str(days * SECONDS_A_DAY if days and event.action in YES else 0),
        "entity_id": event.actor if event.actor != "customer" else event.profile.user_id,
        "type": "explicit" if event.explicit else "regular",
        "state": event.action,
        "method": event.method,
        "evidence": event.evidence,
    }
