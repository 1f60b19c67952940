"""What rules go on doing after their login: requests and timers of JavaScript, threads of Python rules.

No login waits for it. What it asks for is carried out as it comes, and added to the record of the run.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from django.db import connections

from .auto_disable import LIMITS, count_limit
from .decide import read_answer
from .invocation import LateStep
from .python import Api
from .run_records import without_secrets

log = logging.getLogger(__name__)

AT_ONCE = 32  # logins of one process whose rules go on at the same time; each may hold a realm of some megabytes
_places = threading.BoundedSemaphore(AT_ONCE)
_COUNTED = LIMITS - {"waited_too_long"}  # no login waited


@lru_cache(maxsize=1)
def _writer(pid: int) -> ThreadPoolExecutor:
    """The thread that stores what Python rules ask for; threads do not survive a fork."""
    return ThreadPoolExecutor(1, thread_name_prefix="rules-afterwards")


Store = Callable[[LateStep], None]


class Unfinished(Protocol):
    """A realm with work left in it."""

    def finish(self) -> Iterator[LateStep]: ...
    def close(self) -> None: ...


class Afterwards:
    """The rest of one login's rules. Either `start` or `close` it. `secrets` are redacted from what is recorded."""

    def __init__(self, realms: Sequence[Unfinished], apis: Mapping[str, Api], secrets: Sequence[Any]) -> None:
        self._realms = realms
        self._apis = apis
        self._secrets = secrets

    def start(self, store: Store) -> None:
        """Go on in threads, once the writes of the login itself are committed: later writes come after them.

        `store` carries out what rules ask for, and records it. It is called in those threads and must not raise.
        """
        for slug, api in self._apis.items():
            api.hand_over(lambda step, slug=slug: self._from_python(store, slug, step))  # type: ignore[misc]
        for realm in self._realms:
            if not _places.acquire(blocking=False):
                realm.close()
                log.warning("rules of %s logins go on already; what those of one more left to do is dropped", AT_ONCE)
                store(LateStep("", fault="too_many_at_once"))
                continue
            threading.Thread(target=self._finish, args=(realm, store), daemon=True, name="rules-afterwards").start()

    def close(self) -> None:
        for realm in self._realms:
            realm.close()

    def _finish(self, realm: Unfinished, store: Store) -> None:
        try:
            for step in realm.finish():
                self._store(store, step)
        except Exception:
            log.exception("what rules left to do after a login failed")
        finally:
            connections.close_all()
            _places.release()

    def _from_python(self, store: Store, slug: str, step: LateStep) -> None:
        """Store in a thread of ours, in order: the rule may call from any thread, even one that is in a transaction."""
        if not (step.updates or step.enrichments or step.console):
            return
        try:
            updates = list(read_answer(json.dumps({"updates": step.updates}))["updates"])
        except (TypeError, ValueError):  # not JSON
            updates, step = [], replace(step, fault="bad_answer")
        step = replace(step, slug=slug, updates=updates)
        _writer(os.getpid()).submit(self._store_once, store, step)

    def _store_once(self, store: Store, step: LateStep) -> None:
        try:
            self._store(store, step)
        except Exception:
            log.exception("what rule %s left to do after a login failed", step.slug)
        finally:
            connections.close_all()

    def _store(self, store: Store, step: LateStep) -> None:
        if step.slug and step.fault in _COUNTED:
            count_limit(step.slug, step.fault)
        hidden = [without_secrets(self._secrets, line) for line in step.console]
        requests = [each.copy() for each in step.requests]
        for each in requests:
            each["host"] = without_secrets(self._secrets, each["host"])
        store(replace(step, console=hidden, requests=requests))
