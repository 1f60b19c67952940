"""`/api/v2/resource-servers`: the APIs that access tokens are issued for."""

from __future__ import annotations

import re
from typing import Annotated, Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status
from pydantic import ConfigDict, StringConstraints

from regulars.clients.models import ResourceServer
from regulars.clients.register import check_api_identifier
from regulars.interfaces.http_api.access import Bearer
from regulars.interfaces.http_api.error_responses import ApiError
from regulars.interfaces.http_api.requests import refuse_unknown

from .paging import Paging

router = Router(tags=["APIs"])
ScopeName = Annotated[str, StringConstraints(min_length=1, max_length=280, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
LONGEST_LIFETIME = 2592000  # seconds: a retired signing key verifies for as long


class Scope(Schema):
    model_config = ConfigDict(extra="forbid")

    value: ScopeName
    description: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] = ""


class ApiChange(Schema):
    """The body of PATCH. A property that is absent stays."""

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


@router.get("/resource-servers", auth=Bearer("read:resource_servers"), response=Any, summary="List APIs")
def list_apis(request: HttpRequest, query: Query[Paging]) -> Any:
    refuse_unknown(request, Paging)
    rows = ResourceServer.objects.order_by("id")
    return query.answer("resource_servers", [_document(row) for row in rows[query.start : query.end]], rows.count())


@router.post("/resource-servers", auth=Bearer("create:resource_servers"), response={201: Any}, summary="Create an API")
def post_api(request: HttpRequest, body: NewApi) -> Any:
    check_api_identifier(body.identifier)
    row = ResourceServer(identifier=body.identifier, name=body.name or body.identifier[:100])
    row.allow_offline_access = False  # Auth0's default
    _apply(body, row)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ApiError(409, "resource_server_conflict", "A resource server with this identifier exists.") from None
    return Status(201, _document(row))


@router.get("/resource-servers/{path:id}", auth=Bearer("read:resource_servers"), response=Any, summary="Get an API")
def get_api(request: HttpRequest, id: str) -> Any:  # noqa: A002 - Auth0's name in the address
    return _document(find_api(id))


@router.patch(
    "/resource-servers/{path:id}", auth=Bearer("update:resource_servers"), response=Any, summary="Change an API"
)
def patch_api(request: HttpRequest, id: str, body: ApiChange) -> Any:  # noqa: A002
    with transaction.atomic():
        row = find_api(id, lock=True)  # what is absent stays as it is by then, also beside another PATCH
        _apply(body, row)
        row.save()
    return _document(row)


@router.delete(
    "/resource-servers/{path:id}", auth=Bearer("delete:resource_servers"), response={204: None}, summary="Delete an API"
)
def delete_api(request: HttpRequest, id: str) -> Any:  # noqa: A002
    ResourceServer.objects.filter(_by_name(id)).delete()
    return Status(204, None)


def find_api(name: str, *, lock: bool = False) -> ResourceServer:
    rows = ResourceServer.objects.select_for_update(no_key=True) if lock else ResourceServer.objects.all()
    row = rows.filter(_by_name(name)).first()
    if row is None:
        raise ApiError(404, "inexistent_resource_server", "The resource server does not exist.")
    return row


def _by_name(name: str) -> Q:
    """Auth0 accepts the id or the identifier in an address."""
    number = int(name, 16) if re.fullmatch(r"[0-9a-f]{24}", name) else 0
    return Q(identifier=name) | Q(pk=number) if 0 < number < 2**63 else Q(identifier=name)


def _apply(body: ApiChange, row: ResourceServer) -> None:
    sent = body.model_dump(exclude_unset=True, exclude_none=True)
    for name in ("name", "allow_offline_access", "token_lifetime", "token_lifetime_for_web", "token_dialect"):
        if name in sent:
            setattr(row, name, sent[name])
    row.skip_consent = sent.get("skip_consent_for_verifiable_first_party_clients", row.skip_consent)
    if body.scopes is not None:
        row.scopes = list(dict.fromkeys(scope.value for scope in body.scopes))
        row.scope_words = {scope.value: scope.description for scope in body.scopes if scope.description}


def _document(row: ResourceServer) -> dict[str, object]:
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
