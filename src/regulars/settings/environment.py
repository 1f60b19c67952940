"""Helpers that read the environment."""

from __future__ import annotations

import ipaddress
import os
from zoneinfo import ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from regulars.base import clock
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
