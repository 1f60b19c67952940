"""What has run out is taken away, by the worker."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from regulars.base.jobs.schedule import MINUTE, periodic_task
from regulars.base.tokens.models import UsedOnce
from regulars.oauth.models import (
    AuthorizationCode,
    DeviceRequest,
    PendingLogin,
    PushedRequest,
    RefreshFamily,
    SessionClient,
    SessionName,
)

# A replay of a used code must still be recognised for as long as what it started may live in a log.
CODES_STAY = dt.timedelta(days=1)


@periodic_task(10 * MINUTE, "provider.forget")
def forget_expired() -> None:
    now = timezone.now()
    AuthorizationCode.objects.filter(expires_at__lt=now - CODES_STAY).delete()
    PendingLogin.objects.filter(expires_at__lt=now).delete()
    for model in (RefreshFamily, PushedRequest, DeviceRequest, UsedOnce):
        model.objects.filter(expires_at__lt=now).delete()
    oldest = now - dt.timedelta(seconds=settings.SESSION_COOKIE_AGE)
    for kept in (SessionClient, SessionName):
        kept.objects.filter(since__lt=oldest).delete()
