"""Registration of clients: the apps that may request tokens, and the addresses where browsers may be sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from regulars.base.crypto import hash_secret, random_secret
from regulars.base.db.rows import update_row
from regulars.base.errors import Conflict, Invalid
from regulars.base.http import RequestRefused, called_host
from regulars.base.special_addresses import Address, is_loopback, is_special
from regulars.base.text import has_hidden
from regulars.base.tokens.jwt import ALGORITHM

from .cache import is_client_id
from .models import Client, ResourceServer
from .secret_strength import estimated_bits

GRANT_TYPES = (
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "implicit",
    "urn:ietf:params:oauth:grant-type:device_code",
    "http://auth0.com/oauth/grant-type/passwordless/otp",
)
SHORTEST_SECRET = 32  # it is stored as a fast hash, which protects random values only
LEAST_BITS = 56  # of the estimate; 32 random digits have about 80
LONGEST_MAX_AGE = 2**31 - 1  # seconds, as the database counts
MOST_ADDRESSES, LONGEST_ADDRESS = 100, 2000
WITH_SECRET = (Client.AuthMethod.POST, Client.AuthMethod.BASIC)
SETTINGS = (  # stored as they are; None leaves one as it is
    "first_party",
    "requires_par",
    "requires_dpop",
    "refresh",
    "answers",
    "metadata",
    "embeds_login",
    "requires_second_factor",
    "signs_out_by_hint",
    "token_in_query",
)
KEYS: Mapping[str, type[ECKey] | type[RSAKey]] = {"EC": ECKey, "RSA": RSAKey}
ASSERTION_ALGORITHMS = ("RS256", "PS256", "ES256")
FORBIDDEN_SCHEMES = ("javascript", "data", "vbscript", "file", "blob", "about")


@dataclass(frozen=True)
class ClientSpec:
    """The settings of a client, as a developer writes them. Addresses are compared exactly. None leaves a setting as it is."""

    name: str
    auth_method: str = Client.AuthMethod.POST
    grant_types: Sequence[str] = ("authorization_code", "refresh_token")
    redirect_uris: Sequence[str] = ()
    logout_uris: Sequence[str] = ()
    web_origins: Sequence[str] = ()
    embeds_login: bool | None = None  # a sign-in form of its own (Auth0's Lock, our component)
    requires_second_factor: bool | None = None  # of every customer who signs in to it
    signs_out_by_hint: bool | None = None  # its server ends sessions by their ID tokens, without a browser
    token_in_query: bool | None = None  # it sends access tokens to /userinfo in the address
    public_keys: Sequence[Mapping[str, Any]] | None = None
    jwks_uri: str | None = None
    assertion_algorithm: str | None = None
    backchannel_logout_uri: str | None = None
    userinfo_algorithm: str | None = None
    default_max_age: int | None = None  # seconds; negative for none
    initiate_login_uri: str | None = None
    first_party: bool | None = None
    requires_par: bool | None = None
    requires_dpop: bool | None = None
    refresh: Mapping[str, int] | None = None
    answers: str | None = None  # the dialect of our answers: auto, openid or auth0
    metadata: Mapping[str, Any] | None = None


def spec_of(client: Client) -> ClientSpec:
    """Return the settings of a client as they are now."""
    return ClientSpec(
        name=client.name,
        auth_method=client.auth_method,
        grant_types=client.grant_types,
        redirect_uris=client.redirect_uris,
        logout_uris=client.logout_uris,
        web_origins=client.web_origins,
    )


@transaction.atomic
def register(spec: ClientSpec) -> tuple[Client, str]:
    """Create a client. Returns it with its secret, which cannot be read again; empty for public apps. Raises as `change`."""
    client = Client(client_id=_new_id())
    _apply(client, spec)
    secret = _new_secret(client)
    client.save()
    return client, secret


def _new_id() -> str:
    """Return a random id that is no API's identifier."""
    while ResourceServer.objects.filter(identifier=(found := random_secret(32))).exists():
        pass
    return found


def check_api_identifier(identifier: str) -> None:
    """Raise `Conflict("identifier_is_taken")` for the id of a client and for the audience of /userinfo.

    An access token with the audience of an ID token could be taken for one.
    """
    if is_client_id(identifier) or identifier == f"{settings.ISSUER}userinfo":
        raise Conflict(
            "identifier_is_taken",
            "This is the id of an application, or the address of /userinfo. Choose another identifier.",
        )


def register_third_party(spec: ClientSpec, *, native: bool) -> tuple[Client, str]:
    """Create a client that no member of staff has looked at. Raises as `register`, and `Invalid("bad_address")`.

    Its addresses are https, or a scheme of its own; a `native` one runs on the customer's machine and may listen there,
    on a loopback address (RFC 8252, 7.3). What this server calls, its back-channel and its keys, is https, and on the public web.
    """
    for about in ("redirect_uris", "logout_uris"):
        for address in getattr(spec, about):
            if _scheme(address) == "http" and not (native and _is_this_machine(_host(address))):
                raise Invalid(
                    "bad_address",
                    f"{address[:80]!r} is not https. Only native applications may use http, on a loopback address.",
                    about,
                )
    for about, called in (("backchannel_logout_uri", spec.backchannel_logout_uri), ("jwks_uri", spec.jwks_uri)):
        if called and (_scheme(called) != "https" or not _is_public(_called_host(called))):
            raise Invalid("bad_address", f"{called[:80]!r} is not an https address on the public web.", about)
    return register(spec)


