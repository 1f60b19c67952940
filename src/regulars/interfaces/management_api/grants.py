"""`/api/v2/grants`: what customers allowed third-party apps. After a deletion the app must ask for consent
again, and its offline access has ended."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status

from regulars.interfaces.http_api.access import Bearer
from regulars.interfaces.http_api.requests import refuse_unknown
from regulars.oauth.consents import withdraw_consents
from regulars.oauth.models import AppGrant
from regulars.profiles.find import canonical_profile, find_by_user_id, of_profile

from .clients import Word
from .paging import Paging

router = Router(tags=["grants"])


class UserGrantList(Paging):
    user_id: Word = ""
    client_id: Word = ""
    audience: Word = ""


class GrantsOfUser(Schema):
    user_id: Word = Field(..., min_length=1)


@router.get("/grants", auth=Bearer("read:grants"), response=Any, summary="List what customers allowed apps")
def list_user_grants(request: HttpRequest, query: Query[UserGrantList]) -> Any:
    refuse_unknown(request, UserGrantList)
    wanted = {"client_id": query.client_id, "audience": query.audience}
    rows = AppGrant.objects.filter(**{name: value for name, value in wanted.items() if value})
    rows = _of(query.user_id, rows) if query.user_id else rows
    rows = rows.select_related("profile__merged_into").order_by("id")
    return query.answer(
        "grants",
        [
            {
                "id": f"{row.pk:024x}",
                "clientID": row.client_id,
                "user_id": canonical_profile(row.profile).user_id,
                "audience": row.audience,
                "scope": row.scopes,
            }
            for row in rows[query.start : query.end]
        ],
        rows.count(),
    )


@router.delete("/grants", auth=Bearer("delete:grants"), response={204: None}, summary="Delete all grants of a customer")
def delete_user_grants(request: HttpRequest, query: Query[GrantsOfUser]) -> Any:
    withdraw_consents(_of(query.user_id, AppGrant.objects.all()))
    return Status(204, None)


@router.delete("/grants/{grant_id}", auth=Bearer("delete:grants"), response={204: None}, summary="Delete a grant")
def delete_user_grant(request: HttpRequest, grant_id: str) -> Any:
    number = int(grant_id, 16) if re.fullmatch(r"0{8}[0-9a-f]{16}", grant_id) else 0
    withdraw_consents(AppGrant.objects.filter(pk=number if number < 2**63 else 0))
    return Status(204, None)


def _of(user_id: str, rows: QuerySet[AppGrant]) -> QuerySet[AppGrant]:
    profile = find_by_user_id(user_id)
    return rows.filter(of_profile(profile.pk)) if profile else rows.none()
