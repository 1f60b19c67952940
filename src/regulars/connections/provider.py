"""Kinds of provider: their addresses, the scopes and claims they offer, and how to read their answers.

Plug-ins fill the one catalogue, `PROVIDERS`. The login pages, the console, the API and the use cases all read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.base.plugins.catalog import Catalog
from regulars.base.plugins.fields import SettingField

Raw = dict[str, Any]  # a provider's answers as received: {"userinfo": {…}, "id_token": {…}, "people": {…}}
Settings = Mapping[str, str]


@dataclass(frozen=True)
class RequestedClaim:
    """Data that a customer may share. They read `label` and `why`; their consent is to `purpose`.

    `review` is what the provider examines before it grants the scopes to every user; empty: nothing. `claims` are the
    names of OpenID Connect's claims by which a provider can be asked for it (`Provider.login_claims`).
    """

    key: str
    label: str
    why: str
    scopes: tuple[str, ...]
    attributes: tuple[str, ...]
    review: str = ""
    purpose: str = "personalise"
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProviderClaim:
    """One claim that a provider returned. `kind` is `verified` when the provider vouches for it, else `social`.

    `requested_claim` is the key of the `RequestedClaim` it belongs to; without the customer's consent to that claim the
    value is not stored, in the raw answer neither (`raw_answers.cut`).
    """

    attribute: str
    value: Any
    kind: str
    requested_claim: str = ""


LONGEST_CLAIM = 500  # characters
MOST_VALUES = 100  # of a claim that is a list


def has_usable_value(claim: ProviderClaim) -> bool:
    """Return whether a claim has a shape that can be kept: a text, a number, yes or no, or a short list of texts."""
    match claim.value:
        case str():
            fits = len(claim.value) <= LONGEST_CLAIM
        case list():
            fits = len(claim.value) <= MOST_VALUES
            fits = fits and all(isinstance(each, str) and len(each) <= LONGEST_CLAIM for each in claim.value)
        case int():
            fits = abs(claim.value) < 2**63
        case float():
            fits = math.isfinite(claim.value)
        case _:
            fits = False
    return fits and claim.kind in ("verified", "social")


@dataclass(frozen=True)
class ProviderCall:
    """One request with the customer's token. `key` names it in the raw answer and in `Provider.addresses`.

    It is sent when one of `scopes` was granted (none: always). `parameters` may depend on what was granted. The answer
    to a `required` call identifies the customer; without another answer less is known about them.
    """

    key: str
    parameters: Callable[[Collection[str]], Mapping[str, str]] = lambda granted: {}
    scopes: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Credentials:
    """The credentials of this client: what an operator entered, the secret in the form that the provider expects."""

    client_id: str
    secret: str


@dataclass(frozen=True)
class ProviderRequest:
    """A request to a provider. The body is `form`, `json` or nothing."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UpstreamGrant:
    """A grant to revoke, whole or in part. `address` is the provider's, `scopes` those to revoke; none: all."""

    address: str
    user_id: str
    token: str
    scopes: tuple[str, ...]


def no_parameters(token: str, secret: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Provider:
    """A kind of provider.

    `login_claims` are the claims that the login itself reads; a kind that has them is asked for single claims where its
    discovery announces that, and nothing else is read of its answers (`connections.data_request`).
    `openid`: it speaks OpenID Connect, `issuer` is where discovery starts (empty: every connection has its own).
    Otherwise `addresses` are its own (`authorize`, `token`, one per call, `revoke`), with `{setting}` in braces.
    `user_id_of` finds the user's id in the answers and `read` the claims. `aliases` are other names of scopes in the list
    of granted ones; `granted` reads that list where the token answer lacks it. `scoped_ids`: ids are unique within a
    connection only. `reauthenticate` and `ask_again` are parameters that make the provider ask again: for a sign-in, and
    for what the customer refused before. `offline` are scopes and parameters for a token that can be renewed without the
    customer. `revoke` builds the requests that end a grant and `revokes_parts` tells whether a part can be ended.
    """

    key: str
    label: str
    scopes: tuple[str, ...]
    read: Callable[[Raw, Settings], Iterable[ProviderClaim]]
    user_id_of: Callable[[Raw, Settings], Any]
    requested_claims: tuple[RequestedClaim, ...] = ()
    login_claims: tuple[str, ...] = ()
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
    reauthenticate: Mapping[str, str] = field(default_factory=dict)
    ask_again: Mapping[str, str] = field(default_factory=dict)
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

    def canonical_scopes(self, scopes: Iterable[str]) -> list[str]:
        """Return scopes by the names under which they were requested."""
        names = dict(self.aliases)
        return list(dict.fromkeys(names.get(scope, scope) for scope in scopes))


PROVIDERS: Catalog[Provider] = Catalog("providers")


def find_provider(strategy: str) -> Provider | None:
    """Return the kind of provider of a strategy; None for one that needs no provider (`auth0`: our own passwords)."""
    known = dict(PROVIDERS.items())
    return known.get(strategy)


def scopes_of(strategy: str, requested_claims: Iterable[str]) -> list[str]:
    """Return the scopes that these claims require at this kind of provider, each once."""
    provider = find_provider(strategy)
    known = provider.offered(requested_claims) if provider else []
    return list(dict.fromkeys(scope for claim in known for scope in claim.scopes))
