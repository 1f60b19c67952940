"""Claims that a customer shares through social providers, and how they stop sharing one."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from regulars.base.errors import Invalid
from regulars.connections.models import Connection
from regulars.connections.provider import RequestedClaim, find_provider
from regulars.events.own_events import OwnEvent
from regulars.profiles.models import Fact, Identity, Profile

from .revoke_upstream_grants import request_revocation
from .unit_of_work import changes


@dataclass(frozen=True)
class SharedClaims:
    """A social identity with the claims that the customer shares now, and those they could share."""

    identity: Identity
    connection: Connection
    now: tuple[RequestedClaim, ...]
    more: tuple[RequestedClaim, ...]


def all_shared_claims(profile: Profile) -> list[SharedClaims]:
    """Return every social identity whose connection is enabled, oldest first."""
    identities = profile.identities.filter(is_social=True).order_by("pk")
    return [found for identity in identities if (found := shared_claims_of(identity)) is not None]


def shared_claims_of(identity: Identity) -> SharedClaims | None:
    connection = Connection.objects.filter(name=identity.connection, enabled=True).first()
    provider = find_provider(identity.provider)
    if connection is None or provider is None:
        return None
    known = set(_facts(identity).values_list("attribute", flat=True))
    now = tuple(claim for claim in provider.requested_claims if known.intersection(claim.attributes))
    more = tuple(claim for claim in provider.offered(connection.requested_claims) if claim not in now)
    return SharedClaims(identity, connection, now, more)


def stop_sharing(profile: Profile, identity: Identity, claim_key: str) -> bool:
    """Retract the facts of a claim, for every use; destinations that received them get deletion requests.

    A job asks the provider to revoke the permission. Returns False when it cannot, or when the claim needs no scope
    beyond the login. Raises `Invalid("unknown_claim")`.
    """
    provider = find_provider(identity.provider)
    if provider is None or identity.profile_id != profile.pk:
        raise Invalid("unknown_claim", gettext_noop("Nothing is shared this way."))
    claim = next((each for each in provider.requested_claims if each.key == claim_key), None)
    if claim is None:
        raise Invalid("unknown_claim", gettext_noop("Your provider has no such thing to share."))
    with changes(profile, "stopped_sharing") as c:
        c.retract(list(_facts(identity).filter(attribute__in=claim.attributes)))
        # Only scopes that the login does not need: revoking those of the login would end more than was asked.
        connection = Connection.objects.filter(name=identity.connection).first()
        login = (connection.scopes if connection else []) or provider.scopes
        extra = [scope for scope in claim.scopes if scope not in login]
        asked = bool(extra) and request_revocation(identity, extra)
        c.record_event(
            OwnEvent.STOPPED_SHARING, {"connection": identity.connection, "claim": claim.key, "given_back": asked}
        )
    return asked


def _facts(identity: Identity) -> QuerySet[Fact]:
    return Fact.objects.filter(identity=identity, retracted_at=None)
