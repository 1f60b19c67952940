"""The home folder is private, holds one kind of installation, and no command makes one by accident."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from django.conf import settings as django_settings

from regulars.accounts.models import Account
from regulars.base.addresses import Addresses
from regulars.base.errors import Conflict, DomainError
from regulars.base.home_folder import make_home
from regulars.cli.__main__ import main
from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.operations.scratch import MANIFEST
from regulars.operations.setup import DEMO_STAFF, set_up

MAKING = {"start", "setup"}  # what may make an installation


def commands(group: click.Group = main, before: tuple[str, ...] = ()) -> Iterator[tuple[list[str], click.Command]]:
    """Yield the words of every command, and the command."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        elif name not in MAKING:
            yield [*before, name], command


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_", "LAKE_"))
    }
    command = [sys.executable, "-m", "regulars.cli.__main__", *words]
    return subprocess.run(
        command, env={**kept, **more}, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("words", "command"), list(commands()), ids=lambda given: " ".join(given) if isinstance(given, list) else ""
)
def test_no_command_makes_an_installation(tmp_path, monkeypatch, words, command):
    file = tmp_path.parent / f"{tmp_path.name}.file"
    file.write_bytes(b"anything")
    required = [each for each in command.params if each.required]
    values = [str(file) if isinstance(each.type, click.Path) and each.type.exists else "anything" for each in required]
    options = [option for each in required if (option := each.opts[0]).startswith("-")]
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("REGULARS_", "DATABASE_", "LAKE_")):
            monkeypatch.delenv(name)
    assert options == []  # otherwise they need their names before the values

    result = CliRunner().invoke(main, [*words, *values])

    assert result.exit_code == 1, result.output
    assert result.output.startswith("Error: ")
    assert f"{tmp_path}/home holds no installation" in result.output
    assert "(no_installation)" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["backup", "backup.tar.gz"], ["staff", "list"], ["worker"]], ids=" ".join)
def test_no_process_of_a_command_makes_an_installation(tmp_path, words):
    """As above, with everything that is imported at the start."""
    result = run(tmp_path, *words)

    assert result.returncode == 1
    assert f"{tmp_path}/home holds no installation" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "more",
    [
        {"REGULARS_SECRET_KEY": "only for tests"},
        {"REGULARS_HOME": "elsewhere"},
        {"DATABASE_URL": "sqlite:////tmp/nowhere/regulars.sqlite3", "REGULARS_SECRET_KEY": "only for tests"},
        {"DATABASE_URL": "postgresql://user@localhost/nothing"},  # without a key, nothing could be read there
    ],
)
def test_a_key_or_an_address_alone_is_no_installation(tmp_path, more):
    assert "(no_installation)" in run(tmp_path, "doctor", **more).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["staff", "--help"], ["staff", "add", "--help"]])
def test_help_needs_no_installation_and_makes_none(tmp_path, words):
    assert run(tmp_path, *words).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_empty_home_that_exists_becomes_private(tmp_path):
    tmp_path.chmod(0o777)

    make_home(tmp_path)

    assert mode(tmp_path) == 0o700


def test_home_of_an_installation_and_its_files_become_private(tmp_path):
    for name in ("secret.key", "regulars.sqlite3", "regulars.sqlite3-wal", "erasures.jsonl", "lake/x", "mail/y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(0o644)
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)

    make_home(tmp_path)

    assert mode(tmp_path) == 0o700
    assert {mode(path) for path in tmp_path.iterdir() if path.is_file()} == {0o600}
    assert {mode(path) for path in tmp_path.iterdir() if path.is_dir()} == {0o700}


def test_open_folder_of_others_is_refused_and_stays(tmp_path):
    (tmp_path / "photo.jpg").touch()
    tmp_path.chmod(0o755)

    with pytest.raises(Conflict) as raised:
        make_home(tmp_path)

    assert raised.value.code == "home_not_private"
    assert mode(tmp_path) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_home_of_another_user_is_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(0o755)
    code = f"from pathlib import Path; from regulars.base.home_folder import make_home; make_home(Path({str(home)!r}))"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}

    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")

    assert "cannot be closed" in result.stderr


def test_setup_closes_a_home_with_an_open_database(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    first = run(tmp_path, "setup")
    assert first.returncode == 0, first.stdout + first.stderr
    assert {mode(path) for path in home.iterdir() if path.is_file()} == {0o600}
    assert mode(home) == 0o700

    (home / "regulars.sqlite3").chmod(0o644)
    assert "(home_not_private)" in run(tmp_path, "doctor").stdout
    assert run(tmp_path, "setup").returncode == 0
    assert mode(home / "regulars.sqlite3") == 0o600
    assert "home_not_private" not in run(tmp_path, "doctor").stdout


@pytest.fixture
def own_home(settings, tmp_path):
    settings.HOME, settings.LAKE_URL, settings.DEMO_PEOPLE = tmp_path, str(tmp_path / "lake"), 3
    return tmp_path


def begin(*, demo: bool) -> None:
    django_settings.DEMO = demo
    set_up(Addresses.on_localhost(8000), demo=demo, report=lambda line: None)


def refused(*, demo: bool) -> str:
    with pytest.raises(DomainError) as raised:
        begin(demo=demo)
    return raised.value.code


@pytest.mark.django_db
def test_production_start_makes_no_example_app_and_the_demo_is_refused_over_it(own_home):
    begin(demo=False)

    assert [client.name for client in Client.objects.all()] == ["Management"]
    assert "localhost:8001" not in "".join(str(each) for each in Client.objects.values())
    assert "shop" not in (own_home / "credentials.json").read_text()
    assert list(Connection.objects.filter(enabled=True).values_list("strategy", flat=True)) == ["auth0"]
    assert refused(demo=True) == "not_a_demo_home"
    assert not Account.objects.filter(email=DEMO_STAFF).exists()
    begin(demo=False)


@pytest.mark.django_db
def test_setup_removes_copies_that_a_killed_restore_left_and_no_other_folder(own_home):
    for name in (".regulars-a1.copy", ".regulars-held.copy", "tmpa1b2c3", "tmp-of-others"):
        (own_home / name).mkdir()
    (own_home / "tmpa1b2c3" / MANIFEST).touch()  # as versions before made them
    (own_home / "secret.key.new").touch()
    descriptor = os.open(own_home / ".regulars-held.copy", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    begin(demo=False)

    os.close(descriptor)
    kept = {path.name for path in own_home.iterdir()}
    assert kept >= {".regulars-held.copy", "tmp-of-others"}
    assert not kept & {".regulars-a1.copy", "tmpa1b2c3", "secret.key.new"}


@pytest.mark.django_db(transaction=True)
def test_production_start_over_a_demo_is_refused_by_name(own_home):
    begin(demo=True)
    before = Client.objects.count()

    assert refused(demo=False) == "demo_home"
    assert Client.objects.count() == before
    begin(demo=True)


@pytest.mark.django_db
def test_demo_that_was_not_finished_is_a_demo(own_home):
    begin(demo=False)
    Account.objects.filter(is_staff=True).update(email=DEMO_STAFF)

    assert refused(demo=False) == "demo_home"
