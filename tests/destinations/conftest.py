from __future__ import annotations

import datetime as dt

import pytest

from regulars.destinations.queue import MembershipChange, queue_changes
from regulars.destinations.save import save_destination

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)


@pytest.fixture
def to_webhook(standard_setup):
    """A webhook destination of the purpose `message` for the segment `jackets`."""

    def make(url: str, **changes):
        given = {"purpose": "message", "segment_slugs": ["jackets"], **changes}
        return save_destination("Shop", "webhook", {"url": url, "secret": SECRET}, **given)

    return make


def entered(segment: str = "jackets") -> MembershipChange:
    return MembershipChange(segment, segment.title(), entered=True, at=AT)


def queue_one(profile):
    (delivery,) = queue_changes(profile, [entered()])
    return delivery
