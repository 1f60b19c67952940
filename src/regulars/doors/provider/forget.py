"""What has run out is taken away by the web processes themselves, now and then: it costs little where it is done often."""

from __future__ import annotations

import datetime as dt
import logging
import time
from threading import Lock

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from regulars.base.kit.signing.models import UsedOnce

from .models import (
    AuthorizationCode,
    DeviceRequest,
    PendingLogin,
    PushedRequest,
    RefreshFamily,
    SessionClient,
    SessionName,
)

log = logging.getLogger("regulars.provider")

EVERY = 600.0  # seconds between two times in one process
# A replay of a used code must still be recognised for as long as what it started may live in a log.
CODES_STAY = dt.timedelta(days=1)

_last = time.monotonic()
_looking = Lock()


def now_and_then() -> None:
    """Forget what has run out, if it has not been done for a while. A fault waits for the next time."""
    global _last
    if time.monotonic() - _last < EVERY or not _looking.acquire(blocking=False):
        return
    try:
        _last = time.monotonic()
        forget_expired()
    except DatabaseError:
        log.exception("what has run out could not be taken away")
    finally:
        _looking.release()


def forget_expired() -> None:
    now = timezone.now()
    AuthorizationCode.objects.filter(expires_at__lt=now - CODES_STAY).delete()
    PendingLogin.objects.filter(expires_at__lt=now).delete()
    for model in (RefreshFamily, PushedRequest, DeviceRequest, UsedOnce):
        model.objects.filter(expires_at__lt=now).delete()
    oldest = now - dt.timedelta(seconds=settings.SESSION_COOKIE_AGE)
    for kept in (SessionClient, SessionName):
        kept.objects.filter(since__lt=oldest).delete()
