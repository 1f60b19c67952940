"""This process as an installation of its own, for what is measured without a server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ports import reserve_ports

ROOT = Path(__file__).parents[1]


def set_up_home(home: Path) -> None:
    """Settings and database as a first start lays them down, in `home`. Import what needs Django after this."""
    for name in [name for name in os.environ if name.startswith(("REGULARS_", "DATABASE_"))]:
        del os.environ[name]
    os.environ |= {"REGULARS_HOME": str(home), "DJANGO_SETTINGS_MODULE": "regulars.settings"}
    command = [sys.executable, "-m", "regulars.cli.__main__", "setup", "--no-demo", "--port", str(reserve_ports())]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    import django

    django.setup()
