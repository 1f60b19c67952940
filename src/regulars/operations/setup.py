"""Set-up at every start: tables, standard attributes and purposes, first clients and staff, credentials.json.

Set-up may run any number of times. Existing objects stay, and what was removed stays removed; addresses follow the current
address of Regulars.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Q

from regulars.accounts.models import Account
from regulars.base.addresses import Addresses
from regulars.base.crypto import hash_secret, random_secret
from regulars.base.db.sqlite.turns import SUFFIX as TURNS
from regulars.base.db.usable_database import refuse_unusable_database
from regulars.base.errors import Conflict
from regulars.base.home_folder import close
from regulars.clients.models import Client, ClientGrant, ResourceServer, management_audience
from regulars.connections.save import ensure_own_connections
from regulars.consent.journal import ensure_begun
from regulars.consent.purposes import ensure_standard_purposes
from regulars.events.models import Source
from regulars.interfaces.api.customer_access import SCOPE, customers_api
from regulars.profiles.attributes import ensure_standard_attributes
from regulars.rules.sandbox.compile_cache import EngineUnavailable
from regulars.rules.sandbox.realm import prepare

from .demo import seed_demo
from .scratch import CREDENTIALS, leftovers_of_restore, remove

SETUP = "setup"
DEMO_STAFF = "ana@harbour-and-pine.example"
MANAGEMENT_API = "Management API"
CUSTOMERS_API = "Questions in your app"
MANAGEMENT_SCOPES = [
    *(
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
    ),
    "create:refusals",
    "update:restrictions",
]
GRANTED_BY_STAFF = ["read:user_idp_tokens"]  # tokens of customers at their providers: no client has it by itself
Credentials = dict[str, dict[str, str]]  # section of credentials.json → its fields


def set_up(addresses: Addresses, *, demo: bool, report: Callable[[str], None]) -> None:
    """Set up this installation. `report` receives messages about slow steps.

    Raises `Conflict`: `database_is_newer`, `demo_home`, `not_a_demo_home`.
    """
    refuse_unusable_database()
    remove(leftovers_of_restore())
    _refuse_other_kind(demo=demo)
    call_command("migrate", verbosity=0, interactive=False)
    _close_stores()
    path = settings.HOME / CREDENTIALS
    with transaction.atomic():
        ensure_standard_attributes()
        ensure_standard_purposes()
        ensure_begun()
        ensure_own_connections(mail_codes=demo)
        _ensure_customers_api()
        stored: Credentials = json.loads(path.read_text()) if path.exists() else {}
        is_new = not Account.objects.filter(is_staff=True).exists()
        source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop"})
        credentials: Credentials = {
            "console": _staff(stored.get("console", {}), addresses, demo=demo, is_new=is_new),
            "management": _management(stored.get("management", {}), is_new=is_new),
            "collector": {"write_key": stored.get("collector", {}).get("write_key") or source.write_key},
        }
        if demo:
            credentials["shop"] = _shop(stored.get("shop", {}), addresses, is_new=is_new)
    _write_privately(path, credentials)
    try:
        prepare()  # the JavaScript image, which takes seconds, so that no login waits for it
    except (EngineUnavailable, OSError) as fault:
        report(f"JavaScript rules cannot run here: {fault}.")
    if demo:
        seed_demo(addresses, report)


def _refuse_other_kind(*, demo: bool) -> None:
    """Refuse the demo in an installation that serves customers, and customers in one that holds the demo.

    Either way invented and real customers would be in one database, with the demo's connections and staff.
    """
    if Client._meta.db_table not in connection.introspection.table_names():
        return
    made_here = Client.objects.filter(metadata__made_by=SETUP)
    holds_demo = (
        made_here.filter(metadata__has_key="demo").exists()
        or Account.objects.filter(email=DEMO_STAFF, is_staff=True).exists()
    )
    if holds_demo and not demo:
        raise Conflict(
            "demo_home",
            f"{settings.HOME} or its database holds the demo: invented customers, the staff member {DEMO_STAFF}, "
            "connections to mock services, a destination and the application Shop. Set up your own installation in "
            "another folder (--home) or database (DATABASE_URL), or start this one with --demo.",
        )
    if demo and not holds_demo and (made_here.exists() or Account.objects.filter(is_staff=True).exists()):
        raise Conflict(
            "not_a_demo_home",
            f"{settings.HOME} or its database holds an installation without the demo, which would invent customers in "
            "it. Start it with --no-demo, or choose another folder with --home.",
        )


def _close_stores() -> None:
    """Close the database file and the lake, which may be outside of the home folder, to other users."""
    if connection.vendor == "sqlite":
        name = Path(str(connection.settings_dict["NAME"]))
        for beside in ("", "-wal", "-shm", TURNS):
            close(name.with_name(name.name + beside))
    if "://" not in str(settings.LAKE_URL):
        close(Path(settings.LAKE_URL))


def _ensure_customers_api() -> None:
    """Ensure the API that apps of the company request a token for, to show questions on their own pages."""
    ours = ResourceServer.objects.filter(Q(name=CUSTOMERS_API) | Q(identifier=customers_api()))
    api = ours.first() or ResourceServer(name=CUSTOMERS_API)
    api.identifier, api.scopes, api.scope_words = customers_api(), [SCOPE], {SCOPE: "Ask you questions"}
    api.save()


def _staff(stored: dict[str, str], addresses: Addresses, *, demo: bool, is_new: bool) -> dict[str, str]:
    """Make the first member of staff. The password changes only when the file that held it is missing.

    One who was removed since does not come back.
    """
    email = stored.get("email") or (DEMO_STAFF if demo else "owner@localhost")
    password = stored.get("password") or random_secret(16)
    account = Account.objects.filter(email=email, is_staff=True).first()
    if account is None and not is_new:
        return {"url": f"{addresses.regulars}/console/"}
    if account is None:
        Account.objects.create_staff(email, password)
    elif not stored.get("password"):
        account.set_password(password)
        account.save(update_fields=["password"])
    return {"url": f"{addresses.regulars}/console/", "email": email, "password": password}


def _management(stored: dict[str, str], *, is_new: bool) -> dict[str, str]:
    """Make a client with every scope of the Management API. Later it gets only the scopes that a new version adds."""
    audience = management_audience()
    before = ResourceServer.objects.filter(name=MANAGEMENT_API).first()
    api, _ = ResourceServer.objects.update_or_create(
        name=MANAGEMENT_API, defaults={"identifier": audience, "scopes": [*MANAGEMENT_SCOPES, *GRANTED_BY_STAFF]}
    )
    found = _client("Management", stored, is_new=is_new)
    if found is None:
        return stored
    client, secret, is_made = found
    if is_made:
        client.grant_types, client.auth_method = ["client_credentials"], Client.AuthMethod.POST
        client.save()
        ClientGrant.objects.create(client=client, resource_server=api, scopes=MANAGEMENT_SCOPES)
    added = [scope for scope in MANAGEMENT_SCOPES if before is None or scope not in before.scopes]
    for grant in ClientGrant.objects.filter(client=client, resource_server=api) if added else ():
        grant.scopes = list(dict.fromkeys((*grant.scopes, *added)))
        grant.save(update_fields=["scopes"])
    return {"client_id": client.pk, "client_secret": secret, "audience": audience}


def _shop(stored: dict[str, str], addresses: Addresses, *, is_new: bool) -> dict[str, str]:
    """Ensure the example shop of the demo."""
    callback = f"{addresses.shop}/callback"
    found = _client("Shop", stored, is_new=is_new)
    if found is None:
        return stored
    client, secret, is_made = found
    if is_made:
        client.grant_types = ["authorization_code", "refresh_token"]
    client.redirect_uris, client.logout_uris = [callback], [addresses.shop + "/"]
    client.web_origins = [addresses.shop]
    client.save()
    return {"client_id": client.pk, "client_secret": secret, "callback": callback}


def _client(name: str, stored: dict[str, str], *, is_new: bool) -> tuple[Client, str, bool] | None:
    """Return the client with its secret, and whether it was made now. None: it was deleted, and does not come back.

    Its secret is stored in credentials.json only, so a lost file means a new secret. One that was rotated stays.
    """
    client = Client.objects.filter(name=name, metadata__made_by=SETUP).first()
    if client is None and stored.get("client_id") and not is_new:
        return None
    is_made = client is None
    client = client or Client(
        client_id=stored.get("client_id") or random_secret(32), name=name, metadata={"made_by": SETUP}
    )
    secret = stored.get("client_secret") or random_secret(64)
    if is_made or not stored.get("client_secret"):
        client.secret_hash = hash_secret(secret)
    client.save()
    return client, secret, is_made


def _write_privately(path: Path, credentials: Credentials) -> None:
    """Replace the file atomically. Other users can never read it."""
    text = json.dumps(credentials, indent=2) + "\n"
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
