"""Deletion of expired codes, requests, tokens and sessions. The worker runs it."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from regulars.base.db.portions import delete_in_portions
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
    delete_in_portions(AuthorizationCode.objects.filter(expires_at__lt=now - USED_CODES_KEPT), "expires_at")
    for model in (PendingLogin, RefreshFamily, RevokedGrant, PushedRequest, DeviceRequest, UsedOnce):
        delete_in_portions(model._default_manager.filter(expires_at__lt=now), "expires_at")
    oldest = now - dt.timedelta(seconds=settings.SESSION_COOKIE_AGE)
    for model_of_sessions in (SessionClient, SessionName):
        delete_in_portions(model_of_sessions._default_manager.filter(since__lt=oldest), "pk")
