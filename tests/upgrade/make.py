"""Write the database that upgrade tests start from: `python -m tests.upgrade.make NAME`.

A small demo installation of the state that is checked out now, as SQL. Add one when a release changes the schema; never
rewrite an older one, because installations of its state exist.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SECRET_KEY = "only for tests"  # the dump holds values encrypted with it
PEOPLE = "25"


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "REGULARS_HOME": home,
            "REGULARS_SECRET_KEY": SECRET_KEY,
            "REGULARS_DEMO": "1",
            "REGULARS_DEMO_PEOPLE": PEOPLE,
        }
        subprocess.run([sys.executable, "-m", "regulars.cli", "setup", "--demo"], env=environment, check=True)
        with sqlite3.connect(f"{home}/regulars.sqlite3") as database:
            dump = "\n".join(database.iterdump())
    target = HERE / f"{name}.sql.gz"
    target.write_bytes(gzip.compress(dump.encode(), 9, mtime=0))
    print(f"{target}: {target.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
