"""`/api/v2/connections`, as in Auth0's Management API. Secrets can be written and never read.

Every app may use every connection, so `enabled_clients` is accepted and always empty.
"""

from __future__ import annotations

from typing import Annotated, Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Field, Query, Router, Status
from pydantic import StringConstraints

from regulars.base import clock
from regulars.connections.models import Connection
from regulars.connections.provider import find_provider
from regulars.connections.save import ConnectionSpec, save_connection, url_keys
from regulars.interfaces.http_api.access import Bearer
from regulars.interfaces.http_api.error_responses import ApiError
from regulars.interfaces.http_api.requests import refuse_unknown
from regulars.profiles.document import iso

from . import compatibility
from .compatibility import CompatibleBody
from .paging import Paging
from .users import Text

router = Router(tags=["clients and connections"])
Secret = Annotated[str, StringConstraints(max_length=4000)]
# Auth0's names for addresses of its `oauth2` strategy.
AUTH0_URLS = {"authorizationURL": "authorize", "tokenURL": "token", "issuer": "issuer"}


class ConnectionList(Paging):
    """With `take` the answer is the page after the connection `from`; `next` names the following page."""

    strategy: str = ""
    name: str = ""
    take: int | None = Field(None, ge=1, le=100)
    after: str = Field("", alias="from", pattern=r"^(con_\d{16})?$")


class ConnectionOptions(CompatibleBody):
    """The settings of a connection at its provider. `requested_claims`, `urls`, `settings` and `offline`
    are ours, the rest Auth0's.

    Other options of Auth0 are ignored or refused (`interfaces/management_api/compatibility.py`).
    """

    without_effect = compatibility.OPTIONS

    client_id: Text = ""
    client_secret: Secret = ""
    app_secret: Secret = ""
    team_id: Text = ""
    kid: Text = ""
    scope: list[Text] | Text = Field(default_factory=list)
    requested_claims: list[Text] = Field(default_factory=list)
    urls: dict[str, Text] = Field(default_factory=dict)
    settings: dict[str, Text] = Field(default_factory=dict)
    offline: bool = False
    offline_access: bool = False
    issuer: Text = ""
    authorizationURL: Text = ""  # noqa: N815 - Auth0's word
    tokenURL: Text = ""  # noqa: N815

    @property
    def scopes(self) -> list[str]:
        return self.scope.split() if isinstance(self.scope, str) else list(self.scope)

    @property
    def own_settings(self) -> dict[str, str]:
        """Settings by our names; Apple's two may come under Auth0's names."""
        renamed = {"team_id": self.team_id, "key_id": self.kid}
        return {**{key: value for key, value in renamed.items() if value}, **self.settings}

    def addresses(self, strategy: str) -> dict[str, str]:
        """Every address of the strategy: one that was not sent is cleared, because options are replaced whole."""
        provider = find_provider(strategy)
        renamed = {key: url for name, key in AUTH0_URLS.items() if (url := getattr(self, name))}
        return {**dict.fromkeys(url_keys(provider) if provider else [], ""), **renamed, **self.urls}


class ConnectionChange(CompatibleBody):
    without_effect = compatibility.CONNECTION

    display_name: Text | None = None
    options: ConnectionOptions | None = None
    enabled_clients: list[Text] = Field(default_factory=list)
    is_domain_connection: bool = False
    show_as_button: bool | None = None
    realms: list[Text] = Field(default_factory=list)


class NewConnection(ConnectionChange):
    name: Text
    strategy: Text


@router.get("/connections", auth=Bearer("read:connections"), response=Any, summary="List connections")
def list_connections(request: HttpRequest, query: Query[ConnectionList]) -> Any:
    refuse_unknown(request, ConnectionList)
    rows = Connection.objects.order_by("id")
    rows = rows.filter(strategy=query.strategy) if query.strategy else rows
    rows = rows.filter(name=query.name) if query.name else rows
    if not query.take:
        return query.answer("connections", [_document(row) for row in rows[query.start : query.end]], rows.count())
    page = list(rows.filter(pk__gt=_number(query.after))[: query.take + 1])
    following = {"next": _id(page[query.take - 1])} if len(page) > query.take else {}
    return {"connections": [_document(row) for row in page[: query.take]], **following}


