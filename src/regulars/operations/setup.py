"""The first start, and every later one: tables, standard nouns, the first clients and staff, credentials.json.

Everything here may run any number of times. What it made stays; addresses follow the place where Regulars now runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.db.models import Q

from regulars.accounts.models import Account
from regulars.base.crypto import hash_secret, matches_secret, random_secret
from regulars.clients.models import Client, ClientGrant, ResourceServer
from regulars.connections.save import ensure_own_connections
from regulars.consent.purposes import ensure_standard_purposes
from regulars.events.models import Source
from regulars.interfaces.management_api.customer import SCOPE, customers_api
from regulars.profiles.attributes import ensure_standard_attributes
from regulars.rules.sandbox.cache import Unavailable
from regulars.rules.sandbox.realm import prepare
from regulars.settings.addresses import Addresses

from .demo import seed_demo
from .doctor import CREDENTIALS

SETUP = "setup"
MANAGEMENT_API = "Management API"
CUSTOMERS_API = "Questions in your app"
MANAGEMENT_SCOPES = [
    f"{verb}:{noun}"
    for noun in (
        "users",
        "users_app_metadata",
        "clients",
        "client_keys",
        "client_grants",
        "resource_servers",
        "grants",
        "connections",
        "segments",
        "events",
    )
    for verb in ("read", "create", "update", "delete")
]
Kept = dict[str, dict[str, str]]


def set_up(addresses: Addresses, *, demo: bool, say: Callable[[str], None]) -> None:
    """`say` hears what takes long."""
    call_command("migrate", verbosity=0, interactive=False)
    path = settings.HOME / CREDENTIALS
    with transaction.atomic():
        ensure_standard_attributes()
        ensure_standard_purposes()
        ensure_own_connections(enabled=demo)
        _ensure_customers_api()
        credentials = _credentials(_kept(path), addresses, demo)
    _write_privately(path, credentials)
    _prepare_rules(say)
    if demo:
        seed_demo(addresses, say)


def _ensure_customers_api() -> None:
    """What an app of the company asks a token for, to put questions to its customers on its own pages."""
    ours = ResourceServer.objects.filter(Q(name=CUSTOMERS_API) | Q(identifier=customers_api()))
    api = ours.first() or ResourceServer(name=CUSTOMERS_API)
    api.identifier, api.scopes, api.scope_words = customers_api(), [SCOPE], {SCOPE: "Ask you questions"}
    api.save()


def _prepare_rules(say: Callable[[str], None]) -> None:
    """Seconds now, so that no login waits for them."""
    try:
        prepare()
    except (Unavailable, OSError) as fault:
        say(f"JavaScript rules will not run here: {fault}.")


def _credentials(kept: Kept, addresses: Addresses, demo: bool) -> dict[str, dict[str, str]]:
    return {
        "console": _staff(kept.get("console", {}), addresses, demo),
        "management": _management(kept.get("management", {})),
        "shop": _shop(kept.get("shop", {}), addresses),
        "collector": {"write_key": _write_key(kept.get("collector", {}))},
    }


def _staff(kept: dict[str, str], addresses: Addresses, demo: bool) -> dict[str, str]:
    """The first member of staff. Her password is never changed here, unless the file that held it is gone."""
    email = kept.get("email") or ("ana@harbour-and-pine.example" if demo else "owner@localhost")
    password = kept.get("password") or random_secret(16)
    account = Account.objects.filter(email=email, is_staff=True).first()
    if account is None:
        Account.objects.create_staff(email, password)
    elif not kept.get("password"):
        account.set_password(password)
        account.save(update_fields=["password"])
    return {"url": f"{addresses.regulars}/console/", "email": email, "password": password}


def _management(kept: dict[str, str]) -> dict[str, str]:
    """A machine that may do everything the Management API offers."""
    audience = f"{settings.ISSUER}api/v2/"
    api, _ = ResourceServer.objects.update_or_create(
        name=MANAGEMENT_API, defaults={"identifier": audience, "scopes": MANAGEMENT_SCOPES}
    )
    client, secret = _client("Management", kept, grant_types=["client_credentials"], auth_method=Client.AuthMethod.POST)
    ClientGrant.objects.update_or_create(client=client, resource_server=api, defaults={"scopes": MANAGEMENT_SCOPES})
    return {"client_id": client.pk, "client_secret": secret, "audience": audience}


def _shop(kept: dict[str, str], addresses: Addresses) -> dict[str, str]:
    """The company's first own app."""
    callback = f"{addresses.shop}/callback"
    client, secret = _client(
        "Shop",
        kept,
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[callback],
        logout_uris=[addresses.shop + "/"],
        web_origins=[addresses.shop],
    )
    return {"client_id": client.pk, "client_secret": secret, "callback": callback}


def _client(name: str, kept: dict[str, str], **fields: Any) -> tuple[Client, str]:
    """The client and its secret, which only credentials.json knows: a lost file means a new secret."""
    before = Client.objects.filter(name=name, metadata__made_by=SETUP).first()
    client = before or Client(
        client_id=kept.get("client_id") or random_secret(32), name=name, metadata={"made_by": SETUP}
    )
    secret = kept.get("client_secret") or random_secret(64)
    if not matches_secret(secret, client.secret_hash):
        client.secret_hash = hash_secret(secret)
    for field, value in fields.items():
        setattr(client, field, value)
    client.save()
    return client, secret


def _write_key(kept: dict[str, str]) -> str:
    source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop"})
    return kept.get("write_key") or source.write_key


def _kept(path: Path) -> Kept:
    try:
        found: Kept = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found


def _write_privately(path: Path, credentials: dict[str, dict[str, str]]) -> None:
    """Whole or not at all, and nobody else's to read at any moment."""
    text = json.dumps(credentials, indent=2) + "\n"
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
