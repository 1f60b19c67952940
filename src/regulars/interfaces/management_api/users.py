"""`/api/v2/users` and `/api/v2/users-by-email`, as Auth0's Management API has them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Status

from regulars.profiles.document import user
from regulars.profiles.find import customers, find_by_user_id
from regulars.profiles.models import Profile
from regulars.usecases.erase import forget
from regulars.usecases.upstream_tokens import show_tokens

from .access import Bearer, Caller, caller_of, insufficient_scope
from .bodies import NewUser, UserChange
from .changes import change_user, create_user
from .errors import ApiError, invalid_query
from .paging import DEEPEST_RECORD, Fields, Paging, refuse_unknown
from .search import search

router = Router(tags=["users"])
TOKENS = "read:user_idp_tokens"


class UserSearch(Paging):
    """`q` is Auth0's user search syntax; `sort` is `field:1` or `field:-1`."""

    q: str = Field("", max_length=8000)
    sort: str = ""
    search_engine: str = "v3"
    primary_order: bool = True


class ByEmail(Fields):
    email: str


@router.get("/users", auth=Bearer("read:users"), response=Any, summary="Search users")
def list_users(request: HttpRequest, query: Query[UserSearch]) -> Any:
    refuse_unknown(request, UserSearch)
    if query.search_engine != "v3":
        raise invalid_query("search_engine must be v3.")
    if query.end > DEEPEST_RECORD:
        raise invalid_query(f"You can only page through the first {DEEPEST_RECORD} records.")
    found = search(query.q, query.sort)
    total = found.count() if query.include_totals else 0
    page = [_shown(profile, caller_of(request)) for profile in found[query.start : query.end]]
    return query.answer("users", page, total)


@router.post("/users", auth=Bearer("create:users"), response={201: Any}, summary="Create a user")
def post_user(request: HttpRequest, body: NewUser) -> Any:
    return Status(201, user(create_user(body, caller_of(request))))


@router.get("/users-by-email", auth=Bearer("read:users"), response=Any, summary="Users with exactly this address")
def list_users_by_email(request: HttpRequest, query: Query[ByEmail]) -> Any:
    refuse_unknown(request, ByEmail)
    found = customers().filter(document__email=query.email).order_by("id")[:DEEPEST_RECORD]
    return [query.choose(user(profile)) for profile in found]


@router.get("/users/{user_id}", auth=Bearer("read:users"), response=Any, summary="Get a user")
def get_user(request: HttpRequest, user_id: str, query: Query[Fields]) -> Any:
    refuse_unknown(request, Fields)
    return query.choose(_shown(find_user(user_id), caller_of(request), renew=True))


@router.patch(
    "/users/{user_id}",
    auth=Bearer("update:users", "update:users_app_metadata"),
    response=Any,
    summary="Update a user",
)
def patch_user(request: HttpRequest, user_id: str, body: UserChange) -> Any:
    caller = caller_of(request)
    if "update:users" not in caller.scopes and set(body.sent()) - {"app_metadata"}:
        raise insufficient_scope("update:users")
    return user(change_user(find_user(user_id), body, caller))


@router.delete("/users/{user_id}", auth=Bearer("delete:users"), response={204: None}, summary="Delete a user")
def delete_user(request: HttpRequest, user_id: str) -> HttpResponse:
    profile = find_by_user_id(user_id)
    if profile is not None:
        forget(profile)
    return HttpResponse(status=204)


def _shown(profile: Profile, caller: Caller, *, renew: bool = False) -> dict[str, Any]:
    """The user, with the tokens of her social networks for a program that may have them."""
    shown = user(profile)
    if TOKENS in caller.scopes:
        show_tokens(shown, profile, renew=renew)
    return shown


def find_user(user_id: str) -> Profile:
    """The customer the outside calls so; 404 `inexistent_user`."""
    profile = find_by_user_id(user_id)
    if profile is None:
        raise ApiError(404, "inexistent_user", "The user does not exist.")
    return profile
