"""Kinds of provider: where they are, what they ask, what they tell. The one catalogue, filled by plug-ins.

Three doors and the flows need it, which must not know each other: the sign-in pages offer the requested claims, the console and
the API switch them on, and a flow renews or gives back what a customer granted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.base.plugins.catalog import Catalog
from regulars.base.plugins.fields import SettingField

Raw = dict[str, Any]  # what a provider said, unchanged: {"userinfo": {…}, "id_token": {…}, "people": {…}}
Settings = Mapping[str, str]


@dataclass(frozen=True)
class RequestedClaim:
    """Something a customer may share. `label` and `why` are read by her, and `purpose` is what her yes says yes to.

    `review` is what the provider wants to see before it grants the scopes to everybody; empty: nothing.
    """

    key: str
    label: str
    why: str
    scopes: tuple[str, ...]
    attributes: tuple[str, ...]
    review: str = ""
    purpose: str = "personalise"


@dataclass(frozen=True)
class ProviderClaim:
    """One thing a provider said. `kind` is `verified` when it vouches for it, else `social`.

    `requested_claim` is the key of the `RequestedClaim` it belongs to; without the customer's consent to that claim the
    value stays in the raw answer only.
    """

    attribute: str
    value: Any
    kind: str
    requested_claim: str = ""


@dataclass(frozen=True)
class ProviderCall:
    """One address to ask with her token. `key` names it in the raw answer and in `Provider.addresses`.

    It is asked when one of `scopes` was granted (none: always). `parameters` may depend on what was granted. Without
    the answer of a `required` call nobody knows who she is; without another, less is known.
    """

    key: str
    parameters: Callable[[Collection[str]], Mapping[str, str]] = lambda granted: {}
    scopes: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Credentials:
    """How the provider knows us: what an operator wrote, the secret already in the shape it wants."""

    client_id: str
    secret: str


@dataclass(frozen=True)
class ProviderRequest:
    """A request to a provider: `form` or nothing in the body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UpstreamGrant:
    """A grant to be given back, whole or in part. `address` is the provider's, `scopes` those to give back."""

    address: str
    user_id: str
    token: str
    scopes: tuple[str, ...]


def no_parameters(token: str, secret: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Provider:
    """A kind of provider.

    `openid`: it speaks OpenID Connect, `issuer` is where discovery starts (empty: every connection has its own).
    Otherwise `addresses` are its own (`authorize`, `token`, one per call, `revoke`), with `{setting}` in braces.
    `who` finds her id in an answer and `read` what it tells. `aliases` are other words for a scope when it says what was
    granted; `granted` reads that from the answer where the token does not say it. `scoped_ids`: ids are unique within a
    connection only. `fresh` and `again` are parameters that make it ask her anew: to sign in, and for what she once
    refused. `offline` are scopes and parameters for a token that can be renewed without her. `revoke` gives a grant back
    and `revokes_parts` says that it can do so in part.
    """

    key: str
    label: str
    scopes: tuple[str, ...]
    read: Callable[[Raw, Settings], Iterable[ProviderClaim]]
    who: Callable[[Raw, Settings], Any]
    requested_claims: tuple[RequestedClaim, ...] = ()
    openid: bool = False
    issuer: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[ProviderCall, ...] = ()
    settings: tuple[SettingField, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    granted: Callable[[Raw], list[str] | None] = lambda raw: None
    scoped_ids: bool = False
    separator: str = " "
    basic: bool = False
    pkce: bool = True
    nonce: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict)
    fresh: Mapping[str, str] = field(default_factory=dict)
    again: Mapping[str, str] = field(default_factory=dict)
    offline: tuple[tuple[str, ...], Mapping[str, str]] = ((), {})
    secret_of: Callable[[Settings, str, str], str] = lambda settings, client_id, secret: secret
    proof: Callable[[str, str], Mapping[str, str]] = no_parameters
    revoke: Callable[[UpstreamGrant, Credentials], list[ProviderRequest]] | None = None
    revokes_parts: bool = False
    note: str = ""

    def offered(self, wanted: Iterable[str]) -> list[RequestedClaim]:
        """Return the claims that a connection requests, in the provider's order; unknown keys are skipped."""
        names = set(wanted)
        return [claim for claim in self.requested_claims if claim.key in names]

    def called(self, scopes: Iterable[str]) -> list[str]:
        """Scopes by the words in which they were asked."""
        names = dict(self.aliases)
        return list(dict.fromkeys(names.get(scope, scope) for scope in scopes))


PROVIDERS: Catalog[Provider] = Catalog("providers")


def find_provider(strategy: str) -> Provider | None:
    """What there is to know of a strategy; None for one that nobody speaks here (`auth0`: our own passwords)."""
    known = dict(PROVIDERS.items())
    return known.get(strategy)


def scopes_of(strategy: str, requested_claims: Iterable[str]) -> list[str]:
    """Return the scopes that these claims require at this kind of provider, each once."""
    provider = find_provider(strategy)
    known = provider.offered(requested_claims) if provider else []
    return list(dict.fromkeys(scope for claim in known for scope in claim.scopes))
