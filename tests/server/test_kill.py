"""Acknowledged events survive SIGKILL under load and are stored once."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress

import httpx2
import pytest
from tests.live import own_database, start
from tests.ports import reserve_ports

pytestmark = pytest.mark.server


PACE = 0.02  # seconds between two batches: the kill falls into the load, and the worker can catch up afterwards


class Sender(threading.Thread):
    """Sends small batches continuously, and keeps the ids of the acknowledged ones."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self.url, self.key = url, key
        self.acknowledged: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        with httpx2.Client(auth=(self.key, ""), timeout=5) as client:
            while not self.stop.is_set():
                ids = [str(uuid.uuid4()) for _ in range(4)]
                batch = [{"type": "page", "anonymousId": f"a-{each[:2]}", "messageId": each} for each in ids]
                with suppress(httpx2.HTTPError):
                    if client.post(f"{self.url}/v1/batch", json={"batch": batch}).status_code == 200:
                        self.acknowledged += ids
                time.sleep(PACE)


def test_nothing_acknowledged_is_lost_when_everything_is_killed(tmp_path):
    with own_database() as database_url:
        port = reserve_ports(3)
        live = start(tmp_path, port, "--no-demo", database_url=database_url)
        senders = [Sender(live.url, live.credentials["collector"]["write_key"]) for _ in range(4)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(2):
                acknowledge_more(senders)
                live.kill()
                live = start(tmp_path, port, "--no-demo", database_url=database_url)
            acknowledge_more(senders)
        finally:
            for sender in senders:
                sender.stop.set()
                sender.join()
        acknowledged = [each for sender in senders for each in sender.acknowledged]
        try:
            everything_dealt_with(live)
            happened = [row[0] for row in live.rows("SELECT message_id FROM events_event")]
        finally:
            live.stop()

    assert len(acknowledged) > 100
    assert sorted(set(acknowledged) - set(happened)) == []
    assert len(happened) == len(set(happened))


def acknowledge_more(senders: list[Sender], count: int = 50) -> None:
    """Wait until so many more messages are acknowledged: a kill falls into the load, on a busy machine too."""
    deadline, before = time.monotonic() + 300, sum(len(sender.acknowledged) for sender in senders)
    while sum(len(sender.acknowledged) for sender in senders) < before + count:
        assert time.monotonic() < deadline, "nothing is acknowledged"
        time.sleep(0.05)


def everything_dealt_with(live) -> None:
    deadline = time.monotonic() + 300
    while live.rows("SELECT count(*) FROM events_inboxitem WHERE processed_at IS NULL")[0][0]:
        assert time.monotonic() < deadline, "the worker did not finish"
        time.sleep(0.2)
