"""Segments and memberships."""

from __future__ import annotations

from django.db import models

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile


class Segment(models.Model):
    """A named condition, in the language of `base.conditions`, over what may be used for its purpose."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=128)
    description = models.TextField(blank=True)
    text = models.TextField()
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    saved_by = models.ForeignKey(Account, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """The membership of one customer in one segment. No row means out, and nothing else."""

    class State(models.TextChoices):
        IN = "in"
        UNKNOWN = "unknown"
        OUT = "out"

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="memberships")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="memberships")
    state = models.CharField(max_length=8, choices=State)
    since = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["segment", "profile"], name="one_standing_per_segment")]
        indexes = [models.Index(fields=["segment", "state", "profile"])]

    def __str__(self) -> str:
        return f"{self.profile_id} {self.state} {self.segment_id}"
