"""`/api/v2/resource-servers` and `/api/v2/client-grants`: the company's APIs, and which machines may call them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status
from pydantic import ConfigDict, StringConstraints

from regulars.clients.models import ClientGrant, ResourceServer

from .access import Bearer
from .clients import Word, find_client
from .errors import ApiError, invalid_body
from .paging import Paging, refuse_unknown

router = Router(tags=["APIs"])
ScopeName = Annotated[str, StringConstraints(min_length=1, max_length=280, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
LONGEST_LIFETIME = 2592000  # seconds: a retired signing key verifies for as long


class Scope(Schema):
    model_config = ConfigDict(extra="forbid")

    value: ScopeName
    description: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] = ""


class ApiChange(Schema):
    """The body of PATCH. What is not sent stays."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^<>\x00]+$")] | None = None
    scopes: Annotated[list[Scope], Field(max_length=1000)] | None = None
    allow_offline_access: bool | None = None
    token_lifetime: int | None = Field(None, ge=1, le=LONGEST_LIFETIME)
    token_lifetime_for_web: int | None = Field(None, ge=1, le=LONGEST_LIFETIME)
    token_dialect: ResourceServer.Dialect | None = None
    skip_consent_for_verifiable_first_party_clients: bool | None = None
    signing_alg: Annotated[str, StringConstraints(pattern="^RS256$")] | None = None


class NewApi(ApiChange):
    identifier: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] = Field(...)


class GrantList(Paging):
    audience: Word = ""
    client_id: Word = ""


class GrantChange(Schema):
    model_config = ConfigDict(extra="forbid")

    scope: Annotated[list[ScopeName], Field(max_length=1000)] = []


class NewGrant(GrantChange):
    client_id: Word = Field(...)
    audience: Word = Field(...)


@router.get("/resource-servers", auth=Bearer("read:resource_servers"), response=Any, summary="List APIs")
def list_apis(request: HttpRequest, query: Query[Paging]) -> Any:
    refuse_unknown(request, Paging)
    rows = ResourceServer.objects.order_by("id")
    return query.answer("resource_servers", [_api(row) for row in rows[query.start : query.end]], rows.count())


@router.post("/resource-servers", auth=Bearer("create:resource_servers"), response={201: Any}, summary="Create an API")
def post_api(request: HttpRequest, body: NewApi) -> Any:
    row = ResourceServer(identifier=body.identifier, name=body.name or body.identifier[:100])
    row.allow_offline_access = False  # as Auth0's, unless it is sent
    _take(row, body)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ApiError(409, "resource_server_conflict", "A resource server with this identifier exists.") from None
    return Status(201, _api(row))


@router.get("/resource-servers/{path:id}", auth=Bearer("read:resource_servers"), response=Any, summary="Get an API")
def get_api(request: HttpRequest, id: str) -> Any:  # noqa: A002 - Auth0's name in the address
    return _api(_find_api(id))


@router.patch(
    "/resource-servers/{path:id}", auth=Bearer("update:resource_servers"), response=Any, summary="Change an API"
)
def patch_api(request: HttpRequest, id: str, body: ApiChange) -> Any:  # noqa: A002
    row = _find_api(id)
    _take(row, body)
    row.save()
    return _api(row)


@router.delete(
    "/resource-servers/{path:id}", auth=Bearer("delete:resource_servers"), response={204: None}, summary="Delete an API"
)
def delete_api(request: HttpRequest, id: str) -> Any:  # noqa: A002
    ResourceServer.objects.filter(_named(id)).delete()
    return Status(204, None)


@router.get("/client-grants", auth=Bearer("read:client_grants"), response=Any, summary="List what machines may do")
def list_grants(request: HttpRequest, query: Query[GrantList]) -> Any:
    refuse_unknown(request, GrantList)
    rows = ClientGrant.objects.select_related("resource_server").order_by("id")
    rows = rows.filter(resource_server__identifier=query.audience) if query.audience else rows
    rows = rows.filter(client_id=query.client_id) if query.client_id else rows
    return query.answer("client_grants", [_grant(row) for row in rows[query.start : query.end]], rows.count())


