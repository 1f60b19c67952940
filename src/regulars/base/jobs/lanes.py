"""Queues within the queue: how many jobs of a lane run at a time, and when none shall."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from .models import Lane


def set_lane(name: str, width: int = 1) -> None:
    """Jobs written with this lane run at most `width` at a time from now on."""
    Lane.objects.update_or_create(name=name, defaults={"width": width})


def close_lane(name: str, seconds: float) -> None:
    """No job of the lane is begun for so long. What is running goes on; a lane nobody set gets the width 1."""
    until = timezone.now() + dt.timedelta(seconds=seconds)
    Lane.objects.update_or_create(name=name, defaults={"closed_until": until})


def open_lane(name: str) -> None:
    """Its jobs are begun as they come due, as if it had never been closed."""
    Lane.objects.filter(name=name).update(closed_until=None)


def drop_lane(name: str) -> None:
    """Jobs that still name it run without limit."""
    Lane.objects.filter(name=name).delete()