@transaction.atomic
def change(client: Client, spec: ClientSpec) -> tuple[Client, str]:
    """Change a client. Returns it with a new secret where it had none and needs one.

    Raises `DomainError`: `deleted_meanwhile`, `bad_name`, `unknown_auth_method`, `unknown_dialect`, `unknown_grant_type`, `no_grant_type`, `secret_needed`,
    `bad_address`, `bad_origin`, `too_many_addresses`, `bad_key`, `key_needed`, `keys_twice`, `unknown_algorithm`,
    `confidential_app_needed`.
    """
    _apply(client, spec)
    needs_one = client.auth_method in WITH_SECRET and not client.secret_hash
    secret = _new_secret(client) if needs_one else ""
    update_row(client)
    return client, secret


@transaction.atomic
def rotate_secret(client: Client) -> str:
    """Return a new secret; the old one is refused from now on. Raises `Invalid("public_client")`."""
    _refuse_public(client)
    secret = _new_secret(client)
    client.save(update_fields=["secret_hash"])
    return secret


@transaction.atomic
def take_secret(client: Client, secret: str) -> str:
    """Store a secret that the app's developers chose, and return it. Raises `Invalid("weak_secret")` or `Invalid("public_client")`."""
    _refuse_public(client)
    if len(secret) < SHORTEST_SECRET or estimated_bits(secret, (client.pk, client.name)) < LEAST_BITS:
        message = f"A client secret is random and has {SHORTEST_SECRET} characters or more. Rotating makes such a one."
        raise Invalid("weak_secret", message, "client_secret")
    client.secret_hash = hash_secret(secret)
    client.save(update_fields=["secret_hash"])
    return secret


def _refuse_public(client: Client) -> None:
    if client.auth_method not in WITH_SECRET:
        raise Invalid("public_client", "This app has no secret: it is public, or signs with its own key.")


def _apply(client: Client, spec: ClientSpec) -> None:
    name = spec.name.strip()
    if not name or len(name) > 100:
        raise Invalid("bad_name", "Give the app a name of at most 100 characters.", "name")
    if has_hidden(name):  # customers read it where they consent
        raise Invalid("bad_name", "The name has characters that cannot be seen, or that change its direction.", "name")
    if spec.auth_method not in Client.AuthMethod.values:
        raise Invalid("unknown_auth_method", "Choose how the app authenticates.", "auth_method")
    if spec.answers is not None and spec.answers not in Client.Answers.values:
        raise Invalid("unknown_dialect", f"answers is one of {', '.join(Client.Answers.values)}.", "answers")
    client.name, client.auth_method, client.grant_types = name, spec.auth_method, _grants(spec)
    client.redirect_uris = _addresses(spec.redirect_uris, "redirect_uris")
    client.logout_uris = _addresses(spec.logout_uris, "logout_uris")
    client.web_origins = [_origin(each) for each in _checked_list(spec.web_origins, "web_origins")]
    for name in SETTINGS:
        if getattr(spec, name) is not None:
            setattr(client, name, getattr(spec, name))
    if spec.backchannel_logout_uri is not None:
        client.backchannel_logout_uri = _web_address(spec.backchannel_logout_uri, "backchannel_logout_uri")
    if spec.initiate_login_uri is not None:
        address = _web_address(spec.initiate_login_uri, "initiate_login_uri")
        if address and _scheme(address) != "https":
            raise Invalid("bad_address", f"{address[:80]!r} is not https.", "initiate_login_uri")
        client.initiate_login_uri = address
    if spec.default_max_age is not None:
        if spec.default_max_age > LONGEST_MAX_AGE:
            raise Invalid("bad_max_age", f"At most {LONGEST_MAX_AGE} seconds.", "default_max_age")
        client.default_max_age = spec.default_max_age if spec.default_max_age >= 0 else None
    if spec.userinfo_algorithm is not None:
        if spec.userinfo_algorithm not in ("", ALGORITHM):
            raise Invalid("unknown_algorithm", f"/userinfo is signed with {ALGORITHM}.", "userinfo_algorithm")
        client.userinfo_algorithm = spec.userinfo_algorithm
    _apply_keys(client, spec)
    if spec.auth_method not in WITH_SECRET:
        client.secret_hash = ""
    if client.signs_out_by_hint and client.auth_method == Client.AuthMethod.NONE:
        raise Invalid(
            "confidential_app_needed",
            "Only an app with a secret or a key may sign out by hint: the ID tokens of a public app are in browsers.",
            "signs_out_by_hint",
        )


