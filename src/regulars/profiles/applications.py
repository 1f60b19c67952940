"""The company's own apps and APIs: who may ask for tokens, and for what."""

from __future__ import annotations

from django.db import models

from regulars.base.kit import clock


class Client(models.Model):
    """An application that signs customers in (or a machine that calls an API). OAuth's client.

    Lists are exact: a redirect URI is compared character by character.
    """

    class AuthMethod(models.TextChoices):
        NONE = "none"
        POST = "client_secret_post"
        BASIC = "client_secret_basic"

    client_id = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=100)
    secret_hash = models.CharField(max_length=128, blank=True)
    first_party = models.BooleanField(default=True)
    auth_method = models.CharField(max_length=32, choices=AuthMethod, default=AuthMethod.POST)
    grant_types = models.JSONField(default=list)
    redirect_uris = models.JSONField(default=list)
    logout_uris = models.JSONField(default=list)
    web_origins = models.JSONField(default=list)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


class ResourceServer(models.Model):
    """An API of the company. Auth0's `audience` is its identifier."""

    identifier = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=100)
    scopes = models.JSONField(default=list)
    token_lifetime = models.PositiveIntegerField(default=86400)  # seconds

    def __str__(self) -> str:
        return self.identifier


class ClientGrant(models.Model):
    """Which scopes a machine may have at an API."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="grants")
    resource_server = models.ForeignKey(ResourceServer, on_delete=models.CASCADE)
    scopes = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "resource_server"], name="one_grant_per_api")]

    def __str__(self) -> str:
        return f"{self.client_id} at {self.resource_server_id}"
