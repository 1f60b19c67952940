"""Authorization codes: written with everything decided, redeemed once by one statement."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass, replace

from django.db import connection, transaction
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.base.db.compiled_query import CompiledInsert
from regulars.clients.cache import may_refresh
from regulars.clients.models import Client
from regulars.oauth.models import AuthorizationCode
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import may_sign_in_sql

from . import refresh
from .grants import Grant

LIVES = dt.timedelta(seconds=60)

# Whoever sets `family` has the code; everybody else finds it set. A customer blocked meanwhile gets nothing.
REDEEM = (
    f"UPDATE {AuthorizationCode._meta.db_table} SET family = %s"  # noqa: S608 - the names are our own
    " WHERE hash = %s AND client_id = %s AND family IS NULL AND expires_at > %s"
    f" AND {may_sign_in_sql(f'{AuthorizationCode._meta.db_table}.profile_id')}"
    ' RETURNING profile_id, "grant"'
)


@dataclass(frozen=True)
class Redeemed:
    """A code's grant, and the first refresh token when offline access was granted."""

    grant: Grant
    refresh_token: str
    family: uuid.UUID


def issue(profile: Profile, grant: Grant) -> str:
    """A new code."""
    code = random_secret(43)
    _write(
        AuthorizationCode(
            hash=fingerprint(code),
            client_id=grant.client_id,
            profile=profile,
            grant=grant.kept(),
            expires_at=timezone.now() + LIVES,
        )
    )
    return code


_write = CompiledInsert(AuthorizationCode)


def redeem(code: str, client: Client, jkt: str = "") -> Redeemed | None:
    """The grant, for exactly one of however many ask at once. A code asked for again ends what it had started.

    `jkt` is the thumbprint of the key that was proved; a code bound to another key is used up and gives nothing.

    The first refresh token is born in the transaction in which the code dies, so that a replay, which waits for the
    row, always finds the family it must end.
    """
    family = uuid.uuid4()
    with transaction.atomic():
        row = _redeemed(code, client, family)
        if row:
            profile_id, grant = row
            if grant.jkt and grant.jkt != jkt:
                return None
            grant = replace(grant, jkt=jkt)
            offline = grant.is_offline and may_refresh(client)
            token = refresh.start(family, profile_id, grant) if offline else ""
            return Redeemed(grant, token, family)
        _end_what_it_started(code, client)
    return None


def _redeemed(code: str, client: Client, family: uuid.UUID) -> tuple[int, Grant] | None:
    to_database = connection.ops.adapt_datetimefield_value
    uuid_field = AuthorizationCode._meta.get_field("family")
    parameters = [
        uuid_field.get_db_prep_value(family, connection),
        fingerprint(code),
        client.pk,
        to_database(timezone.now()),
    ]
    with connection.cursor() as cursor:
        cursor.execute(REDEEM, parameters)
        row = cursor.fetchone()
    if row is None:
        return None
    kept = json.loads(row[1]) if isinstance(row[1], str) else row[1]
    return row[0], Grant(**kept)


def _end_what_it_started(code: str, client: Client) -> None:
    used = AuthorizationCode.objects.filter(hash=fingerprint(code), client=client, family__isnull=False).first()
    if used and used.family:
        refresh.end(used.family, "code_replayed")
