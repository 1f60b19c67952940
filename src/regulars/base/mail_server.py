"""The mail server: a connection whose error names the step that failed."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.utils import DNS_NAME

from .errors import Invalid, Unavailable

FILES = "django.core.mail.backends.filebased.EmailBackend"
LONGEST_REPLY = 200
FAULTS = (OSError, smtplib.SMTPException, UnicodeError)  # of the network, of TLS (`ssl.SSLError`), of SMTP
Report = Callable[[str], None]  # receives each step that succeeded


def sends_to_files() -> bool:
    """Return whether mails are files in the home folder, because no mail server is set."""
    return bool(settings.EMAIL_BACKEND == FILES)


class SmtpBackend(EmailBackend):
    """Django's, which also trusts the authorities of `REGULARS_CA_FILES` and says which step failed.

    Raises `Unavailable`: `mail_name_resolution`, `mail_connection`, `mail_tls`, `mail_login`, `mail_sender_refused`,
    `mail_message_refused`, `mail_recipient_refused`; `Invalid("mail_recipient_refused")` when the server refuses the address for good.
    """

    def __init__(self, *args: Any, report: Report = lambda step: None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.report = report

    def open(self) -> bool | None:
        if self.connection:
            return False
        self.connection = self._greeted()
        try:
            self._secure(self.connection)
            self._log_in(self.connection)
        except BaseException:
            self.close()
            raise
        return True

    def _greeted(self) -> smtplib.SMTP:
        """Resolve the name, connect and read the greeting; with TLS from the first byte if so set."""
        place = f"{self.host}:{self.port}"
        with _step("mail_name_resolution", f"The name {self.host} cannot be resolved"):
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        self.report(f"name: {self.host} is {found[0][4][0]}")
        more: dict[str, Any] = {"local_hostname": DNS_NAME.get_fqdn(), "timeout": self.timeout}
        hint = "" if self.use_ssl else " If the server speaks TLS from the first byte, set REGULARS_SMTP_TLS=implicit."
        with (
            _step("mail_connection", f"{place} does not answer as a mail server", hint),
            _step("mail_tls", f"TLS with {place} failed", _tls_hint(self.use_ssl), faults=(ssl.SSLError,)),
        ):
            if self.use_ssl:
                server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, context=self._trust(), **more)
            else:
                server = smtplib.SMTP(self.host, self.port, **more)
        self.report(f"connection: {place} answers")
        return server

    def _secure(self, server: smtplib.SMTP) -> None:
        place = f"{self.host}:{self.port}"
        with _step("mail_connection", f"{place} refused the greeting"):
            server.ehlo_or_helo_if_needed()
        if self.use_tls:
            if not server.has_extn("starttls"):
                raise Unavailable("mail_tls", f"{place} does not offer STARTTLS. Without it nothing is sent.")
            with _step("mail_tls", f"TLS with {place} failed", _tls_hint(self.use_ssl)):
                server.starttls(context=self._trust())
                server.ehlo()
        version = server.sock.version() if isinstance(server.sock, ssl.SSLSocket) else ""
        self.report(f"TLS: {version}, the certificate is that of {self.host}" if version else "TLS: none")

    def _log_in(self, server: smtplib.SMTP) -> None:
        if not self.username:
            self.report("login: none")
            return
        with _step("mail_login", f"{self.host} refused the login of {self.username}", hide=self.password or ""):
            server.login(self.username, self.password or "")
        self.report(f"login: as {self.username}")

    def _send(self, email_message: EmailMessage) -> bool:
        recipients = ", ".join(email_message.recipients())
        try:
            sent = bool(super()._send(email_message))  # type: ignore[misc]  # not in the stubs
        except smtplib.SMTPRecipientsRefused as refused:
            code, reply = next(iter(refused.recipients.values()))
            kind = Invalid if 500 <= code < 600 else Unavailable
            raise kind("mail_recipient_refused", f"{self.host} refused {recipients}: {code} {_text(reply)}") from None
        except smtplib.SMTPSenderRefused as refused:
            advice = "REGULARS_FROM_EMAIL must be an address that it sends for."
            sentence = f"{self.host} refused the sender {email_message.from_email}: {_why(refused)}. {advice}"
            raise Unavailable("mail_sender_refused", sentence) from None
        except (smtplib.SMTPException, OSError) as fault:
            raise Unavailable("mail_message_refused", f"{self.host} did not take the message: {_why(fault)}") from None
        if sent:
            self.report(f"message: taken for {recipients}, from {email_message.from_email}")
        return sent

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for path in settings.CA_FILES:
            context.load_verify_locations(path)
        return context


@contextmanager
def _step(
    code: str, sentence: str, hint: str = "", *, faults: tuple[type[Exception], ...] = FAULTS, hide: str = ""
) -> Iterator[None]:
    """Turn faults within into `Unavailable(code)`; by default those of the network, of TLS and of SMTP."""
    try:
        yield
    except Unavailable:
        raise
    except faults as fault:
        why = _why(fault)
        why = why.replace(hide, "…") if hide else why
        raise Unavailable(code, f"{sentence}: {why}.{hint}") from None


def _tls_hint(implicit: bool) -> str:
    if implicit:
        return " If the server begins without TLS, set REGULARS_SMTP_TLS=starttls."
    return " REGULARS_CA_FILES names the authority of a server of your own."


def _why(fault: Exception) -> str:
    if isinstance(fault, smtplib.SMTPResponseException):
        return f"{fault.smtp_code} {_text(fault.smtp_error)}"
    if isinstance(fault, ssl.SSLCertVerificationError):
        return fault.verify_message.rstrip(".")
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    if isinstance(fault, smtplib.SMTPException):
        return str(fault).rstrip(".")
    return (getattr(fault, "strerror", None) or str(fault) or type(fault).__name__).rstrip(".")


def _text(reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:LONGEST_REPLY].rstrip(".")
