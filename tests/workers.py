"""Which tests run in one worker when several work at once, and which begin."""

from __future__ import annotations

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# The tests of these folders share a server of their folder, which takes long to start; those of another file share, at
# most, what the file itself starts.
SHARING = ("tests/browser/", "tests/sdk/")
# What starts servers comes first, the longest before the others: whatever is left at the end is small, and the workers
# end together.
FIRST = ("tests/browser/", "tests/server/test_demo.py", "tests/sdk/", "tests/server/", "tests/oidc/test_races.py")


class OneServerEach(LoadScopeScheduling):
    """A file, or a folder that shares a server, goes to one worker as a whole.

    By its place, not by xdist's `--dist loadgroup`: with pytest 9.2 that lets every test go anywhere, and each worker
    starts every server (pytest-xdist issue 1386).
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # xdist would begin with whoever has most tests, however short they are

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """What must stay together with this test: its file, or its folder."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in SHARING if file.startswith(folder)), file)


def longest_first(items: list[pytest.Item]) -> None:
    """Put what takes long before the rest, each in the order it had."""
    items.sort(key=lambda item: next((place for place, start in enumerate(FIRST) if item.nodeid.startswith(start)), 99))


def once_in_a_run(what: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fail when another worker of this run came here with the same words: an expensive server is started a second time."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    shared = tmp_path_factory.getbasetemp().parent  # of all workers of one run
    try:
        (shared / f"{what}-started").touch(exist_ok=False)
    except FileExistsError:
        raise AssertionError(f"Two workers started {what}: see tests/workers.py.") from None
