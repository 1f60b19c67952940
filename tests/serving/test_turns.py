"""Writers of one process take turns on SQLite."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, connections, transaction

from regulars.accounts.models import Account
from regulars.base.db.sqlite import base

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's writers wait for rows"),
]


def in_a_thread(work) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_second_writer_begins_as_soon_as_the_first_is_done():
    order: list[str] = []

    def write() -> None:
        with transaction.atomic():
            order.append("second began")
            Account.objects.create(email="dov@example.com")

    with transaction.atomic():
        Account.objects.create(email="chika@example.com")
        second = in_a_thread(write)
        time.sleep(0.3)
        order.append("first is done")
    second.join()

    assert order == ["first is done", "second began"]
    assert Account.objects.count() == 2


@pytest.mark.parametrize("ending", ["undone", "closed"])
def test_a_turn_ends_however_the_transaction_does(ending):
    try:
        with transaction.atomic():
            if ending == "closed":
                connection.close()
            raise ValueError
    except ValueError:
        pass

    assert not base._writers.locked()
    in_a_thread(lambda: Account.objects.create(email="dov@example.com")).join()
    assert Account.objects.count() == 1


def test_writer_that_waits_too_long_continues_without_its_turn(monkeypatch):
    monkeypatch.setattr(base, "WAIT_SECONDS", 0.05)
    with base._writers, transaction.atomic():
        Account.objects.create(email="chika@example.com")

    assert Account.objects.count() == 1
