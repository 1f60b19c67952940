"""The mock services on this machine: social networks, a statistics office and a webhook receiver.

Their addresses change with `--port`. Stored addresses follow as long as they still point at a mock service.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from regulars.base.addresses import Addresses
from regulars.connections.login_methods import MOCK_NOTE
from regulars.connections.models import Connection
from regulars.destinations.models import Destination
from regulars.destinations.save import save_destination
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.save import save_source

from .content import JACKETS
from .customers import GOOGLE

# The credentials of the shop at the mock Google; examples/mock_services/app.py has the same values.
CLIENT_ID, CLIENT_SECRET = "harbour-and-pine.apps.mock", "mock-secret"
CENSUS, RECEIVER = "/census", "/webhooks/"
CENSUS_SOURCE = "us-census-acs"
RECEIVER_NAME = "Harbour & Pine's own system"


@dataclass(frozen=True)
class Network:
    """A mock social network: its path, the name of the setting that holds its address, and the optional scopes to request."""

    title: str
    path: str
    address: str
    requested_claims: tuple[str, ...] = ()


NETWORKS = {
    GOOGLE: Network("Google", "/google", "issuer", ("birthday", "gender", "address")),
    "facebook": Network("Facebook", "/facebook", "site", ("birthday", "gender", "location", "likes")),
    "twitter": Network("X", "/x", "site"),
    "linkedin": Network("LinkedIn", "/linkedin", "issuer"),
}


def point_at_mock_services(addresses: Addresses) -> None:
    """Create every connection, source and destination that points at a mock service, unless it exists."""
    _make_connections(addresses)
    if not SourceSetting.objects.filter(key=CENSUS_SOURCE).exists():
        save_source(CENSUS_SOURCE, {"base_url": addresses.mock_services + CENSUS, "api_key": "mock"})
    if not Destination.objects.filter(name=RECEIVER_NAME).exists():
        save_destination(
            RECEIVER_NAME,
            "webhook",
            {"url": addresses.mock_services + RECEIVER, "secret": _signing_secret()},
            purpose="personalise",
            segment_slugs=[JACKETS],
        )


def follow_addresses(addresses: Addresses) -> None:
    """Update stored addresses to the current ones of the mock services. Addresses that staff changed stay."""
    for connection in Connection.objects.filter(client_id=CLIENT_ID, name__in=NETWORKS):
        network = NETWORKS[connection.name]
        if _has_moved(connection.urls.get(network.address, ""), network.path, addresses):
            connection.urls = {**connection.urls, network.address: addresses.mock_services + network.path}
            connection.save(update_fields=["urls"])
    for setting in SourceSetting.objects.filter(key=CENSUS_SOURCE):
        if _has_moved(setting.settings["base_url"], CENSUS, addresses):
            setting.settings = {**setting.settings, "base_url": addresses.mock_services + CENSUS}
            setting.save(update_fields=["settings"])
    for destination in Destination.objects.filter(kind="webhook"):
        if _has_moved(destination.settings["url"], RECEIVER, addresses):
            destination.settings = {**destination.settings, "url": addresses.mock_services + RECEIVER}
            destination.save(update_fields=["settings"])


def _make_connections(addresses: Addresses) -> None:
    for name, network in NETWORKS.items():
        Connection.objects.get_or_create(
            name=name,
            defaults={
                "strategy": name,
                "display_name": network.title,
                "client_id": CLIENT_ID,
                "secret": CLIENT_SECRET,
                "requested_claims": list(network.requested_claims),
                "urls": {network.address: addresses.mock_services + network.path},
                "note": MOCK_NOTE,
            },
        )


def _has_moved(url: str, path: str, addresses: Addresses) -> bool:
    """Return whether `url` was the address of this mock service at another port or without https."""
    was, now = urlsplit(url), urlsplit(addresses.mock_services + path)
    return (was.hostname, was.path) == (now.hostname, now.path) and url != now.geturl()


def _signing_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