def _apply_keys(client: Client, spec: ClientSpec) -> None:
    """Take over the keys themselves or their address: what was set last replaces the other."""
    if spec.public_keys and spec.jwks_uri:
        raise Invalid("keys_twice", "Send public keys or the address of a key set, not both.", "jwks_uri")
    if spec.public_keys is not None:
        client.public_keys = [_public_key(key) for key in spec.public_keys]
        client.jwks_uri = "" if client.public_keys else client.jwks_uri
    if spec.jwks_uri is not None:
        client.jwks_uri = _web_address(spec.jwks_uri, "jwks_uri")
        client.public_keys = [] if client.jwks_uri else client.public_keys
    if spec.assertion_algorithm is not None:
        if spec.assertion_algorithm and spec.assertion_algorithm not in ASSERTION_ALGORITHMS:
            supported = ", ".join(ASSERTION_ALGORITHMS)
            raise Invalid("unknown_algorithm", f"Signatures are made with {supported}.", "assertion_algorithm")
        client.assertion_algorithm = spec.assertion_algorithm
    if spec.auth_method == Client.AuthMethod.PRIVATE_KEY and not (client.public_keys or client.jwks_uri):
        message = "An app that authenticates by a signature needs a public key, or the address of its key set."
        raise Invalid("key_needed", message, "public_keys")


def _web_address(address: str, about: str) -> str:
    is_web = _scheme(address) in ("http", "https") and bool(_host(address)) and not re.search(r"[\s#\\]", address)
    if address and (not is_web or len(address) > LONGEST_ADDRESS):
        raise Invalid("bad_address", f"{address[:80]!r} is not a whole web address.", about)
    return address


def _grants(spec: ClientSpec) -> list[str]:
    unknown = [grant for grant in spec.grant_types if grant not in GRANT_TYPES]
    if unknown:
        raise Invalid("unknown_grant_type", f"There is no grant type called {unknown[0]!r}.", "grant_types")
    if not spec.grant_types:
        raise Invalid("no_grant_type", "Choose at least one way to get tokens.", "grant_types")
    if "client_credentials" in spec.grant_types and spec.auth_method == Client.AuthMethod.NONE:
        raise Invalid(
            "secret_needed", "Client credentials need an app with a secret; a public app has none.", "auth_method"
        )
    return [grant for grant in GRANT_TYPES if grant in spec.grant_types]


def _new_secret(client: Client) -> str:
    if client.auth_method not in WITH_SECRET:
        return ""
    secret = random_secret(64)
    client.secret_hash = hash_secret(secret)
    return secret


def _checked_list(addresses: Sequence[str], about: str) -> list[str]:
    if len(addresses) > MOST_ADDRESSES or any(len(each) > LONGEST_ADDRESS for each in addresses):
        raise Invalid(
            "too_many_addresses", f"At most {MOST_ADDRESSES} addresses of {LONGEST_ADDRESS} characters.", about
        )
    return list(dict.fromkeys(addresses))


def _addresses(addresses: Sequence[str], about: str) -> list[str]:
    """Return web addresses and private schemes (`com.shop.app:/done`); no wildcard, no fragment (RFC 6749, 3.1.2)."""
    for address in _checked_list(addresses, about):
        scheme = _scheme(address)
        own = "." in scheme and scheme not in FORBIDDEN_SCHEMES
        web = scheme in ("http", "https") and bool(_host(address))
        if not (own or web) or re.search(r"[\s*#\\]", address):
            raise Invalid("bad_address", f"{address[:80]!r} is not a whole address, or has * or # in it.", about)
    return _checked_list(addresses, about)


def _origin(address: str) -> str:
    trimmed = address.rstrip("/")
    if not re.fullmatch(r"https?://[^/?#\s*\\@]+", trimmed) or not _host(trimmed):
        raise Invalid("bad_origin", f"{address[:80]!r} is not an origin, such as https://shop.example.", "web_origins")
    return trimmed


def _public_key(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public half alone: a private key that was sent by mistake is not stored."""
    try:
        return dict(KEYS[str(key.get("kty"))].import_key(dict(key)).as_dict(private=False))
    except (JoseError, AttributeError, KeyError, ValueError, TypeError):
        raise Invalid("bad_key", "This is not an RSA or EC key in JSON (RFC 7517).", "public_keys") from None


def _scheme(address: str) -> str:
    try:
        return urlsplit(address).scheme.lower()
    except ValueError:
        return ""


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _called_host(address: str) -> str:
    try:
        return called_host(address)
    except RequestRefused:
        return ""


def _is_this_machine(host: str) -> bool:
    address = _ip_address(host)
    return is_loopback(address) if address else host.rstrip(".") == "localhost"


def _is_public(host: str) -> bool:
    """Return whether a host may be on the public web. What its name leads to is checked when it is called."""
    address, name = _ip_address(host), host.rstrip(".")
    if address:
        return not is_special(address)
    # A number in another notation is not a name: `2130706433`, `127.1`, `0x7f.1`.
    return (
        bool(re.search(r"\.[a-z][a-z0-9-]*$", name))
        and not name.endswith(".localhost")
        and host not in settings.ALLOW_HOSTS
    )


def _ip_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
