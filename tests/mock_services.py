"""The mock services of social networks, in a process of their own, once per worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import run_mock_service


@pytest.fixture(scope="session")
def mock_services() -> Iterator[str]:
    """Their address."""
    with run_mock_service("app", "localhost", MOCK_SERVICES_CALLBACK="http://localhost:8000/login/callback") as url:
        yield url
