"""What a customer shares through her social networks, claim by claim, and how she stops."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from regulars.base.errors import Invalid
from regulars.connections.models import Connection
from regulars.connections.provider import Provider, RequestedClaim, find_provider
from regulars.profiles.models import Fact, Identity, Profile

from .revoke_upstream_grants import request_revocation
from .unit_of_work import changes

STOPPED = "Stopped Sharing"


@dataclass(frozen=True)
class SharedClaims:
    """One way in with what she shares by it now, and what she could."""

    identity: Identity
    connection: Connection
    now: tuple[RequestedClaim, ...]
    more: tuple[RequestedClaim, ...]


def all_shared_claims(profile: Profile) -> list[SharedClaims]:
    """Every social way in whose connection is open, oldest first."""
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
    """What came by this claim may not be used any more, from now on and by nobody, and whoever was told is asked to forget.

    Her provider is asked, by a job, to end the permission. Returns False when it cannot be asked or was never asked for
    more than the login itself. Raises `Invalid("unknown_claim")`.
    """
    provider = find_provider(identity.provider)
    if provider is None or identity.profile_id != profile.pk:
        raise Invalid("unknown_claim", gettext_noop("Nothing is shared this way."))
    claim = _requested_claim(provider, claim_key)
    with changes(profile, "stopped_sharing") as c:
        c.retract(list(_facts(identity).filter(attribute__in=claim.attributes)))
        extra = _scopes_of_its_own(identity, provider, claim)
        asked = bool(extra) and request_revocation(identity, extra)
        c.record_event(STOPPED, {"connection": identity.connection, "claim": claim.key, "given_back": asked})
    return asked


def _facts(identity: Identity) -> QuerySet[Fact]:
    return Fact.objects.filter(identity=identity, retracted_at=None)


def _requested_claim(provider: Provider, key: str) -> RequestedClaim:
    for claim in provider.requested_claims:
        if claim.key == key:
            return claim
    raise Invalid("unknown_claim", gettext_noop("Your provider has no such thing to share."))


def _scopes_of_its_own(identity: Identity, provider: Provider, claim: RequestedClaim) -> list[str]:
    """Some claims cost nothing beyond the login: ending that would sign her out of more than she asked for."""
    connection = Connection.objects.filter(name=identity.connection).first()
    login = (connection.scopes if connection else []) or provider.scopes
    return [scope for scope in claim.scopes if scope not in login]
