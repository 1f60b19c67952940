"""Recipients: who is given data about customers under each purpose, by the name that customers read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings

from regulars.clients.models import Client, ClientGrant, management_audience
from regulars.destinations.kind import KINDS
from regulars.destinations.models import Destination
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.source import SOURCES, EnrichmentSource
from regulars.rules.declaration import covers, purpose_of, read_recipients, resolved
from regulars.rules.models import Rule
from regulars.rules.named_hosts import named_hosts
from regulars.rules.run import configuration
from regulars.segments.models import Segment

SERVED = "serve"  # tokens and rules carry what this purpose may use


class RecipientKind(StrEnum):
    DESTINATION = "destination"
    LOOKUP = "lookup"
    APPLICATION = "application"
    RULE_HOST = "rule_host"


@dataclass(frozen=True, order=True)
class Recipient:
    """One recipient. `place` is the host that data is sent to, empty for a file on this machine.

    `key` stays the same when the business renames it: a slug, the key of a source, a client id, a host. Another `place`
    under the same key is another recipient: what was shown before does not name it.
    """

    kind: RecipientKind
    key: str
    name: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.place})" if self.place and self.place != self.name else self.name


def recipients_of(purpose: str) -> tuple[Recipient, ...]:
    """Return the recipients of one purpose, in an order that does not depend on the database."""
    others = (*_destinations(), *_lookups(), *_readers(), *_rule_hosts())
    return _named((*others, *(_applications() if purpose == SERVED else ()))).get(purpose, ())


def recipients_by_purpose() -> dict[str, tuple[Recipient, ...]]:
    """Return purpose → recipients, in as many queries as for one purpose. A purpose without any is left out.

    Named are those that may receive something now: a destination that is switched off, or a source on this machine, does not.
    """
    return _named((*_destinations(), *_lookups(), *_readers(), *_rule_hosts(), *_applications()))


def _named(pairs: Iterable[tuple[str, Recipient]]) -> dict[str, tuple[Recipient, ...]]:
    found: defaultdict[str, set[Recipient]] = defaultdict(set)
    for purpose, recipient in pairs:
        found[purpose].add(recipient)
    return {purpose: tuple(sorted(each)) for purpose, each in found.items()}


def _destinations() -> Iterator[tuple[str, Recipient]]:
    """Yield destinations under their own purpose, and under those of their segments: being in one is disclosed too."""
    of_segment = dict(Segment.objects.values_list("slug", "purpose_id"))
    for each in Destination.objects.filter(enabled=True):
        place = KINDS[each.kind].place(each.settings) if each.kind in KINDS else ""
        recipient = Recipient(RecipientKind.DESTINATION, each.slug, each.name, place)
        yield each.purpose_id, recipient
        for slug in each.segment_slugs:
            if slug in of_segment:
                yield of_segment[slug], recipient


def _lookups() -> Iterator[tuple[str, Recipient]]:
    for each in SourceSetting.objects.filter(enabled=True).select_related("purpose"):
        if each.key not in SOURCES or (source := SOURCES[each.key]).is_local or source.why_not_for(each.purpose):
            continue
        yield each.purpose_id, lookup_recipient(each, source)


def lookup_recipient(setting: SourceSetting, source: EnrichmentSource) -> Recipient:
    """Name a source. The business names no company for an address of its own: there the host is the name."""
    place = source.place(setting.settings)
    name = place if source.is_mapped and place else source.company or source.title
    return Recipient(RecipientKind.LOOKUP, setting.key, name, place)


def _applications() -> Iterator[tuple[str, Recipient]]:
    """Yield applications of other companies, which receive tokens when a customer signs in there."""
    for key, name in Client.objects.filter(first_party=False).values_list("client_id", "name"):
        yield SERVED, Recipient(RecipientKind.APPLICATION, key, name)


def _readers() -> Iterator[tuple[str, Recipient]]:
    """Yield applications of other companies that read customers at the Management API for a purpose of their grant."""
    grants = ClientGrant.objects.filter(client__first_party=False, resource_server__identifier=management_audience())
    for purpose, key, name in grants.exclude(purpose="").values_list("purpose", "client_id", "client__name"):
        yield purpose, Recipient(RecipientKind.APPLICATION, key, name)


def _rule_hosts() -> Iterator[tuple[str, Recipient]]:
    """Yield what rules declare under their purposes, and other hosts that they may call under that of undeclared rules."""
    rules = list(Rule.objects.filter(enabled=True))
    shared = configuration() if rules else {}
    declared: set[str] = set()
    for rule in rules:
        values = {**shared, **rule.settings}
        for each in read_recipients(rule.recipients):
            for host in resolved(each.hosts, values):
                declared.add(host)
                yield purpose_of(rule.purpose_id), Recipient(RecipientKind.RULE_HOST, host, each.name or host, host)
    for host in rule_hosts(rules):
        if not any(covers(pattern, host) for pattern in declared):
            yield purpose_of(None), Recipient(RecipientKind.RULE_HOST, host, host, host)


def rule_hosts(rules: Sequence[Rule] | None = None) -> list[str]:
    """Return the hosts that the enabled rules may call by the setting, else those that they name themselves."""
    rules = list(Rule.objects.filter(enabled=True)) if rules is None else rules
    if not settings.RULE_HOSTS:
        return named_hosts(rules)
    return list(settings.RULE_HOSTS) if rules else []
