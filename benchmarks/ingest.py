"""How much keeping costs: our collector, which answers once events are on disk, against a handler that only parses.

One granian worker, SQLite with a real fsync per commit, batches of 100 events over 16 connections from another process.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import reserve_ports

from benchmarks._run import in_turns, is_quick, tell

WORDS = "{ours:,.0f} events/s kept on disk / {theirs:,.0f} events/s only parsed, batches of 100"


def main() -> None:
    seconds, rounds = (3, 3) if is_quick() else (6, 5)
    with collector() as (port, key):

        def events_per_second(path: str) -> float:
            load = [sys.executable, "-m", "benchmarks._load", str(port), path, key, str(seconds)]
            return float(subprocess.run(load, check=True, capture_output=True, text=True).stdout)

        events_per_second("/parse")  # warm
        ours, theirs = in_turns(lambda: events_per_second("/v1/batch"), lambda: events_per_second("/parse"), rounds)
    tell("ingest", ours, theirs, WORDS)


@contextmanager
def collector() -> Iterator[tuple[int, str]]:
    """(port, write key) of a collector with a home of its own, on the disk that holds this installation: the folder for
    temporary files may be memory, where an fsync costs nothing."""
    with tempfile.TemporaryDirectory(dir=sys.prefix, prefix="bench-") as home:
        http_calls = {
            name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_"))
        }
        environment = {**http_calls, "REGULARS_HOME": home, "REGULARS_LOG_LEVEL": "WARNING"}
        subprocess.run([sys.executable, "-m", "regulars.cli.__main__", "setup"], env=environment, check=True)
        key = json.loads((Path(home) / "credentials.json").read_text())["collector"]["write_key"]
        port = reserve_ports()
        serve = ["granian", "--interface", "asgi", "--no-ws", "--log-level", "warning", "--port", str(port)]
        command = [sys.executable, "-m", *serve, "benchmarks._ingest_app:application"]
        process = subprocess.Popen(command, env=environment)
        try:
            wait_for(port, process)
            yield port, key
        finally:
            process.terminate()
            process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("The collector did not start.")


if __name__ == "__main__":
    main()
