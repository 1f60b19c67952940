"""`/api/v2/client-grants`: the scopes that a machine may use at an API."""

from __future__ import annotations

import re
from typing import Annotated, Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status
from pydantic import ConfigDict

from regulars.clients.models import ClientGrant, ResourceServer
from regulars.interfaces.http_api.access import Bearer
from regulars.interfaces.http_api.error_responses import ApiError, invalid_body
from regulars.interfaces.http_api.requests import refuse_unknown
from regulars.usecases.grant_purposes import ACCOUNT, set_purpose

from .clients import Word, find_client
from .paging import Paging
from .resource_servers import ScopeName, find_api

router = Router(tags=["APIs"])


class ClientGrantList(Paging):
    audience: Word = ""
    client_id: Word = ""


class GrantChange(Schema):
    """`purpose`: for which customers are read at the Management API (ours, not Auth0's); empty: to run their accounts.

    Left out, it stays as it was.
    """

    model_config = ConfigDict(extra="forbid")

    scope: Annotated[list[ScopeName], Field(max_length=1000)] = []
    purpose: Annotated[str, Field(max_length=32)] | None = None


class NewGrant(GrantChange):
    client_id: Word = Field(...)
    audience: Word = Field(...)


@router.get("/client-grants", auth=Bearer("read:client_grants"), response=Any, summary="List what machines may do")
def list_client_grants(request: HttpRequest, query: Query[ClientGrantList]) -> Any:
    refuse_unknown(request, ClientGrantList)
    rows = ClientGrant.objects.select_related("resource_server").order_by("id")
    rows = rows.filter(resource_server__identifier=query.audience) if query.audience else rows
    rows = rows.filter(client_id=query.client_id) if query.client_id else rows
    return query.answer("client_grants", [_document(row) for row in rows[query.start : query.end]], rows.count())


@router.post("/client-grants", auth=Bearer("create:client_grants"), response={201: Any}, summary="Let a machine call")
def post_client_grant(request: HttpRequest, body: NewGrant) -> Any:
    client, api = find_client(body.client_id), find_api(body.audience)
    _refuse_unknown_scopes(body.scope, api)
    row = ClientGrant(client=client, resource_server=api, scopes=body.scope)
    set_purpose(row, body.purpose or "")
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ApiError(409, "client_grant_conflict", "This client has a grant for this API already.") from None
    return Status(201, _document(row))


@router.get("/client-grants/{grant_id}", auth=Bearer("read:client_grants"), response=Any, summary="Get a grant")
def get_client_grant(request: HttpRequest, grant_id: str) -> Any:
    return _document(_find(grant_id))


@router.patch("/client-grants/{grant_id}", auth=Bearer("update:client_grants"), response=Any, summary="Change a grant")
def patch_client_grant(request: HttpRequest, grant_id: str, body: GrantChange) -> Any:
    row = _find(grant_id)
    _refuse_unknown_scopes(body.scope, row.resource_server)
    if body.purpose is not None:
        set_purpose(row, body.purpose)
    if "scope" in body.model_fields_set or body.purpose is None:
        row.scopes = body.scope
    row.save(update_fields=["scopes", "purpose"])
    return _document(row)


@router.delete(
    "/client-grants/{grant_id}", auth=Bearer("delete:client_grants"), response={204: None}, summary="Delete a grant"
)
def delete_client_grant(request: HttpRequest, grant_id: str) -> Any:
    ClientGrant.objects.filter(pk=_number(grant_id)).delete()
    return Status(204, None)


def _find(grant_id: str) -> ClientGrant:
    row = ClientGrant.objects.select_related("resource_server").filter(pk=_number(grant_id)).first()
    if row is None:
        raise ApiError(404, "inexistent_client_grant", "The client grant does not exist.")
    return row


def _number(grant_id: str) -> int:
    found = re.fullmatch(r"cgr_([0-9]{16})", grant_id)
    return int(found[1]) if found else 0


def _refuse_unknown_scopes(scopes: list[str], api: ResourceServer) -> None:
    unknown = [scope for scope in scopes if scope not in api.scopes]
    if unknown:
        raise invalid_body(f"The API has no scope {unknown[0]!r}.")


def _document(row: ClientGrant) -> dict[str, object]:
    return {
        "id": f"cgr_{row.pk:016d}",
        "client_id": row.client_id,
        "audience": row.resource_server.identifier,
        "scope": row.scopes,
        "purpose": row.purpose or ACCOUNT,
    }
