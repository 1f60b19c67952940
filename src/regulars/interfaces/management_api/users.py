"""`/api/v2/users` and `/api/v2/users-by-email`, as in Auth0's Management API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from django.db.models import F
from django.db.models.expressions import Combinable
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status
from pydantic import ConfigDict, StringConstraints

from regulars.base.conditions import ConditionError
from regulars.base.conditions.document_terms import CASELESS
from regulars.base.email_address import canonical_email
from regulars.consent.view import readable_users
from regulars.interfaces.http_api.access import Bearer, Caller, caller_of, insufficient_scope, notified_by
from regulars.interfaces.http_api.error_responses import ApiError, invalid_query
from regulars.interfaces.http_api.requests import refuse_unknown
from regulars.profiles.auth0_user import Auth0User
from regulars.profiles.document import BAGS
from regulars.profiles.find import customers, customers_of_email, find_by_user_id
from regulars.profiles.learn import RULE
from regulars.profiles.models import Profile
from regulars.rules.invocation import AFTER_CALL
from regulars.usecases.find_customers import found_by_applications, sortable_text
from regulars.usecases.grant_purposes import ACCOUNT, purpose_of
from regulars.usecases.record_disclosures import record_api_reading
from regulars.usecases.renew_upstream_tokens import show_tokens
from regulars.usecases.rule_writes import authorship_of_rule
from regulars.usecases.users import NewDatabaseUser, UserPatch, create_user, delete_user, find_user, update_user
from regulars.usecases.write_values import Authorship, by_app
from regulars.usecases.writers import Writer

from .paging import DEEPEST_RECORD, Fields, Paging

router = Router(tags=["users"])
OWN_METADATA = "update:current_user_metadata"  # with the customer's own token
# Of an answer: what was not written, because a person's word stands, as `user_metadata.shoe;why=said_by_customer, …`.
NOT_WRITTEN = "Regulars-Not-Written"
TOKENS = "read:user_idp_tokens"

Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Password = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Text = Annotated[str, StringConstraints(max_length=300)]

ROOT = (
    "email",
    "email_verified",
    "phone_number",
    "phone_verified",
    "username",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
)

# Of the search
COLUMNS = {"user_id", "created_at", "updated_at", "last_login", "last_ip", "logins_count", "blocked"}
SORT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):(1|-1)")
NOT_SORTABLE = {"user_metadata", "app_metadata", "identities"}


class UserSearch(Paging):
    """`q` is Auth0's user search syntax; `sort` is `field:1` or `field:-1`."""

    q: str = Field("", max_length=8000)
    sort: str = ""
    search_engine: str = "v3"
    primary_order: bool = True


class ByEmail(Fields):
    email: str


class UserChange(Schema):
    """The body of PATCH. A property that is absent stays; null removes a root attribute.

    A property that is not listed here is refused, as Auth0 does.
    """

    model_config = ConfigDict(extra="forbid")

    email: Email | None = None
    email_verified: bool | None = None
    phone_number: Text | None = None
    phone_verified: bool | None = None
    username: Text | None = None
    name: Name | None = None
    given_name: Name | None = None
    family_name: Name | None = None
    nickname: Name | None = None
    picture: Annotated[str, StringConstraints(max_length=2000)] | None = None
    blocked: bool | None = None
    user_metadata: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
    password: Password | None = None
    connection: Text | None = None
    client_id: Text | None = None
    verify_email: bool | None = None
    verify_phone_number: bool | None = None

    def patch(self) -> UserPatch:
        sent = self.model_dump(exclude_unset=True)
        return UserPatch(
            root={name: sent[name] for name in ROOT if name in sent},
            metadata={bag: sent[bag] or {} for bag in BAGS if bag in sent},
            blocked=self.blocked,
            password=self.password or "",
        )


class NewUser(UserChange):
    """The body of POST: a user of a database connection."""

    connection: Text = Field(...)
    email: Email = Field(...)
    password: Password = Field(...)
    user_id: Id | None = None


@router.get("/users", auth=Bearer("read:users"), response=Any, summary="Search users")
def list_users(request: HttpRequest, query: Query[UserSearch]) -> Any:
    refuse_unknown(request, UserSearch)
    if query.search_engine != "v3":
        raise invalid_query("search_engine must be v3.")
    if query.end > DEEPEST_RECORD:
        raise invalid_query(f"You can only page through the first {DEEPEST_RECORD} records.")
    caller, found = caller_of(request), customers()
    purpose = purpose_of(caller.client_id)
    if query.q.strip():
        try:
            found = found.filter(pk__in=found_by_applications(query.q, purpose))
        except ConditionError as error:
            raise invalid_query(error.message) from None
    found = found.order_by(_order(query.sort or "created_at:1", purpose), "id")
    total = found.count() if query.include_totals else 0
    profiles = list(found[query.start : query.end])
    page = [query.choose(each) for each in _documents(profiles, caller)]
    _record(zip(profiles, page, strict=True), caller)
    return query.answer("users", page, total)


@router.post("/users", auth=Bearer("create:users"), response={201: Any}, summary="Create a user")
def post_user(request: HttpRequest, body: NewUser) -> Any:
    new = NewDatabaseUser(body.connection, body.email, body.patch(), body.user_id or "")
    caller = caller_of(request)
    return Status(201, _document(create_user(new, by_app(caller.client_id)), caller, Fields()))


@router.get("/users-by-email", auth=Bearer("read:users"), response=Any, summary="Users with exactly this address")
def list_users_by_email(request: HttpRequest, query: Query[ByEmail]) -> Any:
    refuse_unknown(request, ByEmail)
    found = list(customers_of_email(query.email).order_by("id")[:DEEPEST_RECORD])
    wanted = canonical_email(query.email)
    caller = caller_of(request)
    readable = [
        (profile, query.choose(each))
        for profile, each in zip(found, _documents(found, caller), strict=True)
        if canonical_email(str(each.get("email", ""))) == wanted
    ]
    _record(readable, caller)
    return [each for _profile, each in readable]