@router.post("/connections", auth=Bearer("create:connections"), response={201: Any}, summary="Create a connection")
def post_connection(request: HttpRequest, body: NewConnection) -> Any:
    spec = _spec(
        body, body.options or ConnectionOptions(), body.name, body.strategy, enabled=body.show_as_button is not False
    )
    return Status(201, _document(save_connection(spec)))


@router.get("/connections/{connection_id}", auth=Bearer("read:connections"), response=Any, summary="Get a connection")
def get_connection(request: HttpRequest, connection_id: str) -> Any:
    return _document(_find(connection_id))


@router.patch(
    "/connections/{connection_id}", auth=Bearer("update:connections"), response=Any, summary="Update a connection"
)
def patch_connection(request: HttpRequest, connection_id: str, body: ConnectionChange) -> Any:
    """A property that is absent stays. `options` are replaced whole, except a secret that is absent."""
    with transaction.atomic():
        row = _find(connection_id, lock=True)  # what is absent stays as it is by then, also beside another PATCH
        enabled = row.enabled if body.show_as_button is None else body.show_as_button
        options = body.options or ConnectionOptions(**_options(row))
        spec = _spec(body, options, row.name, row.strategy, enabled=enabled, before=row)
        return _document(save_connection(spec, row))


@router.delete(
    "/connections/{connection_id}",
    auth=Bearer("delete:connections"),
    response={202: Any},
    summary="Delete a connection",
)
def delete_connection(request: HttpRequest, connection_id: str) -> Any:
    """Delete a connection. Its users stay customers and can no longer sign in by it."""
    Connection.objects.filter(pk=_number(connection_id)).delete()
    return Status(202, {"deleted_at": iso(clock.now())})


def _spec(
    body: ConnectionChange,
    options: ConnectionOptions,
    name: str,
    strategy: str,
    *,
    enabled: bool,
    before: Connection | None = None,
) -> ConnectionSpec:
    shown = body.display_name if body.display_name is not None else before.display_name if before else name
    return ConnectionSpec(
        name=name,
        strategy=strategy,
        display_name=shown,
        client_id=options.client_id,
        secret=options.client_secret or options.app_secret,
        urls=options.addresses(strategy),
        settings=options.own_settings,
        scopes=options.scopes,
        requested_claims=options.requested_claims,
        note=before.note if before else "",
        enabled=enabled,
        offline=options.offline or options.offline_access,
    )


def _find(connection_id: str, *, lock: bool = False) -> Connection:
    rows = Connection.objects.select_for_update(no_key=True) if lock else Connection.objects.all()
    row = rows.filter(pk=_number(connection_id)).first()
    if row is None or _id(row) != connection_id:
        raise ApiError(404, "inexistent_connection", "The connection does not exist.")
    return row


def _number(connection_id: str) -> int:
    digits = connection_id.removeprefix("con_")
    return int(digits) if len(digits) == 16 and digits.isascii() and digits.isdigit() else 0


def _document(row: Connection) -> dict[str, object]:
    return {
        "id": _id(row),
        "name": row.name,
        "strategy": row.strategy,
        "display_name": row.display_name,
        "options": _options(row) if row.client_id else {},
        "is_domain_connection": False,
        "show_as_button": row.enabled,
        "realms": [row.name],
        "enabled_clients": [],
    }


def _options(row: Connection) -> dict[str, Any]:
    """The options as they are written, without the secret: they can be read, changed and sent back."""
    return {
        "client_id": row.client_id,
        "scope": row.scopes,
        "requested_claims": row.requested_claims,
        "urls": row.urls,
        "settings": row.settings,
        "offline": row.offline,
    }


def _id(row: Connection) -> str:
    return f"con_{row.pk:016d}"
