"""Caches of configuration in a process, exact in every process: a change empties them in the transaction that makes it.

A request reads the version once, by one primary key, at its first use of any cache. What it loads is kept under that
version, so an entry that was loaded before a change is never used after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.http import HttpRequest, HttpResponse

from .models import ConfigurationVersion, versioned_models

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
MOST_ENTRIES = 1000

_SQL = f'SELECT number FROM "{ConfigurationVersion._meta.db_table}" WHERE id = 1'  # noqa: S608 - a name of our own


def _read_version() -> int | None:
    """Read by the driver itself: Django's cursor would cost four times the query, in every request."""
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    with database.wrap_database_errors:
        row = database.connection.execute(_SQL).fetchone()
    return row[0] if row else None


class _Scope(threading.local):
    """The version as this thread's request has read it: None outside requests, empty before the first reading."""

    read: list[int | None] | None = None


_scope = _Scope()


@contextmanager
def one_version() -> Iterator[None]:
    """Read the version once in this block. A change that the block itself makes is seen after it."""
    around, _scope.read = _scope.read, []
    try:
        yield
    finally:
        _scope.read = around


def one_version_per_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. A streamed body comes after it, and reads the version at each use."""

    def respond(request: HttpRequest) -> HttpResponse:
        with one_version():
            return get_response(request)

    return respond


def current_version() -> int | None:
    """Return the version of the configuration, or None before the first change of any."""
    read = _scope.read
    if read is None:
        return _read_version()
    if not read:
        read.append(_read_version())
    return read[0]


class _Kept(NamedTuple, Generic[K, T]):
    version: int | None
    found: dict[K, T | None]


class VersionedCache(Generic[K, T]):
    """Results of `load`, which reads rows of the `models` only. `absent`: a key without a result is cached too."""

    def __init__(
        self,
        load: Callable[[K], T | None],
        *reads: type[models.Model],
        most: int = MOST_ENTRIES,
        absent: bool = False,
    ) -> None:
        unversioned = [model.__name__ for model in reads if model not in versioned_models]
        assert not unversioned, f"changes of these models make no new version: {unversioned}"
        self.reads = reads
        self._load = load
        self._most = most
        self._absent = absent
        self._kept: _Kept[K, T] = _Kept(None, {})
        self._lock = threading.Lock()

    def __call__(self, key: K) -> T | None:
        version, kept = current_version(), self._kept
        if version == kept.version and key in kept.found:
            return kept.found[key]
        found = self._load(key)
        if version is not None and (found is not None or self._absent):
            # After the commit: what this transaction has written and may roll back is no configuration yet.
            transaction.on_commit(lambda: self._keep(version, key, found))
        return found

    def _keep(self, version: int, key: K, found: T | None) -> None:
        with self._lock:
            if self._kept.version != version or len(self._kept.found) >= self._most:
                self._kept = _Kept(version, {})
            self._kept.found[key] = found
