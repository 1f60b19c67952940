"""The home folder: where it is, whether it holds an installation, and who may read it.

Read before Django is set up, so that a command in the wrong folder makes nothing there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from regulars.base.errors import Conflict, Invalid, NotFound

KEY, DATABASE, LOCK = "secret.key", "regulars.sqlite3", "lock"
WORKERS = "workers.lock"  # workers share it, a restore has it alone
UNFINISHED = "restore.unfinished"  # there from the first change of a restore to its end
OTHERS = 0o077  # what group and others may do


def home() -> Path:
    """Return `$REGULARS_HOME`, by default `./home`. It may not exist yet."""
    return Path(os.environ.get("REGULARS_HOME", "home")).resolve()


def database_url() -> str:
    return os.environ.get("DATABASE_URL", f"sqlite:///{home() / DATABASE}")


def sqlite_path(url: str) -> Path:
    """Return the file of `sqlite:////absolute/path` or `sqlite:///relative/path`."""
    path = urlsplit(url).path
    return Path(unquote(path[1:] if path.startswith("//") else path))


def require_installation(*, with_database: bool = True) -> None:
    """Refuse a folder that holds no installation. Makes nothing. Raises `NotFound("no_installation")`.

    PostgreSQL is not asked here: without tables its own error says that it is not set up.
    """
    has_key = bool(os.environ.get("REGULARS_SECRET_KEY")) or (home() / KEY).is_file()
    url = database_url()
    has_database = not url.startswith("sqlite:") or sqlite_path(url).is_file()
    if not has_key or (with_database and not has_database):
        raise NotFound(
            "no_installation",
            f"{home()} holds no installation. Set REGULARS_HOME to the folder of yours, or make one with `regulars setup`.",
        )


def refuse_unfinished_restore(path: Path) -> None:
    """Refuse to serve customers who were erased after the backup. Raises `Conflict("restore_unfinished")`."""
    if (path / UNFINISHED).exists():
        raise Conflict(
            "restore_unfinished",
            f"A restore in {path} is under way, or was stopped before its end. Run `regulars restore` again.",
        )


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock file, which ends with the process at the latest. Raises `Conflict("home_in_use")`."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                "home_in_use", f"Another Regulars uses {path.parent}. Stop it, or choose another folder."
            ) from None
        yield


def make_home(path: Path) -> None:
    """Make the home folder, or close one that exists: 700, and its files 600.

    Raises `Conflict("home_not_private")` for a folder that is open to others and is not Regulars' own.
    """
    os.umask(OTHERS)  # what this process and its children make is their owner's alone
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.is_dir():
        raise Invalid("bad_home", f"{path} is not a folder.")
    entries = list(path.iterdir())
    if path.stat().st_mode & OTHERS and not any((path / name).exists() for name in (KEY, DATABASE)):
        foreign = sorted(each.name for each in entries if each.name != LOCK)
        if foreign:  # closing it would lock out those whose files these are
            raise Conflict(
                "home_not_private",
                f"{path} is open to other users and holds other files ({foreign[0]}). Choose a folder of its own, or "
                f"close it: chmod 700 {path}",
            )
    for each in (path, *entries):
        close(each)


def close(path: Path) -> None:
    """Take a file or folder from group and others. Raises `Conflict("home_not_private")` when it is not ours to close."""
    if path.is_symlink() or not path.exists() or not path.stat().st_mode & OTHERS:
        return
    try:
        path.chmod(path.stat().st_mode & 0o7777 & ~OTHERS)
    except OSError as error:
        raise Conflict(
            "home_not_private", f"{path} is open to other users and cannot be closed: {error.strerror}."
        ) from None
