"""A segment of customers in France, and a webhook that follows it."""

from __future__ import annotations

import pytest

from regulars.destinations.models import Destination
from regulars.destinations.save import save_destination
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.segments.models import Segment
from regulars.segments.save import save_segment
from regulars.usecases.unit_of_work import changes

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def french(standard_setup) -> Segment:
    return save_segment("French", "country:FR", "message")


def tell(url: str) -> Destination:
    settings = {"url": url, "secret": SECRET}
    return save_destination("Shop", "webhook", settings, purpose="message", segment_slugs=["french"])


def learns(profile: Profile, country: str) -> None:
    with changes(profile, "test") as c:
        c.learn([NewFact("country", country, "declared", "test")])
