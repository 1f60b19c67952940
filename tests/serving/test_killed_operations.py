"""kill -9 between any two steps of an operation locks no one out, loses no mail and sends none twice as two.

`steps_of_operations` says what is left at each step and how it heals; `running.md` has the same table.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.live import own_database
from tests.machines import Machine
from tests.serving.steps_of_operations import STEPS, rows

ROOT = Path(__file__).parents[2]
SIGKILL = 9


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> dict[str, list[list]]:
    """Kill each operation before each of its steps → operation: [step (0: none), signal, what is wrong afterwards]."""
    with own_database() as url:
        machine = Machine(tmp_path_factory.mktemp("killed"), **({"DATABASE_URL": url} if url else {}))
        machine.set_up("--port", "32700")
        done = subprocess.run(
            [sys.executable, "-m", "tests.serving.killed_operations"],
            env=machine.environment, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False,
        )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    found: dict[str, list[list]] = {name: [] for name in STEPS}
    for name, *row in map(json.loads, done.stdout.splitlines()):
        found[name].append(row)
    return found


@pytest.mark.own_database
@pytest.mark.any_database
@pytest.mark.long
@pytest.mark.parametrize("name", STEPS)
def test_operation_killed_at_any_step_heals(killed, name):
    *rounds, (_, steps) = killed[name]
    marks = [mark for step in STEPS[name][1] for mark in step.marks]

    assert [(number, ended) for number, ended, _ in rounds] == [(0, 0), *((n + 1, SIGKILL) for n in range(len(steps)))]
    assert [(number, wrong) for number, _, wrong in rounds if wrong] == []
    assert [mark in step for mark, step in zip(marks, steps, strict=True)] == [True] * len(marks), steps


def test_document_has_the_steps():
    assert "\n".join(rows()) in (ROOT / "docs/operator/running.md").read_text()
