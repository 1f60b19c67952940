"""Deletion of expired codes, requests, tokens and sessions. The worker runs it."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from regulars.base.tokens.models import UsedOnce

from .models import (
    AuthorizationCode,
    DeviceRequest,
    PendingLogin,
    PushedRequest,
    RefreshFamily,
    RevokedGrant,
    SessionClient,
    SessionName,
)

# A replay of a used code must be recognised for as long as the code may be found in a log.
USED_CODES_KEPT = dt.timedelta(days=1)


def delete_expired() -> None:
    now = timezone.now()
    AuthorizationCode.objects.filter(expires_at__lt=now - USED_CODES_KEPT).delete()
    for model in (PendingLogin, RefreshFamily, RevokedGrant, PushedRequest, DeviceRequest, UsedOnce):
        model.objects.filter(expires_at__lt=now).delete()
    oldest = now - dt.timedelta(seconds=settings.SESSION_COOKIE_AGE)
    for model_of_sessions in (SessionClient, SessionName):
        model_of_sessions.objects.filter(since__lt=oldest).delete()
