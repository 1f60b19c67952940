"""The purpose for which a machine reads customers at the Management API: an attribute of its grant."""

from __future__ import annotations

from regulars.base.errors import Invalid
from regulars.clients.cache import find_api_access
from regulars.clients.models import Client, ClientGrant, management_audience
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose
from regulars.consent.uses import GROUP_KINDS, WHY_STOPPED

ACCOUNT = "serve"


def purpose_of(client_id: str) -> str:
    """Return the purpose that the client reads customers for. Without another in its grant it runs their accounts."""
    access = find_api_access((client_id, management_audience()))
    return (access.purpose if access else "") or ACCOUNT


def management_grant(client: Client) -> ClientGrant | None:
    """Return the client's grant for the Management API."""
    grants = ClientGrant.objects.filter(client=client, resource_server__identifier=management_audience())
    return grants.select_related("resource_server").first()


def purposes_for_grants() -> list[Purpose]:
    """Return the active purposes that a grant can have, the account's first."""
    found = Purpose.objects.filter(active=True).exclude(kind__in=GROUP_KINDS).order_by("key")
    return sorted(found, key=lambda each: each.key != ACCOUNT)


def set_purpose(grant: ClientGrant, key: str) -> None:
    """Set the purpose of a grant, which the caller saves; empty: to run the accounts.

    Raises `Invalid("unknown_purpose" | "purpose_is_for_groups" | "purpose_not_here")`.
    """
    if key and grant.resource_server.identifier != management_audience():
        raise Invalid("purpose_not_here", "Only a grant for the Management API has a purpose.", "purpose")
    if key and get_purpose(key).kind in GROUP_KINDS:
        raise Invalid("purpose_is_for_groups", WHY_STOPPED["purpose_is_for_groups"], "purpose")
    grant.purpose = "" if key == ACCOUNT else key
