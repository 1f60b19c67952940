"""The size of SQLite's write-ahead log (the file `-wal` beside the database).

Pages go from the log into the database at every thousand, and the log begins anew when no one reads an older state: it
grows as long as one reader is open, or as readers follow each other without a gap. PostgreSQL looks after its own.
"""

from __future__ import annotations

from pathlib import Path

from django.db import connection

LIMIT = 64 * 2**20  # bytes; what is over it goes from the disk once it is in the database
TOO_LARGE = 1024 * 2**20  # bytes; over it a program reads an old state and does not end
WRITERS_WAIT = 1000  # milliseconds, for readers
USUAL = 20_000  # as settings.database says it


def log_file() -> Path | None:
    """Return the file; None on PostgreSQL."""
    if connection.vendor != "sqlite":
        return None
    name = Path(str(connection.settings_dict["NAME"]))
    return name.with_name(name.name + "-wal")


def log_bytes() -> int:
    """Return the size of the log; 0 when there is none."""
    path = log_file()
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


def shorten_log() -> bool:
    """Empty a log that is over its limit, unless a program reads an older state for longer. Returns whether it is in order.

    Ordinary writes only begin the log anew between two readers; here new readers wait a moment for the gap.
    """
    if log_bytes() <= LIMIT:
        return True
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout={WRITERS_WAIT}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy = cursor.fetchone()[0]
        finally:
            cursor.execute(f"PRAGMA busy_timeout={USUAL}")
    return not is_busy
