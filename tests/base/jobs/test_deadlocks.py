"""No deadlock ends a job as failed, loses a login, or makes the lake wait: what is safe to repeat begins again."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import Client

from regulars.base.db.deadlocks import repeat_after_deadlock
from regulars.base.jobs import run_jobs, tasks
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import lease_next, run_job
from regulars.base.jobs.tasks import enqueue, handles
from regulars.consent.models import PermittedView
from regulars.consent.refresh import refresh_views
from regulars.usecases import lake as filling

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer at a time, and no deadlocks"
)


def deadlock() -> OperationalError:
    """What PostgreSQL's driver raises, as Django passes it on."""
    fault = OperationalError("deadlock detected")
    fault.__cause__ = type("DeadlockDetected", (Exception,), {"sqlstate": "40P01"})()
    return fault


@pytest.mark.django_db
def test_job_that_meets_deadlocks_is_tried_again_without_end(monkeypatch):
    monkeypatch.setattr(tasks, "HANDLERS", {})
    monkeypatch.setattr(run_jobs, "HANDLERS", tasks.HANDLERS)

    @handles("meets", attempts=2)
    def meet(payload):
        raise deadlock()

    number = enqueue("meets", {}).pk
    for _ in range(5):
        Job.objects.update(due_at=Job.objects.get().created_at)
        job = lease_next()
        assert job is not None
        run_job(job)

    job = Job.objects.get(pk=number)
    assert (job.state, job.attempts) == (Job.State.WAITING, 0)


@pytest.mark.django_db(transaction=True)
def test_only_the_outermost_transaction_begins_again():
    tried = []

    @repeat_after_deadlock
    def inner():
        tried.append("inner")
        raise deadlock()

    @repeat_after_deadlock
    def outer():
        with transaction.atomic():
            tried.append("outer")
            inner()

    with pytest.raises(OperationalError):
        outer()

    assert tried == ["outer", "inner"] * 3


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_two_that_wait_for_each_other_both_write(make_customer):
    """A real deadlock: each has a job that the other wants next."""
    first, second = enqueue("a", {}), enqueue("b", {})
    meet = threading.Barrier(2)

    def write(one: Job, other: Job) -> None:
        times = []

        @repeat_after_deadlock
        @transaction.atomic
        def both() -> None:
            times.append(1)
            Job.objects.filter(pk=one.pk).update(last_error="written")
            if len(times) == 1:
                meet.wait(60)
            Job.objects.filter(pk=other.pk).update(last_error="written")

        try:
            both()
            done.append(len(times))
        finally:
            connections.close_all()

    done: list[int] = []
    threads = [threading.Thread(target=write, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(done) == 2
    assert min(done) == 1


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_lake_waits_for_no_view_that_is_being_written(make_customer, lake):
    held, free = make_customer(gender="female"), make_customer(gender="male")
    refresh_views(held)
    PermittedView.objects.update(lake_at=None)

    with transaction.atomic():
        list(PermittedView.objects.select_for_update().filter(profile=held))
        worker = threading.Thread(target=lambda: (filling.fill_views(), connections.close_all()))
        worker.start()
        worker.join(60)
        assert not worker.is_alive(), "it waits for the transaction of this thread"

    assert not PermittedView.objects.filter(profile=free, lake_at=None).exists()
    assert PermittedView.objects.filter(profile=held, lake_at=None).exists()
    assert Job.objects.filter(kind="lake.fill", state=Job.State.WAITING).exists()
    filling.fill_lake({})
    assert not PermittedView.objects.filter(lake_at=None).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login", "/oauth/token"])
def test_page_that_meets_a_deadlock_says_to_try_again(standard_setup, monkeypatch, path):
    def meet(*args, **kwargs):
        raise deadlock()

    monkeypatch.setattr("regulars.interfaces.login.login.find_by_password", meet)
    monkeypatch.setattr("regulars.interfaces.oidc.endpoint.read_parameters", meet)

    answer = Client(raise_request_exception=False).post(
        path, {"email": "chika@example.com", "password": "a few words in a row"}
    )

    assert answer.status_code == 503
    assert "try again in a moment" in answer.content.decode()
