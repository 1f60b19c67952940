"""On a full or read-only disk, and with a damaged database, every command says so in one line with a code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tables import copy_tables

ROOT = Path(__file__).parents[2]
# Commands that write, and one that only looks.
COMMANDS = (
    "setup",
    "doctor",
    "keys rotate --at-once",
    "staff add bruno@example.com",
    "retention inbox 7",
    "lake refill",
    "consent verify",
    "backup {home}/backup.tar.gz",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The home of an installation on a good disk."""
    home = tmp_path_factory.mktemp("good") / "home"
    copy_tables(home)
    done = run(home, "setup")
    assert done.returncode == 0, done.stdout + done.stderr
    return home


@pytest.fixture
def home(installed, tmp_path) -> Path:
    return Path(shutil.copytree(installed, tmp_path / "home", symlinks=True))


def environment(home: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_", "LAKE_"))
    }
    return {**kept, "REGULARS_HOME": str(home), "DJANGO_SETTINGS_MODULE": "regulars.settings"}


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "regulars.cli.__main__", *words]
    return subprocess.run(
        command, env=environment(home), cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )


def on_disk(home: Path, prepare: str) -> dict[str, str]:
    """Return command → output, in a mount namespace of its own where `prepare` changes the disk of the home.

    So the kernel says what it says on such a disk.
    """
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("this machine allows no mounts in a namespace")
    commands = "\n".join(
        f"echo '### {words}'; {sys.executable} -m regulars.cli.__main__ {words.format(home=home)} 2>&1; echo \"exit $?\""
        for words in COMMANDS
    )
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"set -e\n{prepare}\nset +e\n{commands}"],
        env=environment(home),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.stdout.startswith("### "), result.stderr
    parts = re.split(r"^### (.*)\n", result.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def code_of(output: str) -> str:
    """Return the code of a command that failed in one line."""
    lines = output.strip().splitlines()
    assert lines[-1] == "exit 1", output
    assert "Traceback" not in output
    assert len([line for line in lines if line.startswith("Error: ")]) == 1, output
    return lines[-2].rpartition("(")[2].rstrip(")")


@pytest.mark.server
def test_read_only_home_is_named_by_every_command(home):
    outputs = on_disk(home, f"mount --bind {home} {home}\nmount -o remount,ro,bind {home}")

    doctor = outputs.pop("doctor")
    assert "(read_only)" in doctor
    assert "Traceback" not in doctor
    assert doctor.endswith("exit 1\n")
    codes = {words: code_of(output) for words, output in outputs.items()}
    assert set(codes.values()) <= {"read_only", "database_read_only", "database_unreachable"}, codes


@pytest.mark.server
def test_full_disk_is_named_by_every_command_that_writes(home, tmp_path):
    """A disk of 40 MB is filled to the last byte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    outputs = on_disk(
        home,
        f"mount -t tmpfs -o size=40m none {disk}\ncp -a {home}/. {disk}/\nmount --bind {disk} {home}\n"
        f"dd if=/dev/zero of={home}/filler bs=4k 2>/dev/null || true",
    )

    doctor = outputs.pop("doctor")
    assert "(disk_full)" in doctor
    assert "Traceback" not in doctor
    assert doctor.endswith("exit 1\n")
    outputs.pop("consent verify")  # only reads
    codes = {words: code_of(output) for words, output in outputs.items()}
    assert set(codes.values()) <= {"disk_full", "database_unreachable"}, codes


@pytest.mark.parametrize("damage", [b"garbage" * 1000, b""])
def test_damaged_database_is_named(home, damage):
    for name in ("regulars.sqlite3-wal", "regulars.sqlite3-shm"):
        (home / name).unlink(missing_ok=True)
    (home / "regulars.sqlite3").write_bytes(damage)

    outputs = {words: run(home, *words.split()) for words in ("doctor", "staff list", f"backup {home}/backup.tar.gz")}

    for words, result in outputs.items():
        assert result.returncode == 1, words
        assert "Traceback" not in result.stderr, words
        assert (
            "(database_damaged)" in result.stdout + result.stderr or "(not_set_up)" in result.stdout + result.stderr
        ), words
    assert not (home / "backup.tar.gz").exists()
    assert not (home / "backup.tar.gz.part").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("REGULARS_TRUST_PROXY", "one"), ("REGULARS_DEMO_PEOPLE", "many"), ("DATABASE_URL", "mysql://x/y")],
)
def test_wrong_setting_is_named(home, name, value):
    command = [sys.executable, "-m", "regulars.cli.__main__", "staff", "list"]
    more = {**environment(home), name: value}

    result = subprocess.run(command, env=more, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)

    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert "(bad_configuration)" in result.stderr
    assert value.partition(":")[0] in result.stderr


def test_backup_into_a_folder_that_does_not_exist_is_named(home):
    result = run(home, "backup", str(home / "missing" / "backup.tar.gz"))

    assert result.returncode == 1
    assert "(file_not_found)" in result.stderr
    assert "Traceback" not in result.stderr
