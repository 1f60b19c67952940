"""The published description is a contract: a change of it is seen in the diff.

Write it anew with `REGULARS_WRITE_OPENAPI=1 pytest tests/management_api/test_openapi.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("openapi.json")


def test_the_description_is_the_one_we_promised(client):
    described = client.get("/api/openapi.json").json()
    if os.environ.get("REGULARS_WRITE_OPENAPI"):
        SNAPSHOT.write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")

    assert described == json.loads(SNAPSHOT.read_text())
