"""The mock services of social networks, in a process of their own, once per worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import stand_in


@pytest.fixture(scope="session")
def standins() -> Iterator[str]:
    """Their address."""
    with stand_in("app", "localhost", STANDINS_CALLBACK="http://localhost:8000/login/callback") as url:
        yield url