@router.post("/client-grants", auth=Bearer("create:client_grants"), response={201: Any}, summary="Let a machine call")
def post_grant(request: HttpRequest, body: NewGrant) -> Any:
    client, api = find_client(body.client_id), _find_api(body.audience)
    _refuse_unknown_scopes(body.scope, api)
    try:
        with transaction.atomic():
            row = ClientGrant.objects.create(client=client, resource_server=api, scopes=body.scope)
    except IntegrityError:
        raise ApiError(409, "client_grant_conflict", "This client has a grant for this API already.") from None
    return Status(201, _grant(row))


@router.get("/client-grants/{grant_id}", auth=Bearer("read:client_grants"), response=Any, summary="Get a grant")
def get_grant(request: HttpRequest, grant_id: str) -> Any:
    return _grant(_find_grant(grant_id))


@router.patch("/client-grants/{grant_id}", auth=Bearer("update:client_grants"), response=Any, summary="Change a grant")
def patch_grant(request: HttpRequest, grant_id: str, body: GrantChange) -> Any:
    row = _find_grant(grant_id)
    _refuse_unknown_scopes(body.scope, row.resource_server)
    row.scopes = body.scope
    row.save(update_fields=["scopes"])
    return _grant(row)


@router.delete(
    "/client-grants/{grant_id}", auth=Bearer("delete:client_grants"), response={204: None}, summary="Take a grant back"
)
def delete_grant(request: HttpRequest, grant_id: str) -> Any:
    ClientGrant.objects.filter(pk=_number(grant_id)).delete()
    return Status(204, None)


def _find_api(name: str) -> ResourceServer:
    row = ResourceServer.objects.filter(_named(name)).first()
    if row is None:
        raise ApiError(404, "inexistent_resource_server", "The resource server does not exist.")
    return row


def _named(name: str) -> Q:
    """Auth0 takes the id or the identifier itself."""
    number = int(name, 16) if re.fullmatch(r"[0-9a-f]{24}", name) else 0
    return Q(identifier=name) | Q(pk=number) if 0 < number < 2**63 else Q(identifier=name)


def _find_grant(grant_id: str) -> ClientGrant:
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


def _take(row: ResourceServer, body: ApiChange) -> None:
    sent = body.model_dump(exclude_unset=True, exclude_none=True)
    for name in ("name", "allow_offline_access", "token_lifetime", "token_lifetime_for_web", "token_dialect"):
        if name in sent:
            setattr(row, name, sent[name])
    row.skip_consent = sent.get("skip_consent_for_verifiable_first_party_clients", row.skip_consent)
    if body.scopes is not None:
        row.scopes = list(dict.fromkeys(scope.value for scope in body.scopes))
        row.scope_words = {scope.value: scope.description for scope in body.scopes if scope.description}


def _api(row: ResourceServer) -> dict[str, Any]:
    return {
        "id": f"{row.pk:024x}",
        "identifier": row.identifier,
        "name": row.name,
        "scopes": [{"value": scope, "description": row.scope_words.get(scope, "")} for scope in row.scopes],
        "signing_alg": "RS256",
        "allow_offline_access": row.allow_offline_access,
        "token_lifetime": row.token_lifetime,
        "token_lifetime_for_web": row.token_lifetime_for_web,
        "token_dialect": row.token_dialect,
        "skip_consent_for_verifiable_first_party_clients": row.skip_consent,
        "is_system": False,
    }


def _grant(row: ClientGrant) -> dict[str, Any]:
    return {
        "id": f"cgr_{row.pk:016d}",
        "client_id": row.client_id,
        "audience": row.resource_server.identifier,
        "scope": row.scopes,
    }
