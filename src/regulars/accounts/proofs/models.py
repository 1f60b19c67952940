"""Proofs that wait to be shown. What they are checked against is hashed; times are the machine's."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db import models
from django.utils import timezone

from regulars.clients.models import Client

from ..models import Account


class EmailCode(models.Model):
    """A code, and perhaps a link, sent to an address: showing it proves access to that mailbox.

    `browser` is the fingerprint of what the browser that asked holds; empty when an app asked (`client`). `asker` is a
    keyed hash of the IP address that asked, or of a browser that the customer signed in with before (`asker_is_known`).
    `code_hash` is empty until the mail is written.
    """

    email = models.EmailField(db_index=True)
    client = models.ForeignKey(Client, null=True, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=64, blank=True)
    asker = models.CharField(max_length=64, blank=True)
    asker_is_known = models.BooleanField(default=False)
    onward = models.TextField(blank=True)  # the path to continue at
    code_hash = models.CharField(max_length=64, blank=True)
    link_hash = models.CharField(max_length=64, blank=True, db_index=True)
    wrong_tries = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"code until {self.expires_at:%Y-%m-%d %H:%M}"


class LoginTicket(models.Model):
    """A login proved on a page of an app (`client`, at `origin`); the browser that proved it brings the ticket here, once."""

    hash = models.CharField(max_length=64, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    origin = models.CharField(max_length=255)
    browser = models.CharField(max_length=64)
    method = models.CharField(max_length=16)  # allauth's word: password, code, mfa
    passkey = models.ForeignKey(Authenticator, null=True, on_delete=models.CASCADE, related_name="+")  # for mfa: which
    made_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"ticket at {self.client_id} until {self.expires_at:%H:%M}"
