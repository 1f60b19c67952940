"""Helpers that read the environment."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from zoneinfo import ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from regulars.base import clock
from regulars.base.addresses import is_local
from regulars.base.home_folder import KEY, home, make_home

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def number(name: str, default: int = 0) -> int:
    """Return an environment variable as a non-negative integer; `default` when it is not set."""
    given = os.environ.get(name) or str(default)
    if not given.isdecimal():
        raise ImproperlyConfigured(f"{name} must be a number, not {given!r} (bad_number)")
    return int(given)


def number_or_networks(name: str) -> int | list[Network]:
    """Return an environment variable as a number, or as a list of IP addresses and networks; 0 when it is not set."""
    given = os.environ.get(name, "").replace(",", " ").split()
    if (len(given) < 2 and "".join(given).isdecimal()) or not given:
        return int("".join(given) or 0)
    try:
        return [ipaddress.ip_network(each) for each in given]
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} must be a number, or IP addresses and networks, not {' '.join(given)!r} (bad_number)"
        ) from None


SMTP_PORTS = {"starttls": 587, "implicit": 465, "none": 25}  # by `REGULARS_SMTP_TLS`


@dataclass(frozen=True)
class MailServer:
    """The server that mails are handed to. `tls` is a key of `SMTP_PORTS`. An empty `host`: mails are files."""

    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    tls: str = "starttls"


def mail_server() -> MailServer:
    """Read `REGULARS_SMTP_*`. A password never travels in clear text to another machine."""
    host, user, tls = (os.environ.get(f"REGULARS_SMTP_{name}", "").strip() for name in ("HOST", "USER", "TLS"))
    password, tls = os.environ.get("REGULARS_SMTP_PASSWORD", ""), tls.lower() or "starttls"
    if tls not in SMTP_PORTS:
        raise ImproperlyConfigured(f"REGULARS_SMTP_TLS must be starttls, implicit or none, not {tls!r} (bad_smtp_tls)")
    port = number("REGULARS_SMTP_PORT", SMTP_PORTS[tls])
    if not 0 < port < 65536:
        raise ImproperlyConfigured(f"REGULARS_SMTP_PORT must be a port, not {port} (bad_number)")
    if not host:
        if user or password:
            raise ImproperlyConfigured("REGULARS_SMTP_USER needs REGULARS_SMTP_HOST (smtp_host_missing)")
        return MailServer()
    if any(letter.isspace() or letter in "/@" for letter in host) or host.count(":") == 1:
        raise ImproperlyConfigured(
            f"REGULARS_SMTP_HOST must be a host name, without scheme and port, not {host!r} (bad_smtp_host)"
        )
    if bool(user) != bool(password):
        raise ImproperlyConfigured(
            "REGULARS_SMTP_USER and REGULARS_SMTP_PASSWORD need each other (smtp_login_incomplete)"
        )
    if password and tls == "none" and not is_local(f"smtp://{host}"):
        raise ImproperlyConfigured(
            "REGULARS_SMTP_TLS=none would send REGULARS_SMTP_PASSWORD in clear text; choose starttls or implicit "
            "(smtp_password_in_clear)"
        )
    return MailServer(host, port, user, password, tls)


def secret_key() -> str:
    """Return `$REGULARS_SECRET_KEY`, or the key that this installation generated and stores in its home."""
    given = os.environ.get("REGULARS_SECRET_KEY")
    if given:
        return given
    path = home() / KEY
    if not path.exists():
        make_home(home())
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process was quicker
            return path.read_text().strip()
        with os.fdopen(descriptor, "w") as file:
            file.write(get_random_secret_key())
    return path.read_text().strip()


def check_time_zone() -> None:
    """Raise `ImproperlyConfigured` when `REGULARS_TIME_ZONE` is no time zone."""
    try:
        clock.zone()
    except (ZoneInfoNotFoundError, ValueError):
        raise ImproperlyConfigured(
            "REGULARS_TIME_ZONE must name a time zone, such as Europe/Lisbon (bad_time_zone)"
        ) from None
