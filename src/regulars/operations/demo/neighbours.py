"""The stand-ins on this machine: a social network, a statistics office and the company's own receiver of news.

Their addresses change with `--port`. Those that Regulars keeps follow, as long as they still point at a stand-in.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from regulars.connections.models import Connection
from regulars.destinations.models import Destination
from regulars.destinations.save import save_destination
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.save import save_source
from regulars.settings.places import Places

from .house import JACKETS
from .people import GOOGLE

# How the stand-in of Google knows the shop; the same words are in examples/standins/app.py.
CLIENT_ID, CLIENT_SECRET = "harbour-and-pine.apps.stand-in", "stand-in-secret"
CENSUS, RECEIVER = "/census", "/webhooks/"
CENSUS_SOURCE = "us-census-acs"
RECEIVER_NAME = "Harbour & Pine's own system"


@dataclass(frozen=True)
class Network:
    """A stand-in of a social network: its path, the name of the one address that says where it is, what it is asked for."""

    title: str
    path: str
    address: str
    pieces: tuple[str, ...] = ()


NETWORKS = {
    GOOGLE: Network("Google", "/google", "issuer", ("birthday", "gender", "address")),
    "facebook": Network("Facebook", "/facebook", "site", ("birthday", "gender", "location", "likes")),
    "twitter": Network("X", "/x", "site"),
    "linkedin": Network("LinkedIn", "/linkedin", "issuer"),
}


def make_neighbours(places: Places) -> None:
    """Everything that points at a stand-in, and the way in with a password, unless it is there."""
    _make_connections(places)
    if not SourceSetting.objects.filter(key=CENSUS_SOURCE).exists():
        save_source(CENSUS_SOURCE, {"base_url": places.standins + CENSUS, "api_key": "stand-in"})
    if not Destination.objects.filter(name=RECEIVER_NAME).exists():
        save_destination(
            RECEIVER_NAME,
            "webhook",
            {"url": places.standins + RECEIVER, "secret": _signing_secret()},
            purpose="personalise",
            segment_slugs=[JACKETS],
        )


def follow(places: Places) -> None:
    """Where the stand-ins answer now. What its staff pointed elsewhere stays there."""
    for connection in Connection.objects.filter(client_id=CLIENT_ID, name__in=NETWORKS):
        network = NETWORKS[connection.name]
        if _has_moved(connection.urls.get(network.address, ""), network.path, places):
            connection.urls = {**connection.urls, network.address: places.standins + network.path}
            connection.save(update_fields=["urls"])
    for setting in SourceSetting.objects.filter(key=CENSUS_SOURCE):
        if _has_moved(setting.settings["base_url"], CENSUS, places):
            settings = {**setting.settings, "base_url": places.standins + CENSUS}
            save_source(setting.key, settings, enabled=setting.enabled, purpose=setting.purpose_id)
    for destination in Destination.objects.filter(kind="webhook"):
        if _has_moved(destination.settings["url"], RECEIVER, places):
            destination.settings = {**destination.settings, "url": places.standins + RECEIVER}
            destination.save(update_fields=["settings"])


def _make_connections(places: Places) -> None:
    for name, network in NETWORKS.items():
        Connection.objects.get_or_create(
            name=name,
            defaults={
                "strategy": name,
                "display_name": network.title,
                "client_id": CLIENT_ID,
                "secret": CLIENT_SECRET,
                "pieces": list(network.pieces),
                "urls": {network.address: places.standins + network.path},
                "note": f"A stand-in with invented people, not the real {network.title}",
            },
        )


def _has_moved(url: str, path: str, places: Places) -> bool:
    """Whether this was the address of the stand-in with this path, at another port or without its https."""
    was, now = urlsplit(url), urlsplit(places.standins + path)
    return (was.hostname, was.path) == (now.hostname, now.path) and url != now.geturl()


def _signing_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
