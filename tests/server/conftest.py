from __future__ import annotations

import pytest
from tests.live import own_database, regulars


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A server without the demo, started by its command, on the database of the suite."""
    with (
        own_database() as database_url,
        regulars(tmp_path_factory.mktemp("home"), "--no-demo", database_url=database_url) as running,
    ):
        yield running
