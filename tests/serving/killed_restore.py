"""Kill a restore between every two steps, each in a process of its own, and print what is left and how it heals.

python -m tests.serving.killed_restore ARCHIVE PRISTINE [PRISTINE_DATABASE], in the environment of an installation, which is
replaced by the pristine one for each step.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import django
import psycopg

django.setup()

from django.conf import settings  # noqa: E402 - after set-up, as are models
from django.db import connection  # noqa: E402
from tests.serving.killing import forked  # noqa: E402

from regulars.base.db import usable_database  # noqa: E402
from regulars.operations import backup, scratch  # noqa: E402
from regulars.profiles.models import Profile  # noqa: E402
from regulars.serving.readiness import restore_faults  # noqa: E402
from regulars.usecases import lake  # noqa: E402

STEPS: dict[str, tuple[Any, str, int]] = {  # step → what is called last before the kill: module, name, which call
    "unpacked": (backup, "_unpack", 1),
    "version": (backup, "_refuse_newer", 1),
    "erasures listed": (backup, "keep_listed", 1),
    "decisions listed": (backup, "keep_lines", 1),
    "draft": (shutil, "copyfile", 1),  # SQLite
    "marked": (backup, "_refuse_others", 2),  # PostgreSQL
    "log removed": (Path, "unlink", 1),  # SQLite
    "exchanged": (Path, "replace", 1),  # SQLite
    "half read": (shutil, "copyfileobj", -1),  # PostgreSQL
    "loaded": (backup, "_load_postgresql", 1),  # PostgreSQL
    "key": (backup, "_put", 1),
    "credentials": (backup, "_put", 2),
    "migrated": (backup, "call_command", 1),
    "erased again": (backup, "replay_erasures", 1),
    "decided again": (backup, "replay_journal", 1),
    "lake emptied": (lake, "clear", 1),
    "lake filled": (backup, "refill_lake", 1),
    "marked whole": (backup, "mark_whole", 1),
}
OF = {
    "sqlite": {"draft", "log removed", "exchanged"},
    "postgresql": {"marked", "half read", "loaded"},
}


def killed_after(owner: Any, name: str, number: int) -> None:
    original, calls = getattr(owner, name), []

    def call(*arguments: Any, **options: Any) -> Any:
        if name == "copyfileobj":
            arguments[1].write(arguments[0].read(200_000))
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, call)


def state() -> dict[str, Any]:
    dov = Profile.objects.filter(user_id__startswith="auth0|dov").first()
    return {
        "names": sorted(Profile.objects.values_list("user_id", flat=True)),
        "states": dict(dov.consent_states.order_by("purpose").values_list("purpose", "status")) if dov else {},
        "faults": [fault.code for fault in restore_faults()],
        "elsewhere": usable_database.is_half_restored(),
        "left": [path.name for path in scratch.leftovers_of_restore()],
    }


def seen(path: Path) -> dict[str, Any]:
    """Return the state of the installation as another process finds it."""
    assert forked(lambda: path.write_text(json.dumps(state()))) == 0
    return json.loads(path.read_text())


def heal(archive: Path) -> None:
    list(backup.restore_backup(archive))
    assert all(table.agrees for table in lake.compare_lake())


def reset(pristine: Path, database: str) -> None:
    shutil.rmtree(settings.HOME)
    shutil.copytree(pristine, settings.HOME)
    if database:
        configured = connection.settings_dict
        with psycopg.connect(
            host=configured["HOST"], user=configured["USER"], dbname="postgres", autocommit=True
        ) as admin:
            admin.execute(f'DROP DATABASE "{configured["NAME"]}" WITH (FORCE)')
            admin.execute(f'CREATE DATABASE "{configured["NAME"]}" TEMPLATE "{database}"')


def main(archive: Path, pristine: Path, database: str = "") -> None:
    others = OF["sqlite" if connection.vendor == "postgresql" else "postgresql"]
    for step, (owner, name, number) in STEPS.items():
        if step in others:
            continue
        reset(pristine, database)

        def stop(owner: Any = owner, name: str = name, number: int = number) -> None:
            killed_after(owner, name, number)
            list(backup.restore_backup(archive))

        ended = forked(stop)
        after = seen(settings.HOME.parent / "after.json")
        healed = forked(lambda: heal(archive))
        healed_to = seen(settings.HOME.parent / "healed.json")
        sys.stdout.write(json.dumps([step, ended, after, healed, healed_to]) + "\n")


if __name__ == "__main__":
    _archive, _pristine, *_database = sys.argv[1:]
    main(Path(_archive), Path(_pristine), *_database)