@router.get("/users/{path:user_id}", auth=Bearer("read:users", for_rules=True), response=Any, summary="Get a user")
def get_user(request: HttpRequest, user_id: str, query: Query[Fields]) -> Any:
    refuse_unknown(request, Fields)
    return _document(find_user(user_id), caller_of(request), query, renew=True)


@router.patch(
    "/users/{path:user_id}",
    auth=Bearer("update:users", "update:users_app_metadata", OWN_METADATA, for_rules=True),
    response=Any,
    summary="Update a user",
)
def patch_user(request: HttpRequest, response: HttpResponse, user_id: str, body: UserChange) -> Any:
    """The customer gets a notice of a new password and of a new address, at the address from before.

    With the header `Regulars-Customer-Notified: true` the caller has notified them itself; that is recorded. The first
    proof of an address (`email_verified: true`) ends what could open the account before.

    What the customer said or deleted, or staff corrected, stands: the answer has the user as it is then, and the header
    `Regulars-Not-Written` names each value that was not written. A customer's own token with `update:current_user_metadata`
    writes their `user_metadata`, and is their word.
    """
    caller = caller_of(request)
    user = find_user(user_id)
    if "update:users" not in caller.scopes:
        own = {"user_metadata"} if _is_theirs(caller, user) else set[str]()
        allowed = own | ({"app_metadata"} if "update:users_app_metadata" in caller.scopes else set())
        if not allowed or body.model_fields_set - allowed:
            raise insufficient_scope("update:users")
    if caller.only_user and (beyond := sorted(body.model_fields_set - set(BAGS))):
        # as `ManagementClient` inside the rule
        raise ApiError(403, "insufficient_scope", f"A rule may update user_metadata and app_metadata, not {beyond[0]}.")
    by = _author(caller, user, after_call=request.headers.get(AFTER_CALL) == "true")
    changed = update_user(user, body.patch(), by, notified_by=notified_by(request))
    document = {**_readable([changed.profile], caller)[0]}
    _record([(changed.profile, document)], caller)
    if changed.refused:
        response[NOT_WRITTEN] = ", ".join(f"{quote(each.path)};why={each.why}" for each in changed.refused)
    return document


def _is_theirs(caller: Caller, user: Profile) -> bool:
    """Return whether the caller's token is this customer's own, and may change their metadata."""
    return OWN_METADATA in caller.scopes and find_by_user_id(caller.subject) == user


def _author(caller: Caller, user: Profile, *, after_call: bool) -> Authorship:
    if caller.only_user:
        slug, _, version = caller.source.removeprefix(RULE).partition("@")
        return authorship_of_rule(slug, version, called=after_call)
    if _is_theirs(caller, user):
        return Authorship(Writer.APP_FOR_CUSTOMER, caller.source)
    return by_app(caller.client_id)


@router.delete("/users/{path:user_id}", auth=Bearer("delete:users"), response={204: None}, summary="Delete a user")
def delete_one_user(request: HttpRequest, user_id: str) -> HttpResponse:
    # An unknown id is no error, as in Auth0. One with a slash may be an operation of Auth0's that does not exist here.
    if not delete_user(user_id) and "/" in user_id:
        raise ApiError(404, "inexistent_user", "The user does not exist, and neither does an operation of this name.")
    return HttpResponse(status=204)


def _document(profile: Profile, caller: Caller, query: Fields, *, renew: bool = False) -> dict[str, object]:
    document = query.choose(_documents([profile], caller, renew=renew)[0])
    _record([(profile, document)], caller)
    return document


def _documents(profiles: Sequence[Profile], caller: Caller, *, renew: bool = False) -> list[dict[str, object]]:
    """The users in Auth0's shape, with the tokens of their providers for a caller that may read them."""
    documents = _readable(profiles, caller)
    if TOKENS in caller.scopes:
        for document, profile in zip(documents, profiles, strict=True):
            show_tokens(document, profile, renew=renew)
    return [{**document} for document in documents]


def _readable(profiles: Sequence[Profile], caller: Caller) -> list[Auth0User]:
    """What the caller may read: what its grant is for. A rule's token reads what rules see: it may put it into tokens."""
    return readable_users(profiles, ACCOUNT if caller.only_user else purpose_of(caller.client_id))


def _record(given: Iterable[tuple[Profile, Mapping[str, object]]], caller: Caller) -> None:
    """Record what an application of another company is given. A rule's token is one of ours."""
    if not caller.only_user:
        names = {profile.pk: list(_names_in(document)) for profile, document in given}
        record_api_reading(caller.client_id, purpose_of(caller.client_id), names)


def _names_in(document: Mapping[str, object]) -> Iterator[str]:
    """Yield the names of what a document tells, those in metadata with their place."""
    for name, value in document.items():
        if name in BAGS and isinstance(value, dict):
            yield from (f"{name}.{key}" for key in value)
        elif name != "user_id":
            yield name


def _order(sort: str, purpose: str) -> Combinable:
    matched = SORT.fullmatch(sort)
    if matched is None:
        raise invalid_query("sort takes field:1 or field:-1, of a root attribute.")
    field, direction = matched.groups()
    if field in NOT_SORTABLE:
        raise invalid_query(f"Sorting by {field} is not supported.")
    text: Combinable = F(field) if field in COLUMNS else sortable_text(field, purpose)
    key = Lower(text) if field in CASELESS else text
    return key.asc(nulls_last=True) if direction == "1" else key.desc(nulls_last=True)  # type: ignore[attr-defined,no-any-return]
