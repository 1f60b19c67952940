"""The OpenAPI document is a contract: a change of it is visible in the diff.

Write the snapshot with `REGULARS_WRITE_OPENAPI=1 pytest tests/management_api/test_openapi.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("openapi.json")


def test_description_equals_the_snapshot(client):
    described = client.get("/api/openapi.json").json()
    if os.environ.get("REGULARS_WRITE_OPENAPI"):
        SNAPSHOT.write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")

    assert described == json.loads(SNAPSHOT.read_text())
