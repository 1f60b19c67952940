"""`regulars mail test` speaks SMTP to a real server and names the step that fails; every mail takes the same road."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from click.testing import CliRunner
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from regulars.base.errors import DomainError
from regulars.base.jobs.models import Job, Queue
from regulars.base.jobs.queues import resume_queue
from regulars.base.jobs.run_jobs import run_due
from regulars.operations.mail_probe import send_test_mail
from regulars.serving.certificate import ensure_certificate
from regulars.settings.environment import MailServer, mail_server
from regulars.usecases.account_mails import QUEUE

USER, PASSWORD = "regulars@shop.example", "a secret of the mail server"


@dataclass
class Mailbox:
    """What the server was handed, and whom it refuses."""

    mails: list[EmailMessage] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # address → reply

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "data" in self.refused:
            return self.refused["data"]
        assert isinstance(envelope.content, bytes)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 OK"


class ServerAt(Controller):
    """A server on a port of its own; with `tls="implicit"` it speaks TLS from the first byte."""

    def __init__(self, mailbox: Mailbox, folder: Path, tls: str, *, login: bool) -> None:
        certificate = ensure_certificate(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.chain, certificate.key)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        more: dict[str, Any] = {}
        if login:
            more = {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": tls == "starttls"}
        if tls == "starttls":
            more |= {"tls_context": context, "require_starttls": True}
        self.implicit = context if tls == "implicit" else None
        super().__init__(mailbox, hostname="127.0.0.1", port=port, ssl_context=self.implicit, **more)

    def _trigger_server(self) -> None:
        if not self.implicit:  # the parent's probe would trust no certificate of ours
            super()._trigger_server()
            return
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((self.hostname, self.port), 10) as plain, trusting.wrap_socket(plain) as secure:
            secure.recv(1024)


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    fits = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=fits, handled=False)


@pytest.fixture
def serve(tmp_path, settings):
    """Return a function that starts a mail server and sets it as the operator would."""
    running: list[Controller] = []

    def start(tls: str = "starttls", *, login: bool = True, password: str = PASSWORD) -> Mailbox:
        mailbox = Mailbox()
        server = ServerAt(mailbox, tmp_path, tls, login=login)
        server.start()
        running.append(server)
        settings.EMAIL_BACKEND = "regulars.base.mail_server.SmtpBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", server.port
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = (USER, password) if login else ("", "")
        settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = tls == "starttls", tls == "implicit"
        settings.CA_FILES = [str(tmp_path / "tls" / "authority.pem")]
        settings.DEFAULT_FROM_EMAIL = "hello@shop.example"
        return mailbox

    yield start
    for each in running:
        each.stop()


def steps_of(address: str = "ana@shop.example") -> list[str]:
    found: list[str] = []
    send_test_mail(address, found.append)
    return [each.partition(":")[0] for each in found]


def refused(address: str = "ana@shop.example") -> DomainError:
    with pytest.raises(DomainError) as caught:
        send_test_mail(address, lambda step: None)
    assert PASSWORD not in caught.value.message
    return caught.value


@pytest.mark.parametrize("tls", ["starttls", "implicit", "none"])
def test_test_mail_arrives_and_every_step_is_reported(db, serve, tls):
    mailbox = serve(tls)

    assert steps_of() == ["name", "connection", "TLS", "login", "message"]
    (mail,) = mailbox.mails
    assert mail["To"] == "ana@shop.example"
    assert "hello@shop.example" in mail["From"]
    assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]


def test_server_without_a_login_is_spoken_to_without_one(db, serve):
    mailbox = serve(login=False)

    steps_of()

    assert len(mailbox.mails) == 1


def test_name_that_does_not_resolve_is_named(db, serve, settings):
    serve()
    settings.EMAIL_HOST = "smtp.invalid"

    assert refused().code == "mail_name_resolution"


def test_closed_port_is_named(db, serve, settings):
    serve()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        settings.EMAIL_PORT = held.getsockname()[1]

        assert refused().code == "mail_connection"


def test_server_that_says_nothing_is_named_with_the_other_tls_mode(db, serve, settings):
    serve()
    settings.EMAIL_TIMEOUT = 1
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.EMAIL_PORT = silent.getsockname()[1]

        error = refused()

    assert error.code == "mail_connection"
    assert "REGULARS_SMTP_TLS=implicit" in error.message


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_unknown_authority_is_a_fault_of_tls(db, serve, settings, tls):
    mailbox = serve(tls)
    settings.CA_FILES = []

    error = refused()

    assert error.code == "mail_tls"
    assert "certificate" in error.message or "issuer" in error.message
    assert mailbox.mails == []


def test_certificate_of_another_host_is_a_fault_of_tls(db, serve, settings, monkeypatch):
    serve()
    real = socket.getaddrinfo
    to_here = lambda host, *more, **options: real("127.0.0.1" if host == "mail.example" else host, *more, **options)  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", to_here)
    settings.EMAIL_HOST = "mail.example"

    assert refused().code == "mail_tls"


def test_server_without_starttls_gets_neither_password_nor_mail(db, serve, settings):
    mailbox = serve("none")
    settings.EMAIL_USE_TLS = True

    assert refused().code == "mail_tls"
    assert mailbox.mails == []


def test_implicit_tls_at_a_starttls_port_names_the_other_mode(db, serve, settings):
    serve("starttls")
    settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = False, True

    error = refused()

    assert error.code == "mail_tls"
    assert "REGULARS_SMTP_TLS=starttls" in error.message


def test_wrong_password_is_a_fault_of_the_login_and_is_never_printed(db, serve):
    serve(password="wrong " + PASSWORD)

    assert refused().code == "mail_login"


def test_login_that_the_server_does_not_offer_is_a_fault_of_the_login(db, serve, settings):
    serve(login=False)
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = USER, PASSWORD

    assert refused().code == "mail_login"


@pytest.mark.parametrize(
    ("who", "reply", "code"),
    [
        ("ana@shop.example", "550 no such user", "mail_recipient_refused"),
        ("ana@shop.example", "451 come back later", "mail_recipient_refused"),
        ("hello@shop.example", "553 not your address", "mail_sender_refused"),
        ("data", "554 looks like spam", "mail_message_refused"),
    ],
)
def test_refusals_of_recipient_sender_and_message_are_distinct(db, serve, who, reply, code):
    serve().refused[who] = reply

    error = refused()

    assert error.code == code
    assert reply in error.message


@pytest.mark.parametrize(
    "address", ["", "ana", "ana@", "@shop.example", "ana@shop.example, bruno@shop.example", "a b@c.d"]
)
def test_address_that_is_none_is_refused_before_anything_is_sent(db, serve, address):
    mailbox = serve()

    assert refused(address).code == "bad_email"
    assert mailbox.mails == []


def test_without_a_mail_server_the_folder_of_the_mails_is_named(db, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = "/srv/regulars/mail"

    error = refused()

    assert error.code == "no_mail_server"
    assert "/srv/regulars/mail" in error.message
    assert "REGULARS_SMTP_HOST" in error.message


@pytest.fixture
def asked_for_a_code(client, standard_setup) -> Callable[[], Job]:
    """Return a function that asks for a code by mail and runs the worker; it returns the mail's job."""
    from regulars.connections.models import Connection

    Connection.objects.create(name="email", strategy="email", display_name="Code by e-mail")

    def ask() -> Job:
        client.post("/code", {"email": "chika@mail.example"})
        run_due()
        return Job.objects.get(kind="accounts.mail_code")

    return ask


