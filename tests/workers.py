"""Scheduling of tests over xdist workers: what stays together and what starts first."""

from __future__ import annotations

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# The tests of these folders share a server that is slow to start; other tests share at most what their file starts.
SHARING = ("tests/browser/", "tests/sdk/", "tests/races/")
# Tests that start servers run first, the longest before the others, so that the workers end together.
FIRST = (
    "tests/browser/",
    "tests/serving/test_restore.py",
    "tests/server/test_demo.py",
    "tests/sdk/",
    "tests/serving/test_backup.py",
    "tests/serving/test_killed_restore.py",
    "tests/server/",
    "tests/races/",
    "tests/oidc/test_races.py",
)


class OneServerEach(LoadScopeScheduling):
    """Sends a file, or a folder that shares a server, to one worker.

    By path, not by xdist's `--dist loadgroup`: with pytest 9.2 that lets every test go anywhere, and each worker
    starts every server (pytest-xdist issue 1386).
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # xdist would start with the scope of most tests, however short they are

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """Return the file or folder that stays together with this test."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in SHARING if file.startswith(folder)), file)


def longest_first(items: list[pytest.Item]) -> None:
    """Sort long tests before the others, with a stable order."""
    items.sort(key=lambda item: next((place for place, start in enumerate(FIRST) if item.nodeid.startswith(start)), 99))


def once_in_a_run(what: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fail when another worker of this run started the same expensive server."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    shared = tmp_path_factory.getbasetemp().parent  # of all workers of one run
    try:
        (shared / f"{what}-started").touch(exist_ok=False)
    except FileExistsError:
        raise AssertionError(f"Two workers started {what}: see tests/workers.py.") from None
