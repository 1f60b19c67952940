"""`/api/v2/clients`: the apps of the business. A secret is shown only in the answer that created it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Field, Query, Router, Status
from pydantic import StringConstraints

from regulars.accounts.proofs.tickets import may_embed
from regulars.clients.models import Client
from regulars.clients.register import ClientSpec, change, register, rotate_secret, spec_of, take_secret
from regulars.interfaces.http_api.access import Bearer
from regulars.interfaces.http_api.error_responses import ApiError
from regulars.interfaces.http_api.requests import refuse_unknown

from . import compatibility
from .compatibility import CompatibleBody
from .paging import Paging

router = Router(tags=["clients"])
Address = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
Addresses = Annotated[list[Address], Field(max_length=100)]
Word = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
PUBLIC_KINDS = ("spa", "native")
# Auth0's name of a field → ours, where the value is the same.
FIELDS = {
    "name": "name",
    "token_endpoint_auth_method": "auth_method",
    "grant_types": "grant_types",
    "callbacks": "redirect_uris",
    "allowed_logout_urls": "logout_uris",
    "web_origins": "web_origins",
    "is_first_party": "first_party",
    "require_pushed_authorization_requests": "requires_par",
    "require_proof_of_possession": "requires_dpop",
    "jwks": "public_keys",
    "jwks_uri": "jwks_uri",
    "initiate_login_uri": "initiate_login_uri",
    "userinfo_signed_response_alg": "userinfo_algorithm",
    "default_max_age": "default_max_age",
    "token_endpoint_auth_signing_alg": "assertion_algorithm",
    "cross_origin_authentication": "embeds_login",
    "answers": "answers",
    "require_second_factor": "requires_second_factor",
    "sign_out_by_hint": "signs_out_by_hint",
    "userinfo_token_in_query": "token_in_query",
}


class RefreshSettings(CompatibleBody):
    """Lifetimes in seconds. Refresh tokens always rotate and expire."""

    without_effect = compatibility.REFRESH_TOKEN

    rotation_type: Annotated[str, StringConstraints(pattern="^rotating$")] = "rotating"
    expiration_type: Annotated[str, StringConstraints(pattern="^expiring$")] = "expiring"
    leeway: int = Field(0, ge=0, le=60)
    token_lifetime: int = Field(2592000, ge=1, le=157788000)
    idle_token_lifetime: int = Field(1296000, ge=1, le=157788000)


class OidcLogout(CompatibleBody):
    without_effect = compatibility.OIDC_LOGOUT

    backchannel_logout_urls: Annotated[list[Address], Field(max_length=1)] = []


class ClientChange(CompatibleBody):
    """The body of PATCH. A property that is absent stays. `jwks` are public JSON Web Keys for `private_key_jwt`; `jwks_uri` is
    the address where the app publishes them instead, so that it can rotate them.

    `answers` is ours: the dialect of answers of the protocol (`auto`, `openid`, `auth0`; docs/developer/dialects.md).
    `cross_origin_authentication`: the app has its own sign-in form. `oidc_backchannel_logout` is an older name of
    `oidc_logout`. `sign_out_by_hint` and `userinfo_token_in_query` are ours (docs/developer/openid-connect.md). Other properties
    of Auth0 are ignored or refused (`interfaces/management_api/compatibility.py`).
    """

    without_effect = compatibility.CLIENT

    name: Word | None = None
    token_endpoint_auth_method: Word | None = None
    grant_types: Annotated[list[Word], Field(max_length=20)] | None = None
    callbacks: Addresses | None = None
    allowed_logout_urls: Addresses | None = None
    web_origins: Addresses | None = None
    is_first_party: bool | None = None
    require_pushed_authorization_requests: bool | None = None
    require_proof_of_possession: bool | None = None
    jwks: Annotated[list[dict[str, Any]], Field(max_length=10)] | None = None
    jwks_uri: Address | None = None
    initiate_login_uri: Address | None = None
    userinfo_signed_response_alg: Word | None = None
    default_max_age: int | None = Field(None, ge=0)
    token_endpoint_auth_signing_alg: Word | None = None
    oidc_logout: OidcLogout | None = None
    oidc_backchannel_logout: OidcLogout | None = None
    cross_origin_authentication: bool | None = None
    answers: Client.Answers | None = None
    require_second_factor: bool | None = None
    sign_out_by_hint: bool | None = None
    userinfo_token_in_query: bool | None = None
    refresh_token: RefreshSettings | None = None
    client_metadata: Annotated[dict[Word, Word | None], Field(max_length=50)] | None = None


class ClientPatch(ClientChange):
    without_effect = {**compatibility.CLIENT, "app_type": compatibility.anything}

    client_secret: Word | None = None


class NewClient(ClientChange):
    """The body of POST. An app of the `app_type` spa or native cannot keep a secret."""

    name: Word = Field(...)
    app_type: Word | None = None


@router.get("/clients", auth=Bearer("read:clients"), response=Any, summary="List clients")
def list_clients(request: HttpRequest, query: Query[Paging]) -> Any:
    refuse_unknown(request, Paging)
    rows = Client.objects.order_by("created_at", "client_id")
    return query.answer("clients", [_document(row) for row in rows[query.start : query.end]], rows.count())


@router.post("/clients", auth=Bearer("create:clients"), response={201: Any}, summary="Create a client")
def post_client(request: HttpRequest, body: NewClient) -> Any:
    app = ClientSpec(body.name)
    if body.app_type in PUBLIC_KINDS:
        app = replace(app, auth_method=Client.AuthMethod.NONE)
    elif body.app_type == "non_interactive":
        app = replace(app, grant_types=["client_credentials"])
    row, secret = register(_with_changes(app, body, {}))
    return Status(201, _document(row) | ({"client_secret": secret} if secret else {}))


@router.get("/clients/{client_id}", auth=Bearer("read:clients"), response=Any, summary="Get a client")
def get_client(request: HttpRequest, client_id: str) -> Any:
    return _document(find_client(client_id))


@router.patch("/clients/{client_id}", auth=Bearer("update:clients"), response=Any, summary="Change a client")
def patch_client(request: HttpRequest, client_id: str, body: ClientPatch) -> Any:
    with transaction.atomic():
        row = find_client(client_id, lock=True)  # what is absent stays as it is by then, also beside another PATCH
        changed, secret = change(row, _with_changes(spec_of(row), body, row.metadata))
        if body.client_secret is not None:
            secret = take_secret(changed, body.client_secret)
    return _document(changed) | ({"client_secret": secret} if secret else {})


@router.delete("/clients/{client_id}", auth=Bearer("delete:clients"), response={204: None}, summary="Delete a client")
def delete_client(request: HttpRequest, client_id: str) -> Any:
    Client.objects.filter(pk=client_id).delete()
    return Status(204, None)


@router.post(
    "/clients/{client_id}/rotate-secret",
    auth=Bearer("update:client_keys", "update:clients"),
    response=Any,
    summary="Give a client a new secret",
)
def post_rotate_secret(request: HttpRequest, client_id: str) -> Any:
    row = find_client(client_id)
    return _document(row) | {"client_secret": rotate_secret(row)}


def find_client(client_id: str, *, lock: bool = False) -> Client:
    rows = Client.objects.select_for_update(no_key=True) if lock else Client.objects.all()
    row = rows.filter(pk=client_id).first()
    if row is None:
        raise ApiError(404, "inexistent_client", "The client does not exist.")
    return row


def _document(row: Client) -> dict[str, object]:
    logout = [row.backchannel_logout_uri] if row.backchannel_logout_uri else []
    return {
        "client_id": row.client_id,
        "name": row.name,
        "is_first_party": row.first_party,
        "oidc_conformant": True,
        "token_endpoint_auth_method": row.auth_method,
        "grant_types": row.grant_types,
        "callbacks": row.redirect_uris,
        "allowed_logout_urls": row.logout_uris,
        "web_origins": row.web_origins,
        "oidc_logout": {"backchannel_logout_urls": logout},
        "require_pushed_authorization_requests": row.requires_par,
        "require_proof_of_possession": row.requires_dpop,
        "refresh_token": RefreshSettings(**row.refresh).model_dump(),
        "jwks": row.public_keys,
        "jwks_uri": row.jwks_uri,
        "initiate_login_uri": row.initiate_login_uri,
        "userinfo_signed_response_alg": row.userinfo_algorithm,
        "default_max_age": row.default_max_age,
        "token_endpoint_auth_signing_alg": row.assertion_algorithm,
        "cross_origin_authentication": may_embed(row),
        "answers": row.answers,
        "require_second_factor": row.requires_second_factor,
        "sign_out_by_hint": row.signs_out_by_hint,
        "userinfo_token_in_query": row.token_in_query,
        "client_metadata": {key: str(value) for key, value in row.metadata.items()},
    }


def _with_changes(app: ClientSpec, body: ClientChange, metadata: Mapping[str, object]) -> ClientSpec:
    """Return the app with the properties that were sent, under our names."""
    sent = body.model_dump(exclude_unset=True, exclude_none=True)
    news: dict[str, Any] = {ours: sent[name] for name, ours in FIELDS.items() if name in sent}
    if "default_max_age" in body.model_fields_set and body.default_max_age is None:
        news["default_max_age"] = -1
    for name in ("oidc_backchannel_logout", "oidc_logout"):
        if name in sent:
            news["backchannel_logout_uri"] = next(iter(sent[name].get("backchannel_logout_urls", [])), "")
    if body.refresh_token is not None:
        kept = body.refresh_token
        news["refresh"] = {name: getattr(kept, name) for name in ("leeway", "token_lifetime", "idle_token_lifetime")}
    if body.client_metadata is not None:
        merged = {**metadata, **body.client_metadata}
        news["metadata"] = {key: value for key, value in merged.items() if value is not None}
    return replace(app, **news)