def test_mail_of_the_worker_goes_through_the_same_server(serve, asked_for_a_code):
    mailbox = serve()

    assert asked_for_a_code().state == Job.State.DONE
    assert [mail["To"] for mail in mailbox.mails] == ["chika@mail.example"]


def test_address_refused_for_good_is_not_tried_again_and_fails_nothing(serve, asked_for_a_code):
    serve().refused["chika@mail.example"] = "550 no such user"

    assert asked_for_a_code().state == Job.State.DONE


def test_mail_waits_for_a_server_that_is_down_or_busy(serve, asked_for_a_code):
    serve().refused["chika@mail.example"] = "451 come back later"

    job = asked_for_a_code()

    assert job.state == Job.State.WAITING
    assert "451" in job.last_error


def test_server_that_is_down_holds_up_no_other_work(serve, client, asked_for_a_code, settings):
    """Each mail would hold a thread of the worker for up to half a minute, and be tried again up to fourteen times."""
    mailbox = serve()
    asked_for_a_code()
    up, settings.EMAIL_PORT = settings.EMAIL_PORT, 9
    for name in ("dov", "bruno", "ana"):
        client.post("/code", {"email": f"{name}@mail.example"})

    run_due()

    waiting = Job.objects.filter(queue=QUEUE, state=Job.State.WAITING)
    assert sorted(waiting.values_list("attempts", flat=True)) == [0, 0, 1]
    assert Queue.objects.get(name=QUEUE).concurrency == 1

    settings.EMAIL_PORT = up
    resume_queue(QUEUE)
    waiting.update(due_at=timezone.now())
    run_due()
    assert len(mailbox.mails) == 4
    assert not Queue.objects.exists()


