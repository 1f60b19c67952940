"""A certificate that ends soon is renewed while everything runs, and no request is lost."""

from __future__ import annotations

import datetime as dt
import signal
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from tests.live import ask
from tests.ports import reserve_ports

from regulars.operations.running_checks import check_certificate
from regulars.serving import certificate as made_by
from regulars.serving import certificate_renewal
from regulars.serving.certificate import ensure_certificate
from regulars.serving.certificate_renewal import CertificateRenewal
from regulars.serving.supervise import Program, Supervisor
from regulars.serving.tls import Certificate

SECONDS = 60  # until something has happened, on a busy machine
APP = """
import asyncio
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        await asyncio.sleep(6)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"whole"})
"""


def ends(path: Path) -> dt.datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


@pytest.fixture
def ending(tmp_path, monkeypatch) -> Certificate:
    """A certificate that ends within a month."""
    with monkeypatch.context() as before:
        before.setattr(made_by, "HOST_DAYS", made_by.RENEW_DAYS - 1)
        return ensure_certificate(tmp_path)


def shown_at(port: int, authority: Path) -> dt.datetime | None:
    """Return the end of the certificate that a server shows."""
    try:
        pem = ssl.get_server_certificate(("127.0.0.1", port), ca_certs=str(authority), timeout=5)
    except OSError:
        return None
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


@pytest.mark.any_database
def test_running_server_shows_the_new_certificate_and_ends_no_request(ending, tmp_path, monkeypatch):
    (tmp_path / "served.py").write_text(APP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    port, old, lines, outcome = reserve_ports(), ends(ending.chain), [], {}
    granian = ["granian", "--interface", "asgi", "--no-ws", "--host", "127.0.0.1", "--port", str(port)]
    tls = ["--ssl-certificate", str(ending.chain), "--ssl-keyfile", str(ending.key), "--log-level", "warning"]
    command = [sys.executable, "-m", *granian, *tls, "served:app"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    programs = [Program("web", command, environment, renewed_by=signal.SIGHUP)]
    supervisor = Supervisor(programs)
    renewal = CertificateRenewal(ending, programs, lines.append)
    asked = threading.Event()

    def visit() -> None:
        try:
            while shown_at(port, ending.authority) is None:
                time.sleep(0.1)
            outcome["before"] = shown_at(port, ending.authority)
            slow = threading.Thread(
                target=lambda: outcome.update(slow=ask("GET", f"https://127.0.0.1:{port}/slow").text)
            )
            slow.start()
            time.sleep(1)  # it is under way: the answer takes six seconds
            renewal.due_at = 0.0
            asked.set()
            deadline = time.monotonic() + SECONDS
            # While processes are replaced, old and new ones answer: what was seen last counts.
            while (shown := shown_at(port, ending.authority)) in (None, old) and time.monotonic() < deadline:
                outcome["asked"] = ask("GET", f"https://127.0.0.1:{port}/").text
            outcome["after"] = shown
            slow.join(SECONDS)
        finally:
            supervisor.stopping = True

    visitor = threading.Thread(target=visit)
    visitor.start()
    assert supervisor.run(lambda: asked.is_set(), lambda: None, renewal.look_when_due) == 0
    visitor.join(SECONDS)

    assert outcome["before"] == old
    assert outcome["after"] == ends(ending.chain) > old + dt.timedelta(days=50)
    assert (outcome["slow"], outcome["asked"]) == ("whole", "whole")
    assert lines == ["regulars: the certificate for localhost was renewed"]


def test_look_is_daily_and_an_hour_later_after_a_failure(ending, monkeypatch):
    looks, answers, now = [], [True, False, True, True], [1_000_000.0]
    monkeypatch.setattr(certificate_renewal.time, "time", lambda: now[0])
    renewal = CertificateRenewal(ending, [], looks.append)
    monkeypatch.setattr(CertificateRenewal, "_look", lambda self: looks.append(now[0]) or answers.pop(0))

    for later in (1, 86_400, 86_400, 3_599, 1, -500_000):  # the last: the clock is set back
        now[0] += later
        renewal.look_when_due()
        renewal.look_when_due()

    assert looks == [1_086_401.0, 1_172_801.0, 1_176_401.0, 676_401.0]


def test_new_authority_is_announced_and_restarts_what_trusts_it(ending, tmp_path, settings, monkeypatch):
    lines = []
    ending.authority_key.unlink()  # without its key it can sign nothing
    programs = [
        Program(name, ["/bin/sleep", "300"], {}, renewed_by=by)
        for name, by in (("web", signal.SIGHUP), ("worker", signal.SIGTERM), ("shop", None))
    ]
    for program in programs:
        program.start()
    renewal = CertificateRenewal(ending, programs, lines.append)
    renewal.due_at = 0.0

    renewal.look_when_due()

    web, worker, shop = (program.process for program in programs)
    assert (web.wait(SECONDS), worker.wait(SECONDS), shop.poll()) == (-signal.SIGHUP, -signal.SIGTERM, None)
    shop.kill()
    shop.wait()
    assert str(ending.authority) in lines[-1]
    assert "new one" in lines[-1]
    settings.HOME, settings.PUBLIC_URL = tmp_path, f"https://localhost:{reserve_ports()}"  # nothing answers there
    monkeypatch.setenv("REGULARS_URL", settings.PUBLIC_URL)
    result = check_certificate()
    assert (result.code, str(ending.authority) in result.message) == ("authority_is_new", True)
    assert "ends in 89 days" in result.message


def test_failed_renewal_is_named_and_tried_again(ending, tmp_path):
    lines = []
    ending.authority.write_text("no certificate")
    renewal = CertificateRenewal(ending, [], lines.append)
    renewal.due_at = 0.0

    renewal.look_when_due()

    assert "(certificate_not_renewed)" in lines[0]
    assert renewal.due_at - renewal.looked_at == certificate_renewal.HOUR


def test_certificate_whose_key_was_not_written_with_it_is_made_anew(tmp_path):
    """Stopped between the two, a server with them would not start."""
    kept = ensure_certificate(tmp_path)
    old = kept.chain.read_bytes()
    made_by._make_host(kept)
    kept.chain.write_bytes(old)

    ensure_certificate(tmp_path)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kept.chain, kept.key)
    assert kept.chain.read_bytes() != old
