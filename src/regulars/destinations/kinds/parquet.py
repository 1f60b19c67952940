"""Parquet files for a warehouse, in the exports folder or in an S3-compatible bucket.

One file per message, named by its id: a message sent again replaces its file, and readers take the folder as one table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings as django_settings
from pyarrow import fs

from regulars.base import http
from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address, host_of

from ..kind import DeletionRequest, DestinationKind, FieldUpdate, SegmentMessage, SendFailed, SettingField
from .csv_file import updated_traits

SCHEMA = pa.schema(
    [
        ("message_id", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("type", pa.string()),
        ("user_id", pa.string()),
        ("segment", pa.string()),
        ("segment_name", pa.string()),
        ("traits", pa.string()),  # JSON
    ]
)
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*){0,7}")
_BUCKET = re.compile(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?")
TIMEOUT = 15.0  # seconds


class Parquet(DestinationKind):
    title = "Parquet files"
    help = "One small Parquet file per message, in the exports folder or in an S3-compatible bucket."
    fields = (
        SettingField("folder", "Folder", "Letters, digits, -, _ and /.", default="segments"),
        SettingField("bucket", "Bucket", "Empty: the exports folder.", required=False),
        SettingField("endpoint", "Address of the storage", default="https://s3.amazonaws.com", required=False),
        SettingField("region", "Region", default="us-east-1", required=False),
        SettingField("access_key", "Access key", required=False),
        SettingField("secret_key", "Secret key", secret=True, required=False),
    )
    is_idempotent = True
    can_remove = True
    can_update = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_folder" | "bad_bucket" | "bad_url" | "setting_missing")`."""
        if not _FOLDER.fullmatch(settings["folder"]):
            raise Invalid("bad_folder", "A folder has letters, digits, -, _ and / between its parts.")
        if not _BUCKET.fullmatch(settings["bucket"]):
            raise Invalid("bad_bucket", "A bucket has small letters, digits, dots and dashes.")
        if settings["bucket"]:
            check_web_address(settings["endpoint"], "The address of the storage")
            if not (settings["access_key"] and settings["secret_key"]):
                raise Invalid("setting_missing", "A bucket needs an access key and a secret key.")

    def place(self, settings: Mapping[str, str]) -> str:
        return host_of(settings["endpoint"]) if settings["bucket"] else ""

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        self.check(settings)
        row = {
            "message_id": message.id,
            "at": message.at,
            "type": message.type,
            "user_id": message.user_id,
            "segment": message.segment_slug,
            "segment_name": message.segment_name,
            "traits": json.dumps(dict(message.traits), ensure_ascii=False, sort_keys=True),
        }
        store, folder = _store(settings)
        _attempt(lambda: _write(store, f"{folder}/{message.id}.parquet", row))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Delete the customer's files; they are found by reading, because their names must not identify anyone."""
        self.check(settings)
        store, folder = _store(settings)
        _attempt(lambda: _delete(store, folder, request.user_id))

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Correct the customer's files; one `customer.updated` notifies readers that copied them, null: delete it."""
        self.check(settings)
        store, folder = _store(settings)
        traits = json.dumps(dict(update.fields), ensure_ascii=False, sort_keys=True)
        row = {"message_id": update.id, "at": update.at, "type": update.type, "user_id": update.user_id}

        def correct() -> None:
            for path, stored in _files_of(store, folder, update.user_id):
                if stored["type"] != update.type:
                    changed = updated_traits(str(stored["traits"] or ""), update)
                    _write(store, path, {**stored, "traits": json.dumps(changed, ensure_ascii=False, sort_keys=True)})
            _write(store, f"{folder}/{update.id}.parquet", {**row, "segment": "", "segment_name": "", "traits": traits})

        _attempt(correct)


def _store(settings: Mapping[str, str]) -> tuple[fs.FileSystem, str]:
    if not settings["bucket"]:
        return fs.LocalFileSystem(), str(Path(django_settings.HOME) / "exports" / settings["folder"])
    parts = urlsplit(settings["endpoint"])
    try:
        http.check_address(settings["endpoint"])
    except http.RequestRefused as no:
        raise SendFailed(no.code, no.message, permanent=True) from None
    store = fs.S3FileSystem(
        access_key=settings["access_key"],
        secret_key=settings["secret_key"],
        endpoint_override=parts.netloc,
        scheme=parts.scheme,
        region=settings["region"],
        connect_timeout=TIMEOUT,
        request_timeout=TIMEOUT,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )
    return store, f"{settings['bucket']}/{settings['folder']}"


def _write(store: fs.FileSystem, path: str, row: Mapping[str, object]) -> None:
    """Write atomically: a concurrent reader must not see half a file."""
    table = pa.Table.from_pylist([dict(row)], schema=SCHEMA)
    if not isinstance(store, fs.LocalFileSystem):
        with store.open_output_stream(path) as sink:
            pq.write_table(table, sink)
        return
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    begun = Path(f"{path}.begun")
    pq.write_table(table, begun)
    begun.chmod(0o600)
    begun.replace(path)


def _delete(store: fs.FileSystem, folder: str, user_id: str) -> None:
    for path, _ in _files_of(store, folder, user_id):
        store.delete_file(path)


def _files_of(store: fs.FileSystem, folder: str, user_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and row of every file of a customer. Of the others only the user id is read."""
    for each in store.get_file_info(fs.FileSelector(folder, allow_not_found=True)):
        if each.path.endswith(".parquet"):
            with store.open_input_file(each.path) as source:
                (owner,) = pq.read_table(source, columns=["user_id"]).column("user_id").to_pylist()
            if owner == user_id:
                with store.open_input_file(each.path) as source:
                    (row,) = pq.read_table(source).to_pylist()
                yield each.path, row


def _attempt(work: Callable[[], None]) -> None:
    """Map pyarrow's failures: each is an OSError whose text may contain the address, so only its kind is kept."""
    try:
        work()
    except PermissionError:
        raise SendFailed("not_allowed", "The storage does not let us write there.") from None
    except OSError:
        raise SendFailed("cannot_write", "The storage cannot be reached or written.") from None


parquet = Parquet()