def test_recipient_that_is_refused_for_now_holds_up_no_other_mail(serve, asked_for_a_code):
    serve().refused["chika@mail.example"] = "451 come back later"

    asked_for_a_code()

    assert not Queue.objects.exists()


def test_command_without_an_installation_is_refused(tmp_path, monkeypatch):
    from regulars.cli.__main__ import main

    monkeypatch.setenv("REGULARS_HOME", str(tmp_path / "nothing"))
    monkeypatch.delenv("REGULARS_SECRET_KEY", raising=False)

    result = CliRunner().invoke(main, ["mail", "test", "ana@shop.example"])

    assert result.exit_code == 1
    assert "no_installation" in result.output


SMTP_VARIABLES = ("HOST", "PORT", "USER", "PASSWORD", "TLS")


@pytest.fixture
def environment(monkeypatch) -> Callable[..., None]:
    """Return a function that sets `REGULARS_SMTP_*`, and only what it is given."""

    def put(**given: str) -> None:
        for name in SMTP_VARIABLES:
            monkeypatch.delenv(f"REGULARS_SMTP_{name}", raising=False)
        for name, value in given.items():
            monkeypatch.setenv(f"REGULARS_SMTP_{name}", value)

    return put


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, MailServer()),
        ({"HOST": "smtp.example"}, MailServer("smtp.example", 587)),
        ({"HOST": "smtp.example", "TLS": "implicit"}, MailServer("smtp.example", 465, tls="implicit")),
        ({"HOST": "smtp.example", "TLS": "None", "PORT": "2525"}, MailServer("smtp.example", 2525, tls="none")),
        (
            {"HOST": "smtp.example", "USER": "u", "PASSWORD": " p "},
            MailServer("smtp.example", 587, "u", " p ", "starttls"),
        ),
        (
            {"HOST": "localhost", "USER": "u", "PASSWORD": "p", "TLS": "none"},
            MailServer("localhost", 25, "u", "p", "none"),
        ),
    ],
)
def test_mail_server_is_read_from_the_environment(environment, given, found):
    environment(**given)

    assert mail_server() == found


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"HOST": "smtp.example", "TLS": "ssl"}, "bad_smtp_tls"),
        ({"HOST": "smtp.example", "PORT": "smtp"}, "bad_number"),
        ({"HOST": "smtp.example", "PORT": "70000"}, "bad_number"),
        ({"HOST": "smtp.example", "PORT": "0"}, "bad_number"),
        ({"HOST": "smtp://smtp.example"}, "bad_smtp_host"),
        ({"HOST": "smtp.example:587"}, "bad_smtp_host"),
        ({"USER": "u", "PASSWORD": "p"}, "smtp_host_missing"),
        ({"HOST": "smtp.example", "USER": "u"}, "smtp_login_incomplete"),
        ({"HOST": "smtp.example", "PASSWORD": "p"}, "smtp_login_incomplete"),
        ({"HOST": "smtp.example", "USER": "u", "PASSWORD": "p", "TLS": "none"}, "smtp_password_in_clear"),
    ],
)
def test_wrong_mail_settings_are_refused_by_code(environment, given, code):
    environment(**given)

    with pytest.raises(ImproperlyConfigured, match=rf"\({code}\)"):
        mail_server()


def test_password_of_the_mail_server_is_in_no_representation():
    assert "hidden" not in repr(MailServer("smtp.example", 587, "u", "hidden"))
