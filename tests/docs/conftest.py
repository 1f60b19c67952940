"""An installation as the documents describe it, and a shell in which their commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block
from tests.live import Live, own_database, regulars

SEPARATOR = "--- end of a block of the document ---"
PUBLIC = "https://login.shop.example"  # what the documents call the installation


@dataclass
class Reader:
    """Someone who follows the documents: a folder, an installation, and what stands for the placeholders."""

    live: Live
    folder: Path
    placeholders: Mapping[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    def text_of(self, block: Block) -> str:
        text = block.text
        for name, value in self.placeholders.items():
            text = text.replace(name, value)
        return text

    def run(self, blocks: Iterable[Block]) -> list[str]:
        """Run blocks of shell commands one after the other in one shell. Returns what each printed."""
        script = "set -euo pipefail\n" + "".join(f"{self.text_of(each)}\necho '{SEPARATOR}'\n" for each in blocks)
        ran = self._start(["bash", "-c", script])
        assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
        return ran.stdout.split(f"{SEPARATOR}\n")[:-1]

    def run_python(self, blocks: Iterable[Block]) -> str:
        """Run blocks of Python as one program. Returns what it printed."""
        ran = self._start([sys.executable, "-c", "\n".join(self.text_of(each) for each in blocks)])
        assert ran.returncode == 0, ran.stderr[-2000:]
        return ran.stdout

    def _start(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False, timeout=600
        )


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    home = folder / "srv" / "regulars"
    with (
        own_database() as database_url,
        regulars(home, "--no-demo", "--https", database_url=database_url) as live,
    ):
        yield _reader(live, folder)


def _reader(live: Live, folder: Path) -> Reader:
    (folder / "home").symlink_to(live.home)
    for name in ("src", "examples", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "backups").mkdir()
    keys = live.credentials
    authority = str(live.authority)
    named = re.findall(r"(\w+)=home/tls/authority\.pem", (ROOT / "README.md").read_text())  # what its reader sets
    trusting = dict.fromkeys(("CURL_CA_BUNDLE", *named), authority)
    path = os.pathsep.join([str(Path(sys.executable).parent), live.environment["PATH"]])
    return Reader(
        live,
        folder,
        {
            PUBLIC: live.url,
            "/srv/regulars": str(live.home),
            "/var/backups/regulars": str(folder / "backups"),
            "YOUR_WRITE_KEY": keys["collector"]["write_key"],
            "YOUR_CLIENT_ID": keys["management"]["client_id"],
            "YOUR_CLIENT_SECRET": keys["management"]["client_secret"],
        },
        {**live.environment, **trusting, "PATH": path},
    )
