"""A restore that is killed between any two steps serves no erased customer, and the next one comes to its end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.live import own_database
from tests.machines import Machine

ROOT = Path(__file__).parents[2]
SIGKILL = 9
CUSTOMERS = """
import django; django.setup()
from regulars.consent.record import Decision
from regulars.profiles.find import get_or_create_by_identity
from regulars.usecases.unit_of_work import changes
for name in ("chika", "dov"):
    profile, _ = get_or_create_by_identity("auth0", name + "0123456789")
    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "given", "login"))
"""
SINCE_THEN = """
import django; django.setup()
from regulars.consent.record import Decision
from regulars.profiles.models import Profile
from regulars.usecases.decide_consent import decide
from regulars.usecases.erase import erase_customer
decide(Profile.objects.get(user_id__startswith="auth0|dov"), Decision("personalise", "withdrawn", "profile"))
erase_customer(Profile.objects.get(user_id__startswith="auth0|chika"))
"""
NAMES = ["auth0|dov0123456789"]
STATES = {"personalise": "withdrawn"}
WITHOUT_MARK = {"unpacked", "version", "erasures listed", "decisions listed", "draft"}
IN_THE_DATABASE = {
    "marked", "exchanged", "half read", "loaded", "key", "credentials", "migrated", "erased again", "decided again",
    "lake emptied", "lake filled",
}  # fmt: skip

pytestmark = pytest.mark.own_database


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Kill a restore after each step → [step, signal, what is left, whether the next restore ended, what then is left]."""
    folder = tmp_path_factory.mktemp("killed")
    with own_database() as url, own_database() as pristine_url:
        machine = Machine(folder, **({"DATABASE_URL": url} if url else {}))
        machine.set_up("--port", "32700")
        machine.run(code=CUSTOMERS)
        machine.run("backup", folder / "yesterday.tar.gz")
        machine.run(code=SINCE_THEN)
        machine.list.unlink()  # the database alone knows of the erasure
        shutil.copytree(machine.home, folder / "pristine")
        names = []
        if url and pristine_url:
            names = [urlsplit(pristine_url).path[1:]]
            with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True) as admin:
                admin.execute(f'DROP DATABASE "{names[0]}"')
                admin.execute(f'CREATE DATABASE "{names[0]}" TEMPLATE "{urlsplit(url).path[1:]}"')
        words = ["-m", "tests.serving.killed_restore", folder / "yesterday.tar.gz", folder / "pristine", *names]
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            env=machine.environment, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        yield [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_restore_serves_what_was_before_or_nothing(rounds):
    assert len(rounds) > 12
    for step, ended, left, _, _ in rounds:
        assert ended == SIGKILL, step
        if step in WITHOUT_MARK:
            assert (left["names"], left["states"], left["faults"]) == (NAMES, STATES, []), step
        else:
            assert left["faults"] == ["restore_unfinished"], step


def test_database_of_a_killed_restore_says_so_without_its_home_folder(rounds):
    """On another machine, or copied into another home folder."""
    assert {step for step, _, left, _, _ in rounds if left["elsewhere"]} == IN_THE_DATABASE & {row[0] for row in rounds}


def test_next_restore_ends_and_leaves_no_copy(rounds):
    for step, _, left, healed, after in rounds:
        assert left["left"] != [], step  # the unpacked copy, at least
        assert healed == 0, step
        assert after == {"names": NAMES, "states": STATES, "faults": [], "elsewhere": False, "left": []}, step
