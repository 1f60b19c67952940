"""What a rule declares: the purpose that it serves, the recipients that it calls, and what it sends them.

A call to a declared host is made under the rule's purpose. Any other call is made under the purpose that the operator chose
for undeclared rules, or, while none is chosen, to provide the service (`SERVE`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from regulars.base.configuration.versioned_cache import VersionedCache
from regulars.base.errors import Invalid
from regulars.base.text import JsonObject
from regulars.consent.purposes import get_purpose

from .models import Rule, UndeclaredRules
from .named_hosts import calls_out, hosts_in

SERVE = "serve"
UNREADABLE = "an address that the code works out"
MOST = 50  # recipients of a rule, hosts of a recipient, names of what it sends
_HOST = re.compile(r"\.?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\]")
_SETTING = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

_chosen: VersionedCache[str, str] = VersionedCache(
    lambda _: UndeclaredRules.objects.values_list("purpose_id", flat=True).first(), UndeclaredRules, absent=True
)


@dataclass(frozen=True)
class DeclaredRecipient:
    """One recipient by the name that customers read; without one, the host is the name.

    A host is `api.example.com`, `.example.com` for everything below it, or `{NAME}` for that in the address of a setting.
    """

    name: str
    hosts: tuple[str, ...]

    def as_json(self) -> JsonObject:
        return {"name": self.name, "hosts": list(self.hosts)}


def chosen_purpose() -> str:
    """Return the purpose that the operator chose for undeclared rules, empty before."""
    return _chosen("") or ""


def undeclared_purpose() -> str:
    """Return the purpose of what rules do without a declaration."""
    return chosen_purpose() or SERVE


def choose_undeclared_purpose(key: str) -> None:
    """Set the purpose of undeclared rules. Raises `Invalid("unknown_purpose")`."""
    UndeclaredRules.objects.update_or_create(pk=1, defaults={"purpose": get_purpose(key)})


def purpose_of(declared: str | None) -> str:
    """Return the purpose under which a rule works and writes, given the one that it declares."""
    return declared or undeclared_purpose()


def read_recipients(given: Any) -> tuple[DeclaredRecipient, ...]:
    """Read recipients as `Rule.recipients` stores them. Raises `Invalid("bad_recipients")`."""
    if not isinstance(given, list | tuple) or len(given) > MOST:
        raise _bad(f"Recipients are a list of at most {MOST}.")
    return tuple(_recipient(each) for each in given)


def read_sends(given: Any) -> tuple[str, ...]:
    """Read the names of what a rule sends. Raises `Invalid("bad_sends")`."""
    right = isinstance(given, list | tuple) and len(given) <= MOST
    if not right or not all(isinstance(each, str) and 0 < len(each) <= 255 for each in given):
        raise Invalid("bad_sends", f"What a rule sends is a list of at most {MOST} names of attributes.", "sends")
    return tuple(given)


def recipient_of(host: str, recipients: Iterable[DeclaredRecipient], settings: Mapping[str, Any]) -> str | None:
    """Return the name of the declared recipient that a host belongs to, the host where it has none; None: undeclared."""
    host = host.lower()
    for each in recipients:
        if any(covers(pattern, host) for pattern in resolved(each.hosts, settings)):
            return each.name or host
    return None


def covers(pattern: str, host: str) -> bool:
    """Return whether a host is the one of the pattern, or below `.example.com`."""
    return host == pattern or (pattern.startswith(".") and host.endswith(pattern))


def resolved(hosts: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Return the hosts with those that settings name. A setting is a web address or a host; an empty one names none."""
    return [found for each in hosts if (found := _resolved(each, settings))]


def undeclared_hosts(rule: Rule, shared: Mapping[str, Any]) -> list[str]:
    """Return the hosts that a rule names and does not declare, as far as its code can be read."""
    settings = {**shared, **rule.settings}
    recipients = read_recipients(rule.recipients)
    named = hosts_in(rule.script, settings)
    missing = sorted(host for host in named if recipient_of(host, recipients, settings) is None)
    if not named and not recipients and calls_out(rule.script):
        return [UNREADABLE]
    return missing


def recipients_as_text(recipients: Sequence[JsonObject]) -> str:
    """Return recipients as the console's form has them, one a line: `HubSpot: api.hubapi.com, .hubspot.com`."""
    return "\n".join(f"{each['name']}: {', '.join(each['hosts'])}".removeprefix(": ") for each in recipients)


def recipients_from_text(text: str) -> list[JsonObject]:
    """Read the form of `recipients_as_text`; a line without a colon has hosts only."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, hosts = line.rpartition(": ")
        found.append({"name": name.strip() if colon else "", "hosts": re.split(r"[,\s]+", hosts.strip())})
    return found


def _recipient(given: Any) -> DeclaredRecipient:
    if not isinstance(given, dict) or not given.keys() <= {"name", "hosts"}:
        raise _bad("A recipient has a name and hosts.")
    name, hosts = given.get("name", ""), given.get("hosts")
    if not isinstance(name, str) or len(name) > 128:
        raise _bad("The name of a recipient has at most 128 characters.")
    if not isinstance(hosts, list | tuple) or not 0 < len(hosts) <= MOST:
        raise _bad(f"A recipient has between 1 and {MOST} hosts.")
    read = [each if isinstance(each, str) and _SETTING.fullmatch(each) else str(each).lower() for each in hosts]
    for each in read:
        if not _SETTING.fullmatch(each) and (len(each) > 255 or not _HOST.fullmatch(each)):
            raise _bad(f"{each!r} is no host. Write api.example.com, .example.com or {{NAME_OF_A_SETTING}}.")
    return DeclaredRecipient(name.strip(), tuple(read))


def _resolved(host: str, settings: Mapping[str, Any]) -> str:
    setting = _SETTING.fullmatch(host)
    if setting is None:
        return host
    value = str(settings.get(setting[1]) or "").strip()
    try:
        return (urlsplit(value if "://" in value else f"//{value}").hostname or "").lower()
    except ValueError:
        return ""


def _bad(sentence: str) -> Invalid:
    return Invalid("bad_recipients", sentence, "recipients")
