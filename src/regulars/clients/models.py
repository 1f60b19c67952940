"""Clients and APIs: the apps that may request tokens, and what the tokens are for."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from regulars.base import clock
from regulars.base.configuration.models import versioned


@versioned
class Client(models.Model):
    """OAuth's client: an application that signs customers in, or a program that calls an API.

    Lists are exact: a redirect URI is compared character by character. `public_keys` are JSON Web Keys with which it
    authenticates, `jwks_uri` where it publishes them instead, `assertion_algorithm` the only one that it signs with (empty: any).
    `default_max_age` is the age of a sign-in, in seconds, that the client accepts where a request has no max_age.
    `userinfo_algorithm` signs its answers of /userinfo (empty: JSON). `initiate_login_uri` is the app's page that starts a login.
    `refresh` holds seconds under Auth0's names: `leeway`, `token_lifetime`, `idle_token_lifetime`.
    `answers` is the dialect of our answers (`oauth.dialect`).
    """

    class Answers(models.TextChoices):
        AUTO = "auto"
        OPENID = "openid"
        AUTH0 = "auth0"

    class AuthMethod(models.TextChoices):
        NONE = "none"
        POST = "client_secret_post"
        BASIC = "client_secret_basic"
        PRIVATE_KEY = "private_key_jwt"

    client_id = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=100)
    secret_hash = models.CharField(max_length=128, blank=True)
    first_party = models.BooleanField(default=True)
    auth_method = models.CharField(max_length=32, choices=AuthMethod, default=AuthMethod.POST)
    grant_types = models.JSONField(default=list)
    redirect_uris = models.JSONField(default=list)
    logout_uris = models.JSONField(default=list)
    web_origins = models.JSONField(default=list)
    embeds_login = models.BooleanField(default=False)  # a sign-in form of its own, at its web origins
    signs_out_by_hint = models.BooleanField(
        default=False
    )  # its server ends sessions by their ID tokens, without a browser
    token_in_query = models.BooleanField(default=False)  # it sends access tokens to /userinfo in the address
    metadata = models.JSONField(default=dict)
    branding = models.JSONField(default=dict)  # of the hosted pages, as `branding.Branding`
    public_keys = models.JSONField(default=list)
    jwks_uri = models.CharField(max_length=2000, blank=True)
    assertion_algorithm = models.CharField(max_length=8, blank=True)
    requires_second_factor = models.BooleanField(default=False)
    default_max_age = models.PositiveIntegerField(null=True)
    userinfo_algorithm = models.CharField(max_length=8, blank=True)
    initiate_login_uri = models.CharField(max_length=2000, blank=True)
    backchannel_logout_uri = models.CharField(max_length=2000, blank=True)
    requires_par = models.BooleanField(default=False)
    requires_dpop = models.BooleanField(default=False)
    refresh = models.JSONField(default=dict)
    answers = models.CharField(max_length=8, choices=Answers, default=Answers.AUTO)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


# Part of the Management API's scopes that a customer may hold: they concern that customer's own account.
CURRENT_USER_SCOPE = ":current_user"


def management_audience() -> str:
    """Return the identifier of the Management API, which is the audience of its access tokens."""
    return f"{settings.ISSUER}api/v2/"


@versioned
class ResourceServer(models.Model):
    """An API. Auth0's `audience` is its identifier.

    The identifier is no client's id, so that no access token has the audience of an ID token. `scope_words` describes what a
    scope allows, for the page that asks a customer. `token_dialect` is Auth0's profile of access tokens, its own or
    RFC 9068's; those with `_authz` put the granted scopes into `permissions` too.
    """

    class Dialect(models.TextChoices):
        AUTH0 = "access_token"
        AUTH0_WITH_PERMISSIONS = "access_token_authz"
        RFC_9068 = "rfc9068_profile"
        RFC_9068_WITH_PERMISSIONS = "rfc9068_profile_authz"

        @property
        def is_rfc_9068(self) -> bool:
            return self.value.startswith("rfc9068_")

        @property
        def has_permissions(self) -> bool:
            return self.value.endswith("_authz")

    identifier = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=100)
    scopes = models.JSONField(default=list)
    scope_words = models.JSONField(default=dict)  # {"read:orders": "See your orders"}
    token_lifetime = models.PositiveIntegerField(default=86400)  # seconds
    token_lifetime_for_web = models.PositiveIntegerField(default=7200)  # of tokens that go through the browser
    token_dialect = models.CharField(max_length=32, choices=Dialect, default=Dialect.AUTH0)
    allow_offline_access = models.BooleanField(default=True)
    skip_consent = models.BooleanField(default=True)  # for our own apps

    def __str__(self) -> str:
        return self.identifier


@versioned
class ClientGrant(models.Model):
    """The scopes that a client may have at an API by client credentials.

    `purpose` is the key of the purpose for which it reads customers at the Management API; empty: to serve the account.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="grants")
    resource_server = models.ForeignKey(ResourceServer, on_delete=models.CASCADE)
    scopes = models.JSONField(default=list)
    purpose = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "resource_server"], name="one_grant_per_api")]

    def __str__(self) -> str:
        return f"{self.client_id} at {self.resource_server_id}"
