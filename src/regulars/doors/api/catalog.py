"""`/api/v2/connections`: what is set up, without any secret."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Query, Router

from regulars.profiles.models import Connection

from .access import Bearer
from .errors import ApiError
from .paging import Paging, refuse_unknown

router = Router(tags=["connections"])


class ConnectionList(Paging):
    """With `take` the answer is a page after the connection `from`, and `next` names the page after it."""

    strategy: str = ""
    name: str = ""
    take: int | None = Field(None, ge=1, le=100)
    after: str = Field("", alias="from", pattern=r"^(con_\d{16})?$")


@router.get("/connections", auth=Bearer("read:connections"), response=Any, summary="List connections")
def list_connections(request: HttpRequest, query: Query[ConnectionList]) -> Any:
    refuse_unknown(request, ConnectionList)
    rows = Connection.objects.order_by("id")
    rows = rows.filter(strategy=query.strategy) if query.strategy else rows
    rows = rows.filter(name=query.name) if query.name else rows
    if query.take:
        return _checkpoint(rows, query.take, query.after)
    return query.answer("connections", [_connection(row) for row in rows[query.start : query.end]], rows.count())


@router.get("/connections/{connection_id}", auth=Bearer("read:connections"), response=Any, summary="Get a connection")
def get_connection(request: HttpRequest, connection_id: str) -> Any:
    row = next((row for row in Connection.objects.all() if _connection_id(row) == connection_id), None)
    if row is None:
        raise ApiError(404, "inexistent_connection", "The connection does not exist.")
    return _connection(row)


def _checkpoint(rows: QuerySet[Connection], take: int, after: str) -> dict[str, Any]:
    page = list(rows.filter(pk__gt=int(after.removeprefix("con_") or 0))[: take + 1])
    answer: dict[str, Any] = {"connections": [_connection(row) for row in page[:take]]}
    if len(page) > take:
        answer["next"] = _connection_id(page[take - 1])
    return answer


def _connection(row: Connection) -> dict[str, Any]:
    return {
        "id": _connection_id(row),
        "name": row.name,
        "strategy": row.strategy,
        "display_name": row.display_name,
        "options": {"client_id": row.client_id, "scope": row.scopes} if row.client_id else {},
        "is_domain_connection": False,
        "enabled_clients": [],
    }


def _connection_id(row: Connection) -> str:
    return f"con_{row.pk:016d}"
