"""Checks of what runs and of what an operator must do: web, worker, queues, address, certificate, mail and backups."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

from cryptography import x509
from django.conf import settings
from django.db.models import Max, Min
from django.utils import timezone

from regulars.base.addresses import is_local
from regulars.base.jobs.models import OPEN, Job, PeriodicTask, Queue
from regulars.base.jobs.run_jobs import CLOCKS_DIFFER, unfinished_tasks
from regulars.base.jobs.schedule import SCHEDULE
from regulars.base.mail_server import sends_to_files
from regulars.events.models import InboxItem
from regulars.interfaces.worker import work  # noqa: F401 - its tasks register themselves
from regulars.serving.tls import Certificate
from regulars.usecases import account_mails

from .backup import BACKUP
from .check_result import CheckResult, fail, ok, warn
from .scratch import CREDENTIALS

SILENT = dt.timedelta(minutes=3)  # the worker has tasks that begin every minute
LATE = dt.timedelta(minutes=10)
BACKUP_AGE = dt.timedelta(days=2)
CERTIFICATE_DAYS = dt.timedelta(days=14)
AUTHORITY_IS_NEW = dt.timedelta(days=30)
WAIT_SECONDS = 5.0
MAIL_TO_FILES = ("filebased", "console", "locmem", "dummy")  # of Django's backends


def public_address() -> str:
    """Return `REGULARS_URL`. Where it is not set for this command, the address of the last set-up."""
    path = settings.HOME / CREDENTIALS
    if "REGULARS_URL" in os.environ or not path.exists():
        return str(settings.PUBLIC_URL)
    console = str(json.loads(path.read_text()).get("console", {}).get("url", ""))
    return console.removesuffix("/").removesuffix("/console") or str(settings.PUBLIC_URL)


def check_web() -> CheckResult:
    """Ask the address that customers use. A certificate that does not hold is `check_certificate`'s to name."""
    address = public_address()
    parts = urlsplit(address)
    try:
        connection = _connect(parts)
        connection.request("GET", parts.path + "/readyz")
        answer = connection.getresponse()
        document = json.loads(answer.read(65_536))
        faults = list(document["faults"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        sentence = (
            f"web: {address} is not answered by Regulars: {getattr(error, 'strerror', '') or type(error).__name__}"
        )
        return fail("web", "web_silent", sentence)
    if faults:
        return fail(
            "web", "web_not_ready", f"web: {address} answers that it is not ready: {', '.join(map(str, faults))}"
        )
    return ok("web", f"web: {address} answers")


def check_worker() -> CheckResult:
    """Look at the last beginning of a task that begins every minute while a worker runs."""
    begun = PeriodicTask.objects.exclude(task=BACKUP).filter(begun_at__lte=timezone.now() + CLOCKS_DIFFER)
    last = begun.aggregate(last=Max("begun_at"))["last"]
    if last is None:
        return fail("worker", "worker_silent", "worker: none has run yet. Start `regulars worker` or `regulars start`")
    age = timezone.now() - last
    if age > SILENT:
        return fail(
            "worker",
            "worker_silent",
            f"worker: the last sign of one is {_span(age)} old. Start `regulars worker` or `regulars start`",
        )
    return ok("worker", f"worker: last sign {_span(age)} ago")


def check_tasks() -> CheckResult:
    """Name periodic tasks that did not finish within twice their period."""
    late = unfinished_tasks({task: every for task, (every, _) in SCHEDULE.items()})
    if late:
        sentence = f"tasks: not finished within twice their period: {', '.join(late)}. The worker's log says why"
        return fail("tasks", "tasks_unfinished", sentence)
    return ok("tasks", "tasks: each finished within twice its period")


def check_lag() -> CheckResult:
    """Find the oldest message and the oldest job that should have been done. Jobs of paused queues wait on purpose, but for mails."""
    now = timezone.now()
    received = InboxItem.objects.filter(processed_at=None).aggregate(first=Min("received_at"))["first"]
    paused = Queue.objects.filter(paused_until__gt=now).exclude(name=account_mails.QUEUE).values("name")
    waiting = Job.objects.filter(OPEN, state=Job.State.WAITING, due_at__lte=now).exclude(queue__in=paused)
    due = waiting.aggregate(first=Min("due_at"))["first"]
    late = [
        f"{name} waits {_span(now - first)}"
        for name, first in (("a message", received), ("a job", due))
        if first is not None and now - first > LATE
    ]
    if late:
        return fail("queues", "queue_late", f"queues: {', '.join(late)}. Start a worker, or more of them")
    return ok("queues", f"queues: nothing waits longer than {_span(LATE)}")


def check_address() -> CheckResult:
    address = public_address()
    if address.startswith("https://"):
        return ok("address", f"address: {address}")
    sentence = f"address: {address} is not https. Set REGULARS_URL to the https address that customers see"
    if settings.DEMO or is_local(address):
        return warn("address", "url_is_not_https", sentence)
    return fail("address", "url_is_not_https", sentence)


def check_certificate() -> CheckResult | None:
    """Look at the certificate that customers are shown, and at the one for localhost in the home folder."""
    address = public_address()
    parts = urlsplit(address)
    if parts.scheme != "https":
        return None
    local = Certificate.of(settings.HOME)
    context = ssl.create_default_context()
    for path in (*settings.CA_FILES, *([local.authority] if local.authority.exists() else [])):
        context.load_verify_locations(str(path))
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), WAIT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            shown = connection.getpeercert(binary_form=True) or b""
        until = x509.load_der_x509_certificate(shown).not_valid_after_utc
    except ssl.SSLCertVerificationError as error:
        return fail(
            "certificate", "certificate_invalid", f"certificate: that of {address} is refused: {error.verify_message}"
        )
    except OSError as error:
        if not (is_local(address) and local.chain.exists()):
            why = error.strerror or type(error).__name__
            return warn(
                "certificate", "certificate_not_seen", f"certificate: {address} cannot be reached from here: {why}"
            )
        until = x509.load_pem_x509_certificate(local.chain.read_bytes()).not_valid_after_utc
    now = dt.datetime.now(dt.UTC)
    left = until - now
    sentence = f"certificate: that of {address} ends in {_span(left)}, on {until:%Y-%m-%d}"
    if left <= dt.timedelta():
        sentence = f"certificate: that of {address} ended on {until:%Y-%m-%d}"
        return fail("certificate", "certificate_ended", sentence)
    if left < CERTIFICATE_DAYS:
        return warn("certificate", "certificate_ends_soon", sentence)
    if local.authority_before.exists():
        begun = x509.load_pem_x509_certificate(local.authority.read_bytes()).not_valid_before_utc
        if now - begun < AUTHORITY_IS_NEW:
            new = f"its authority is a new one since {begun:%Y-%m-%d}: trust {local.authority} in browsers and programs"
            return warn("certificate", "authority_is_new", f"{sentence}; {new}")
    return ok("certificate", sentence)


def check_mail() -> CheckResult:
    backend = str(settings.EMAIL_BACKEND)
    if not any(name in backend for name in MAIL_TO_FILES):
        return ok("mail", f"mail: {backend}")
    place = f"files in {settings.EMAIL_FILE_PATH}" if sends_to_files() else backend
    sentence = f"mail: goes to {place}, and to no customer. Set up a mail server"
    if settings.DEMO or is_local(public_address()):
        return warn("mail", "mail_to_files", sentence)
    return fail("mail", "mail_to_files", sentence)


def check_backup() -> CheckResult:
    """Look at the last `regulars backup` of any machine. Other ways to back up are not known here: a warning."""
    last = PeriodicTask.objects.filter(task=BACKUP).values_list("begun_at", flat=True).first()
    if last is None:
        return warn("backup", "no_backup", "backup: `regulars backup` has never run")
    age = timezone.now() - last
    if age > BACKUP_AGE:
        return warn("backup", "backup_old", f"backup: the last one is {_span(age)} old")
    return ok("backup", f"backup: the last one is {_span(age)} old")


def _connect(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=WAIT_SECONDS)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing secret is sent
    return http.client.HTTPSConnection(host, parts.port, timeout=WAIT_SECONDS, context=context)


def _span(time: dt.timedelta) -> str:
    """Return a duration in its largest unit: `3 days`, `1 hour`, `40 seconds`."""
    seconds = int(max(time.total_seconds(), 0))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size or size == 1:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    raise AssertionError  # the loop ends with seconds
