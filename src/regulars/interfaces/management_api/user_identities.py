"""`/api/v2/users/{id}/identities`: link two users and unlink them, as in Auth0's Management API.

Unlike Auth0's, a link loses nothing: metadata and facts of the second user stay, and return to them when they are unlinked.
A machine links by id. A rule's token, which is good for one customer, links no one. A customer's own token needs what the
page of the customer needs: see `usecases.link_accounts.check_link_by_token`.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import ConfigDict

from regulars.base.errors import DomainError
from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind
from regulars.interfaces.http_api.access import Bearer, Caller, caller_of, insufficient_scope, notified_by
from regulars.interfaces.http_api.error_responses import ApiError, invalid_body
from regulars.profiles.assertions import Place
from regulars.profiles.auth0_user import Auth0Identity
from regulars.profiles.document import identities_at
from regulars.profiles.find import find_by_identity, find_by_user_id
from regulars.profiles.models import Profile
from regulars.usecases.grant_purposes import purpose_of
from regulars.usecases.link_accounts import TokenSignIn, check_link_by_token
from regulars.usecases.record_disclosures import record_api_reading
from regulars.usecases.users import find_user, link, unlink

from .users import Id, Text

router = Router(tags=["users"])
ADMIN, CURRENT_USER = "update:users", "update:current_user_identities"
MAY_LINK = Bearer(ADMIN, CURRENT_USER)


class Linking(Schema):
    """`provider` and `user_id` name the second user, or `link_with` is an ID token of theirs."""

    model_config = ConfigDict(extra="forbid")

    provider: Text | None = None
    connection_id: Text | None = None
    user_id: Id | int | None = None
    link_with: str | None = None


@router.post("/users/{path:user_id}/identities", auth=MAY_LINK, response={201: Any}, summary="Link an account")
def post_identity(request: HttpRequest, user_id: str, body: Linking) -> Any:
    caller, primary = caller_of(request), find_user(user_id)
    is_machine = _is_machine(caller, primary, by_token=bool(body.link_with))
    if body.link_with:
        second = _by_token(caller, body.link_with)
        if not is_machine:
            check_link_by_token(caller.client_id, [TokenSignIn.of(primary, caller.claims), second])
        other = second.profile
    else:
        other = _by_name(body)
    if other.pk == primary.pk:
        raise ApiError(409, "identity_already_linked", "The identity is linked to this user already.")
    one = link(primary, other, f"api:{caller.client_id}", notified_by=notified_by(request) if is_machine else "")
    return Status(201, _readable_identities(one, caller))


@router.delete(
    "/users/{path:user_id}/identities/{provider}/{path:secondary}",
    auth=MAY_LINK,
    response=Any,
    summary="Unlink an identity",
)
def delete_identity(request: HttpRequest, user_id: str, provider: str, secondary: str) -> Any:
    caller, primary = caller_of(request), find_user(user_id)
    is_machine = _is_machine(caller, primary, by_token=True)
    if not is_machine:
        check_link_by_token(caller.client_id, [TokenSignIn.of(primary, caller.claims)])
    plain = secondary.removeprefix(f"{provider}|")
    identity = primary.identities.filter(provider=provider, provider_user_id=plain).first()
    if identity is None:
        raise ApiError(400, "inexistent_identity", "This user has no such identity.")
    unlink(primary, identity, f"api:{caller.client_id}", notified_by=notified_by(request) if is_machine else "")
    return _readable_identities(primary, caller)


def _readable_identities(profile: Profile, caller: Caller) -> list[Auth0Identity]:
    """Return the identities that applications read, as of the user itself: ids that browsers and shops gave are not among them."""
    record_api_reading(caller.client_id, purpose_of(caller.client_id), {profile.pk: ["identities"]})
    return identities_at(profile, Place.RULES)


def _is_machine(caller: Caller, primary: Profile, *, by_token: bool) -> bool:
    """Return whether a machine calls. Refuse a customer's token for another account, and for one that they show no token of."""
    if ADMIN in caller.scopes:
        return True
    if not by_token or find_by_user_id(caller.subject) != primary:
        raise insufficient_scope(ADMIN)
    return False


def _by_token(caller: Caller, id_token: str) -> TokenSignIn:
    """Return the second user's sign-in, by an ID token that they have of the same application."""
    try:
        claims = verify(id_token, caller.client_id, kinds=[TokenKind.ID])
    except DomainError as refused:
        raise invalid_body(f"link_with: {refused.message}") from None
    other = find_by_user_id(str(claims.get("sub", "")))
    if other is None:
        raise invalid_body("link_with: no user belongs to this ID token.")
    return TokenSignIn.of(other, claims)


def _by_name(body: Linking) -> Profile:
    if not (body.provider and body.user_id is not None):
        raise invalid_body("Send provider and user_id, or link_with.")
    plain = str(body.user_id).removeprefix(f"{body.provider}|")
    found = find_by_identity(body.provider, plain)
    if found is None:
        raise ApiError(400, "inexistent_user", "There is no user with this identity.")
    return found
