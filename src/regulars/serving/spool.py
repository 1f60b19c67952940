"""Bodies between the event loop and Django's threads: in memory while small, in a temporary file beyond.

Clients are as slow as they like on one side of a spool, and no thread waits for them on the other.
Python's `SpooledTemporaryFile` does the same, but takes longer to create than most requests to read.
"""

from __future__ import annotations

import asyncio
import os
import threading
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Self, cast

IN_MEMORY = 256 * 1024  # bytes of a body before it goes to a temporary file
MAX_STREAM = 1024 * 1024 * 1024  # bytes of a streamed response that wait for their reader


class Spool:
    """A body that is written once, from the start to its end."""

    def __init__(self) -> None:
        self.file: IO[bytes] = BytesIO()
        self.length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, piece: bytes) -> None:
        if self.length <= IN_MEMORY < self.length + len(piece):
            small, self.file = self.file, TemporaryFile()  # noqa: SIM115 - closed with the body
            self.file.write(cast("BytesIO", small).getvalue())
        self.file.write(piece)
        self.length += len(piece)


class ReaderGoneError(Exception):
    """The stream is not read any more: its writer may stop."""


class StreamTooLongError(Exception):
    """More of a stream waits for its reader than may."""


class ResponseSpool:
    """A streamed response: a thread writes it at its own speed, the event loop reads it at the client's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._spool = Spool()
        self._read = 0  # bytes
        self._ended = False
        self._failed = False
        self._reader_gone = False
        self._news = asyncio.Event()

    def write(self, chunk: bytes) -> None:
        """Append, in the thread. Raises `ReaderGoneError` and `StreamTooLongError`."""
        with self._lock:
            if self._reader_gone:
                raise ReaderGoneError
            if self._spool.length - self._read > MAX_STREAM:
                raise StreamTooLongError(f"More than {MAX_STREAM:,} bytes wait for their reader.")
            self._spool.write(chunk)
        self._loop.call_soon_threadsafe(self._news.set)

    def end(self, *, failed: bool) -> None:
        """Say, in the thread, that nothing comes any more."""
        with self._lock:
            self._ended, self._failed = True, failed
        self._loop.call_soon_threadsafe(self._news.set)

    async def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end. Raises `EOFError` when the writer failed."""
        while True:
            self._news.clear()
            with self._lock:
                chunk = self._at(self._read, size)
                ended, failed = self._ended, self._failed
                self._read += len(chunk)
            if chunk or (ended and not failed):
                return chunk
            if failed:
                raise EOFError
            await self._news.wait()

    def close(self) -> None:
        """Say, in the loop, that the stream is not read on, and give the memory back."""
        with self._lock:
            self._reader_gone = True
            self._spool.file.close()

    def _at(self, position: int, size: int) -> bytes:
        file = self._spool.file
        if isinstance(file, BytesIO):
            return bytes(file.getbuffer()[position : position + size])
        file.flush()
        return os.pread(file.fileno(), size, position)
