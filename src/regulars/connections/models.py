"""Connections: the login methods that a business offers, as rows an operator edits."""

from __future__ import annotations

from django.db import models

from regulars.base import clock
from regulars.base.db.encrypted import EncryptedJSONField


class Connection(models.Model):
    """One login method. `name` is Auth0's connection name, `strategy` its provider word (`google-oauth2`, `oidc`, `auth0`).

    `urls` changes the provider's addresses (mock services, regional hosts): `{"issuer": "https://…"}` for OpenID Connect, `{"site": …}` to
    move all addresses of a provider at once, or one address by its key (`connections.provider.Provider.addresses`).
    `settings` are what the kind of provider declares (Apple's team, Microsoft's tenant); `offline`: keep a token that can
    be renewed without the customer.
    `requested_claims` are the optional data that this business asks for, by the keys of `RequestedClaim`: `["birthday", "gender", "address"]`.
    """

    name = models.SlugField(max_length=128, unique=True)
    strategy = models.CharField(max_length=64)
    display_name = models.CharField(max_length=128)
    client_id = models.CharField(max_length=255, blank=True)
    secret = EncryptedJSONField(null=True, blank=True)
    scopes = models.JSONField(default=list)
    requested_claims = models.JSONField(default=list)
    urls = models.JSONField(default=dict)
    settings = models.JSONField(default=dict)
    offline = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True)  # shown under the button, e.g. that it is a mock service
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name
