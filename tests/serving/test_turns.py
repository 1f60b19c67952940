"""Writers on SQLite take turns: threads in the order they asked, processes one after the other, the worker last."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from tests.live import ROOT

from regulars.accounts.models import Account
from regulars.base.db.sqlite import base
from regulars.base.db.sqlite.turns import ThreadTurns, WriterTurns
from regulars.events.models import InboxItem, Source
from regulars.usecases import process_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's writers wait for rows"),
]

# Writes without a pause, as the worker does, and counts its turns in a file.
HUNGRY = """
import os, sys, time
from pathlib import Path
from regulars.base.db.sqlite.turns import WriterTurns, give_way
if "worker" in sys.argv:
    give_way()
turns, counted = WriterTurns(Path(sys.argv[1])), os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
for number in range(1, 1_000_000):
    assert turns.take(60)
    os.pwrite(counted, b"%09d" % number, 0)
    time.sleep(0.005)
    turns.give_back()
"""


def in_a_thread(work) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("in_transaction", [True, False])
def test_the_second_writer_begins_as_soon_as_the_first_is_done(in_transaction):
    order: list[str] = []

    def write() -> None:
        if in_transaction:
            with transaction.atomic():
                Account.objects.create(email="dov@example.com")
        else:
            Account.objects.create(email="dov@example.com")
        order.append("second is done")

    with transaction.atomic():
        Account.objects.create(email="chika@example.com")
        second = in_a_thread(write)
        wait_until(base.is_wanted_by_others)
        order.append("first is done")
    second.join()

    assert order == ["first is done", "second is done"]
    assert Account.objects.count() == 2
    assert not base.is_wanted_by_others()


@pytest.mark.parametrize("ending", ["undone", "closed"])
def test_a_turn_ends_however_the_transaction_does(ending):
    try:
        with transaction.atomic():
            if ending == "closed":
                connection.close()
            raise ValueError
    except ValueError:
        pass

    Account.objects.count()  # connects again
    assert not connection.turns.is_taken()
    in_a_thread(lambda: Account.objects.create(email="dov@example.com")).join()
    assert Account.objects.count() == 1


def test_writer_that_waits_too_long_continues_without_its_turn(monkeypatch):
    monkeypatch.setattr(base, "WAIT_SECONDS", 0.05)
    Account.objects.count()
    assert connection.turns.take(1)
    try:
        with transaction.atomic():
            Account.objects.create(email="chika@example.com")
        Account.objects.create(email="dov@example.com")
    finally:
        connection.turns.give_back()

    assert Account.objects.count() == 2


def test_threads_have_their_turns_in_the_order_they_asked():
    turns, order = ThreadTurns(), []

    def write(number: int) -> None:
        assert turns.take(60)
        order.append(number)
        turns.give_back()

    assert turns.take(1)
    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=write, args=(number,)))
        threads[-1].start()
        wait_until(lambda place=number: len(turns._waiting) == place + 1)
    turns.give_back()
    assert turns.take(60)  # asked last
    order.append(5)
    turns.give_back()
    for thread in threads:
        thread.join()

    assert order == [0, 1, 2, 3, 4, 5]
    assert not turns.is_taken()


def test_thread_that_gave_up_is_handed_no_turn():
    turns = ThreadTurns()
    assert turns.take(1)
    late = threading.Thread(target=turns.take, args=(0.01,))
    late.start()
    late.join()
    turns.give_back()

    assert not turns.is_taken()


@pytest.mark.parametrize("other", ["worker", "web"])
def test_a_process_that_writes_without_a_pause_starves_no_other(tmp_path: Path, other):
    file, counted = tmp_path / "turns", tmp_path / "counted"
    process = subprocess.Popen([sys.executable, "-c", HUNGRY, str(file), str(counted), other], cwd=ROOT)
    try:
        wait_until(lambda: counted.exists() and counted.read_bytes())
        turns, between = WriterTurns(file), []
        for _ in range(20):
            before = int(counted.read_bytes())
            assert turns.take(60)
            between.append(int(counted.read_bytes()) - before)
            turns.give_back()
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()

    # One turn may be under way and one begin before we ask. Without an order it had dozens at a time.
    assert sorted(between)[10] <= 2
    assert turns.take(60)  # the kernel gave the turn of the killed process back


def test_worker_ends_its_transaction_over_the_inbox_where_another_writer_waits(monkeypatch):
    source = Source.objects.create(name="Shop", slug="shop")
    now = process_event.clock.now()
    for number in range(3):
        body = '{"type": "track", "event": "Looked", "userId": "chika", "properties": {}}'
        InboxItem.objects.create(source=source, message_id=str(number), type="track", body=body, received_at=now)
    monkeypatch.setattr(process_event, "TIME_SLICE", 60.0)
    threads: list[threading.Thread] = []

    def process_beside_another(item):
        marks = process_event_message(item)
        if not threads:
            threads.append(in_a_thread(lambda: Account.objects.create(email="dov@example.com")))
            wait_until(base.is_wanted_by_others)
        return marks

    process_event_message = process_event.process_message
    monkeypatch.setattr(process_event, "process_message", process_beside_another)

    assert process_event.process_inbox() == 1
    threads[0].join()
    assert Account.objects.filter(email="dov@example.com").exists()
    assert process_event.process_inbox() == 2
