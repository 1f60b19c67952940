"""`DATABASE_URL` translated to Django settings, with the settings that durability depends on."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from regulars.base.db.write_ahead_log import LIMIT
from regulars.base.home_folder import sqlite_path

# By this name a restore finds out who else uses the database. PostgreSQL keeps 63 bytes.
APPLICATION = f"regulars {socket.gethostname()[:40]}:{os.getpid()}"
CONNECTION_SECONDS = 60  # how long a thread keeps a connection to SQLite; PostgreSQL has a pool


def database(url: str) -> dict[str, Any]:
    """Return the DATABASES entry of a URL such as `sqlite:////data/regulars.sqlite3` or `postgresql://user:password@host:port/name?host=/socket`."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return sqlite(sqlite_path(url))
    if parts.scheme in ("postgres", "postgresql"):
        return postgresql(url)
    raise ImproperlyConfigured(f"DATABASE_URL begins with {parts.scheme!r}; Regulars supports sqlite and postgresql.")


def sqlite(path: Path) -> dict[str, Any]:
    """Return the DATABASES entry of a SQLite file.

    WAL and synchronous=FULL: acknowledged writes survive a power cut. IMMEDIATE: a writer waits instead of failing late.
    secure_delete: no bytes of a deleted row stay in the file. journal_size_limit: the log that grew beside a long reader
    becomes small again. Each thread keeps its connection between requests, because
    a new one reads the whole schema, which costs more than most responses.
    """
    pragmas = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000; PRAGMA foreign_keys=ON; "
        f"PRAGMA secure_delete=ON; PRAGMA journal_size_limit={LIMIT};"
    )
    return {
        "ENGINE": "regulars.base.db.sqlite",
        "NAME": str(path),
        "CONN_MAX_AGE": CONNECTION_SECONDS,
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": pragmas},
        "TEST": {"NAME": str(path.with_name("test-" + path.name))},
    }


def postgresql(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": {
            **query,
            "application_name": APPLICATION,
            "pool": {"min_size": 1, "max_size": 16, "timeout": 20},
        },
    }
