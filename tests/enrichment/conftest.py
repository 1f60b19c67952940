from __future__ import annotations

from collections.abc import Iterator

import pytest

from regulars.consent.record import Decision, record
from regulars.enrichment.save import save_source
from regulars.profiles.learn import NewFact, learn
from tests.live import run_mock_service


@pytest.fixture(scope="session")
def bureau() -> Iterator[str]:
    """The mock service for the Census Bureau in a process and on a port of its own: its address."""
    with run_mock_service("census") as url:
        yield url


@pytest.fixture
def source_on(standard_setup):
    """Switch the census source on: `source_on(base_url, api_key="…")`."""

    def switch(base_url: str, **changes):
        settings = {"base_url": base_url, "api_key": "secret-key", **changes}
        return save_source("us-census-acs", settings)

    return switch


def lives_in(profile, postal_code: str, country: str = "US"):
    """Say where a customer lives, who allows look-ups."""
    record(profile, Decision("enrich", "given", "test"))
    return learn(
        profile,
        [
            NewFact("postal_code", postal_code, "declared", "test", basis="legitimate_interest", purpose="measure"),
            NewFact("country", country, "declared", "test", basis="legitimate_interest", purpose="measure"),
        ],
    )
