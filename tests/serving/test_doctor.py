"""`regulars doctor` finds each fault: nothing runs, work waits, an address, certificate, mail or backup that will not do."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from cryptography import x509
from django.utils import timezone

from regulars.base.jobs.models import Job, PeriodicTask, Queue
from regulars.cli import __main__ as cli
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.save import save_source
from regulars.events.models import InboxItem, Source
from regulars.interfaces.worker.work import work_once
from regulars.operations import backup, doctor
from regulars.operations.backup import write_backup
from regulars.operations.check_result import CheckResult, fail, ok, warn
from regulars.operations.doctor import run_checks
from regulars.profiles.models import Fact
from regulars.serving import certificate
from regulars.serving.certificate import ensure_certificate
from regulars.serving.tls import Certificate

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(settings, tmp_path):
    settings.HOME, settings.LAKE_URL, settings.DEMO = tmp_path, str(tmp_path / "lake"), False
    settings.PUBLIC_URL = "https://shop.example"
    tmp_path.chmod(0o700)
    return tmp_path


def result(check: str) -> tuple[str, str]:
    """State and code of one check."""
    found = [(each.state.value, each.code) for each in run_checks() if each.check == check]
    assert len(found) == 1
    return found[0]


def test_worker_that_ran_is_ok_and_one_that_stopped_is_named(home):
    assert result("worker") == ("FAIL", "worker_silent")
    work_once()
    assert result("worker") == ("ok", "")

    PeriodicTask.objects.update(begun_at=timezone.now() - dt.timedelta(minutes=4))

    assert result("worker") == ("FAIL", "worker_silent")


def test_backup_is_no_sign_of_a_worker(home):
    PeriodicTask.objects.create(task=backup.BACKUP, begun_at=timezone.now())

    assert result("worker") == ("FAIL", "worker_silent")


def test_task_that_did_not_finish_within_two_periods_is_named(home):
    now = timezone.now()
    task = PeriodicTask.objects.create(task="retention", begun_at=now, unfinished_since=now - dt.timedelta(days=1))
    assert result("tasks") == ("ok", "")

    PeriodicTask.objects.filter(pk=task.pk).update(unfinished_since=now - dt.timedelta(days=3))
    assert result("tasks") == ("FAIL", "tasks_unfinished")


def test_job_that_waits_too_long_is_named_unless_its_queue_is_paused(home):
    now = timezone.now()
    job = Job.objects.create(kind="deliver", queue="slow", due_at=now - dt.timedelta(minutes=5))
    Job.objects.create(kind="later", due_at=now + dt.timedelta(days=1))
    assert result("queues") == ("ok", "")

    Job.objects.filter(pk=job.pk).update(due_at=now - dt.timedelta(minutes=11))
    assert result("queues") == ("FAIL", "queue_late")

    Queue.objects.create(name="slow", paused_until=now + dt.timedelta(minutes=5))
    assert result("queues") == ("ok", "")


def test_message_that_waits_too_long_is_named(home):
    InboxItem.objects.create(
        source=Source.objects.create(slug="app", name="App"),
        message_id="m1",
        type="track",
        body="{}",
        received_at=timezone.now() - dt.timedelta(hours=2),
    )

    assert result("queues") == ("FAIL", "queue_late")


@pytest.mark.parametrize(
    ("url", "demo", "expected"),
    [
        ("https://shop.example", False, ("ok", "")),
        ("http://shop.example", False, ("FAIL", "url_is_not_https")),
        ("http://10.0.0.7:8000", False, ("FAIL", "url_is_not_https")),
        ("http://localhost:8000", False, ("WARN", "url_is_not_https")),
        ("http://shop.example", True, ("WARN", "url_is_not_https")),
    ],
)
def test_address_without_https_is_named(home, settings, monkeypatch, url, demo, expected):
    monkeypatch.setattr(doctor, "CHECKS", {"address": doctor.CHECKS["address"], "mail": doctor.CHECKS["mail"]})
    settings.PUBLIC_URL, settings.DEMO = url, demo

    assert result("address") == expected


def test_address_comes_from_the_set_up_when_the_command_has_none(home, settings, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", {"address": doctor.CHECKS["address"]})
    (home / "credentials.json").write_text(json.dumps({"console": {"url": "http://shop.example/console/"}}))

    assert result("address") == ("FAIL", "url_is_not_https")

    monkeypatch.setenv("REGULARS_URL", "https://shop.example")
    assert result("address") == ("ok", "")


@pytest.mark.parametrize("backend", ["filebased", "console", "dummy", "locmem"])
def test_mail_that_goes_to_files_is_named(home, settings, monkeypatch, backend):
    monkeypatch.setattr(doctor, "CHECKS", {"mail": doctor.CHECKS["mail"]})
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    assert result("mail") == ("FAIL", "mail_to_files")

    settings.PUBLIC_URL = "http://localhost:8000"
    assert result("mail") == ("WARN", "mail_to_files")

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert result("mail") == ("ok", "")


def test_last_backup_is_looked_at(home, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", {"backup": doctor.CHECKS["backup"]})
    assert result("backup") == ("WARN", "no_backup")

    monkeypatch.setattr(backup, "_DUMPS", {name: lambda target: target.write_bytes(b"rows") for name in backup._DUMPS})
    list(write_backup(home / "backup.tar.gz"))
    assert result("backup") == ("ok", "")

    PeriodicTask.objects.filter(task=backup.BACKUP).update(begun_at=timezone.now() - dt.timedelta(days=3))
    assert result("backup") == ("WARN", "backup_old")


@pytest.mark.parametrize("name", [".", "secret.key", "credentials.json", "erasures.jsonl"])
def test_what_is_open_to_others_is_named(home, monkeypatch, name):
    monkeypatch.setattr(doctor, "CHECKS", {"private": doctor.CHECKS["private"]})
    monkeypatch.setitem(doctor.connection.settings_dict, "NAME", str(home / "regulars.sqlite3"))
    for file in ("secret.key", "credentials.json", "erasures.jsonl", "regulars.sqlite3"):
        (home / file).touch(0o600)
    assert result("private") == ("ok", "")

    (home / name).chmod(0o755)

    assert result("private") == ("FAIL", "home_not_private")


class Answer(BaseHTTPRequestHandler):
    body = b'{"status": "ready", "faults": []}'

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body if self.path == "/readyz" else b"")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve(settings):
    """Answer at a port of this machine, and make it the public address."""
    servers = []

    def begin(body: bytes = Answer.body, kept: Certificate | None = None) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Other", (Answer,), {"body": body}))
        if kept is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(kept.chain, kept.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        settings.PUBLIC_URL = f"{'https' if kept else 'http'}://localhost:{server.server_port}"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Answer.body, ("ok", "")),
        (b'{"status": "not_ready", "faults": ["disk_full"]}', ("FAIL", "web_not_ready")),
        (b"<html>another program</html>", ("FAIL", "web_silent")),
        (b"[]", ("FAIL", "web_silent")),
    ],
)
def test_public_address_is_asked(home, serve, body, expected):
    serve(body)

    assert result("web") == expected


def test_address_that_nothing_answers_is_named(home, settings):
    settings.PUBLIC_URL = "http://localhost:9"

    assert result("web") == ("FAIL", "web_silent")


@pytest.mark.parametrize(
    ("days", "expected"),
    [(90, ("ok", "")), (10, ("WARN", "certificate_ends_soon")), (-1, ("FAIL", "certificate_invalid"))],
)
def test_end_of_the_certificate_that_is_shown_is_looked_at(home, serve, monkeypatch, days, expected):
    ensure_certificate(home)
    monkeypatch.setattr(certificate, "HOST_DAYS", days)
    if days < 0:  # it began before it ended
        monkeypatch.setattr(certificate.x509.CertificateBuilder, "not_valid_before", _long_ago)
    certificate._make_host(Certificate.of(home))
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "CHECKS", {"certificate": doctor.CHECKS["certificate"], "web": doctor.CHECKS["web"]})
    serve(kept=Certificate.of(home))

    assert result("certificate") == expected
    assert result("web") == ("ok", "")


REAL_BEGINNING = x509.CertificateBuilder.not_valid_before


def _long_ago(self, time):
    return REAL_BEGINNING(self, time - dt.timedelta(days=9))


def test_certificate_of_another_authority_is_named(home, serve, tmp_path_factory, monkeypatch):
    other = ensure_certificate(tmp_path_factory.mktemp("elsewhere"))
    serve(kept=other)
    monkeypatch.setattr(doctor, "CHECKS", {"certificate": doctor.CHECKS["certificate"]})

    assert result("certificate") == ("FAIL", "certificate_invalid")


def test_certificate_that_cannot_be_seen_is_a_warning(home, settings, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", {"certificate": doctor.CHECKS["certificate"]})
    settings.PUBLIC_URL = "https://localhost:9"

    assert result("certificate") == ("WARN", "certificate_not_seen")


@pytest.mark.parametrize(
    ("results", "code", "strict"),
    [
        ([ok("web", "web: answers")], 0, 0),
        ([ok("web", "web: answers"), warn("backup", "no_backup", "backup: none")], 0, 1),
        ([fail("web", "web_silent", "web: silent"), ok("mail", "mail: smtp")], 1, 1),
    ],
)
def test_exit_code_follows_the_worst_result(monkeypatch, results: list[CheckResult], code, strict):
    monkeypatch.setattr(cli, "setup_django", lambda **options: None)
    monkeypatch.setattr(doctor, "run_checks", lambda: iter(results))

    plain = CliRunner().invoke(cli.main, ["doctor"])
    assert plain.exit_code == code
    assert CliRunner().invoke(cli.main, ["doctor", "--strict"]).exit_code == strict
    rows = json.loads(CliRunner().invoke(cli.main, ["doctor", "--json"]).output)
    assert [(row["check"], row["code"]) for row in rows] == [(each.check, each.code) for each in results]
    assert all(f"({each.code})" in plain.output for each in results if each.code)


@pytest.mark.usefixtures("home")
def test_facts_without_a_legal_basis_are_counted(chika):
    assert "facts" not in {each.check for each in run_checks()}
    row = {
        "profile": chika,
        "attribute": "gender",
        "value": "female",
        "source_kind": "social",
        "source": "google-oauth2",
    }
    Fact.objects.create(**row, basis="consent", consents=[])
    Fact.objects.create(**row, basis="because", consents=[])

    (found,) = [each for each in run_checks() if each.check == "facts"]

    assert (found.code, found.state.name) == ("without_basis", "WARN")
    assert "2 have no legal basis" in found.message


@pytest.mark.usefixtures("home", "standard_setup")
def test_sources_that_their_purpose_stops_are_named():
    save_source("us-census-acs", {"api_key": "k"})
    save_source("us-areas", {}, purpose="measure")
    assert "sources" not in {each.check for each in run_checks()}
    SourceSetting.objects.update(purpose="measure")

    (found,) = [each for each in run_checks() if each.check == "sources"]

    assert (found.code, found.state.name) == ("source_stopped", "WARN")
    assert "us-census-acs" in found.message
    assert "us-areas" not in found.message
