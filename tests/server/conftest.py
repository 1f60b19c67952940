from __future__ import annotations

import pytest
from tests.live import own_database, regulars


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A Regulars without the demo, through its own command, on the database that the suite runs on."""
    with (
        own_database() as database_url,
        regulars(tmp_path_factory.mktemp("home"), "--no-demo", database_url=database_url) as running,
    ):
        yield running
