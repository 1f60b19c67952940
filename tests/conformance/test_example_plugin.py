"""The example plug-in is found by its entry point alone, and works."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"


@pytest.fixture
def installed(tmp_path):
    """The package as an installer writes it (code beside metadata), without a request to a registry."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    (tmp_path / "regulars_chat").symlink_to(PLUGIN / "src" / "regulars_chat")
    metadata = tmp_path / f"regulars_chat-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    return {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}


def test_example_plugin_passes_its_tests_and_the_conformance_suite(installed):
    suites = ["examples/plugin/tests", "tests/conformance/test_destination_kinds.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *suites]
    done = subprocess.run(command, cwd=ROOT, env=installed, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_message_that_cannot_arrive_raises_send_failed[chat]" in done.stdout
