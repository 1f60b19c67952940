"""Regulars under load: one granian worker on the first core, on SQLite in a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import reserve_ports

ROOT = Path(__file__).parents[1]


@dataclass
class RegularsServer:
    """`said` is what the furnishing program printed."""

    port: int
    process: subprocess.Popen[bytes]
    said: str


@contextmanager
def regulars_server(home: Path, furnish: str, more: dict[str, str] | None = None) -> Iterator[RegularsServer]:
    """Set up, let the program `furnish` lay down what the benchmark needs, and serve. `more` goes into its environment."""
    port = reserve_ports()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_"))}
    environment = {
        **kept,
        "REGULARS_HOME": str(home),
        "REGULARS_URL": f"http://localhost:{port}",
        "DJANGO_SETTINGS_MODULE": "regulars.settings",
        **(more or {}),
    }
    set_up = [sys.executable, "-m", "regulars.cli.__main__", "setup", "--no-demo", "--port", str(port)]
    subprocess.run(set_up, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run(
        [sys.executable, "-c", furnish], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "--log-level", "warning"]
    command += ["--host", "127.0.0.1", "--port", str(port), "regulars.serving.asgi:application"]
    with running(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        wait(f"http://127.0.0.1:{port}/healthz", process)
        yield RegularsServer(port, process, made.stdout)


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program on the first core, ended in the end."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=on_core(0), **options)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def on_core(number: int) -> Callable[[], None] | None:
    """Server and load apart, where there are two cores to keep them apart on."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        return None
    return lambda: os.sched_setaffinity(0, {cores[number]})


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until the program answers there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args!r} ended before it was ready")
        if _answers(url):
            return
        time.sleep(0.1)
    sys.exit(f"{process.args!r} was not ready in time")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
