"""The loop of `regulars worker`. Any number of workers share one database without running a job twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.utils import timezone

from regulars.accounts.models import StoredSession
from regulars.accounts.proofs.expiry import delete_expired_proofs
from regulars.base.db.portions import delete_in_portions
from regulars.base.db.sqlite.turns import give_way
from regulars.base.db.usable_database import refuse_unusable_database
from regulars.base.db.write_ahead_log import shorten_log
from regulars.base.errors import DomainError
from regulars.base.home_folder import refuse_unfinished_restore
from regulars.base.jobs.predecessors import bring_back_forgotten
from regulars.base.jobs.run_jobs import delete_finished_jobs, due_tasks, record_end, run_due, run_periodically
from regulars.base.jobs.schedule import DAY, HOUR, MINUTE, SCHEDULE, WITHIN_A_MINUTE, periodic_task
from regulars.base.tokens.rotate import delete_retired
from regulars.consent.erasures import ListCopier
from regulars.consent.journal import JournalCopier, unattended
from regulars.enrichment.reliability import learn_reliabilities
from regulars.oauth import backchannel_logout  # noqa: F401 - its handler registers itself
from regulars.oauth.expiry import delete_expired
from regulars.rules.run_records import delete_old_inputs
from regulars.usecases import (  # noqa: F401 - their handlers register themselves
    compare_documents,
    deliver,
    enrich,
    join_repeated_facts,
    lower_public_keys,
    relabel_writes,
    same_person,
)
from regulars.usecases.change_due_profiles import queue_due_profiles
from regulars.usecases.decide_consent import expire_consents
from regulars.usecases.lake import queue_lake_tidying
from regulars.usecases.process_event import process_inbox
from regulars.usecases.restrict import lift_due
from regulars.usecases.retention import apply_retention
from regulars.usecases.save_segment import queue_all_reconciliations
from regulars.usecases.sign_out import delete_ended_sessions
from regulars.usecases.update_question_model import queue_refit

log = logging.getLogger("regulars.worker")

PAUSE = 0.5  # seconds between polls without work
PAUSE_AFTER_FAULT = 5.0
COPY_EVERY = 60.0


@periodic_task(HOUR, "sessions.forget")
def forget_old_sessions() -> None:
    delete_in_portions(StoredSession.objects.filter(expire_date__lt=timezone.now()), "expire_date")
    delete_ended_sessions()


# Periodic tasks of lower layers; interfaces register their own.
SCHEDULE |= {
    "jobs.forget_finished": (HOUR, delete_finished_jobs),
    "database.shorten_log": (10 * MINUTE, shorten_log),
    "jobs.bring_back": (10 * MINUTE, bring_back_forgotten),
    "accounts.delete_expired": (HOUR, delete_expired_proofs),
    "oauth.delete_expired": (10 * MINUTE, delete_expired),
    "keys.forget": (DAY, delete_retired),
    "rules.delete_old_inputs": (DAY, delete_old_inputs),
    "segments.reconcile": (DAY, queue_all_reconciliations),
    "sources.learn_reliabilities": (DAY, learn_reliabilities),
    "questions.refit": (DAY, queue_refit),
    "lake.tidy": (HOUR, queue_lake_tidying),
    "profiles.change": (WITHIN_A_MINUTE, queue_due_profiles),
    "consents.expire": (WITHIN_A_MINUTE, expire_consents),
    "retention": (DAY, apply_retention),
    "restrictions.lift": (MINUTE, lift_due),
}


class Worker:
    """Runs `threads` loops until `stop` is called; each finishes its current job.

    One more keeps this machine's list of erasures and its journal complete. All stop when a restore begins in the home folder,
    and when a newer version takes the database over.
    """

    def __init__(self, threads: int = 2) -> None:
        self.stopping = threading.Event()
        self.fault: DomainError | None = None
        self.copiers = (ListCopier(), JournalCopier())
        self.threads = [threading.Thread(target=self._loop, args=(_work,), name=f"worker-{n}") for n in range(threads)]
        copying = (self._copy_list, refuse_unusable_database)
        self.threads.append(threading.Thread(target=self._loop, args=copying, name="worker-erasures"))

    def run(self) -> None:
        """Work until `stop`. Raises `Conflict`: `restore_unfinished`, `database_is_newer`."""
        give_way()
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        if self.fault is not None:
            raise self.fault

    def stop(self) -> None:
        self.stopping.set()

    def _loop(self, work: Callable[[], float], check: Callable[[], None] = lambda: None) -> None:
        try:
            while not self.stopping.is_set():
                refuse_unfinished_restore(settings.HOME)
                check()
                self.stopping.wait(self._iterate(work))
        except DomainError as fault:
            self.fault = fault
            self.stop()
        finally:
            connections.close_all()

    def _iterate(self, work: Callable[[], float]) -> float:
        """Do the available work. Returns the seconds to pause."""
        try:
            close_old_connections()
            with unattended():
                return work()
        except DatabaseError:
            log.exception("the database refused the worker")
        except Exception:  # a worker must not die silently
            log.exception("unexpected error in the worker")
        return PAUSE_AFTER_FAULT

    def _copy_list(self) -> float:
        for copier in self.copiers:
            copier.run()
        return COPY_EVERY


def _work() -> float:
    return 0.0 if work_once() else PAUSE


def work_once() -> int:
    """Process the inbox, then jobs, then periodic tasks. Returns how much was done.

    A periodic task that fails stops no other.
    """
    done = process_inbox() + run_due(limit=20)
    for name in due_tasks({name: every for name, (every, _) in SCHEDULE.items()}):
        every, begin = SCHEDULE[name]
        if run_periodically(name, every):
            try:
                begin()
            except Exception:  # tried again within the hour
                log.exception("periodic task %s failed", name)
            else:
                record_end(name)
    return done
