"""State of the OAuth protocol between requests. Times are the system clock's, as in every protocol."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from regulars.accounts.models import Account
from regulars.clients.models import Client
from regulars.profiles.models import Profile


class PendingLogin(models.Model):
    """A login that waits for its browser to come back from a page: sign-in, consent, a question, a rule's own page.

    It is found by the hash of a random state, and usable only by the browser whose cookie has the hash in `browser`.
    `progress` is the `LoginProgress` of `account`. A wait is resumed once: the request that empties `waits_for` resumes it.
    """

    class Wait(models.TextChoices):
        LOGIN = "login"
        RULE = "rule"
        QUESTION = "question"
        CONSENT = "consent"

    state_hash = models.CharField(max_length=64, primary_key=True)
    browser = models.CharField(max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    account = models.ForeignKey(Account, null=True, on_delete=models.CASCADE, related_name="+")
    params = models.JSONField()
    progress = models.JSONField(default=dict)
    posted = models.JSONField(default=dict)  # the fields of a POST to /continue, until the browser repeats it by GET
    waits_for = models.CharField(max_length=16, choices=Wait, blank=True)
    pushed = models.BooleanField(default=False)  # the request came by /oauth/par and never shows in an address
    started_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.client_id} waits for {self.waits_for or 'nothing'}"


class AuthorizationCode(models.Model):
    """An authorization code, by its hash, with its `grants.Grant`. `family` is set when the code is redeemed.

    A code that is redeemed is kept without its grant until all that came from it has expired (`expires_at`), so that a replay
    is recognised and ends it.
    """

    hash = models.CharField(max_length=64, primary_key=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="+")
    grant = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)
    family = models.UUIDField(null=True)

    def __str__(self) -> str:
        return f"code of {self.client_id}"


class RefreshFamily(models.Model):
    """One granted offline access. Its tokens replace each other; the end of the family ends them all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="+")
    grant = models.JSONField()
    started_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True)
    # code_replayed token_reused by_client signed_out grant_withdrawn
    revoked_why = models.CharField(max_length=32, blank=True)
    sid = models.CharField(max_length=64, blank=True, db_index=True)

    def __str__(self) -> str:
        return f"offline access of {self.client_id}"


class RefreshToken(models.Model):
    """One refresh token, by its hash. It is used once: `used_at` is when its successor was issued."""

    hash = models.CharField(max_length=64, primary_key=True)
    family = models.ForeignKey(RefreshFamily, on_delete=models.CASCADE, related_name="tokens")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"token of family {self.family_id}"


class RevokedGrant(models.Model):
    """A grant whose access tokens are refused, until the last of them has expired. See `revoked_grants`."""

    grant_id = models.CharField(max_length=32, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.grant_id


class SessionClient(models.Model):
    """An app that got tokens in a session, and is notified of a logout. `sid` is the claim in the ID token.

    `claims` are those that rules added to the ID token there; /userinfo discloses them too, also after a logout.
    """

    sid = models.CharField(max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="+")
    claims = models.JSONField(default=dict)
    since = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sid", "client"], name="an_app_is_once_in_a_session")]

    def __str__(self) -> str:
        return f"{self.client_id} in {self.sid}"


class SessionName(models.Model):
    """The `sid` of a session whose key changed later. `key_sid` is the sid that follows from the new key alone."""

    key_sid = models.CharField(max_length=64, primary_key=True)
    sid = models.CharField(max_length=64)
    since = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.sid


class PushedRequest(models.Model):
    """An authorization request that an app left with us (RFC 9126), by the hash of its `request_uri`. It is used once."""

    hash = models.CharField(max_length=64, primary_key=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    params = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"request of {self.client_id}"


class DeviceRequest(models.Model):
    """A device without a keyboard that waits for its customer, who types its code on another device (RFC 8628).

    Both codes are hashes. `grant` is set when the customer allowed the device. The request that changes `state` from
    allowed to used gets the tokens.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        ALLOWED = "allowed"
        DENIED = "denied"
        USED = "used"

    hash = models.CharField(max_length=64, primary_key=True)
    user_code_hash = models.CharField(max_length=64, unique=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    params = models.JSONField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    profile = models.ForeignKey(Profile, null=True, on_delete=models.CASCADE, related_name="+")
    grant = models.JSONField(default=dict)
    interval = models.PositiveSmallIntegerField(
        default=5
    )  # seconds between two polls; longer after polls that came too soon
    asked_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"device of {self.client_id}, {self.state}"


class AppGrant(models.Model):
    """The consent of a customer to a third-party app, per API; `audience` is empty for the customer's profile alone.

    `words` are those of the page on which they gave it last, in the language `locale`; empty: given before these were kept.
    """

    profile = models.ForeignKey("profiles.Profile", on_delete=models.CASCADE, related_name="app_grants")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    audience = models.CharField(max_length=255, blank=True)
    scopes = models.JSONField(default=list)
    given_at = models.DateTimeField(default=timezone.now)
    locale = models.CharField(max_length=16, blank=True)
    words = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["profile", "client", "audience"], name="one_consent_per_app_and_api"),
        ]

    def __str__(self) -> str:
        return f"{self.profile_id} lets {self.client_id} have {' '.join(self.scopes)}"
