"""Which sources are on, and what they answered."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from regulars.base.kit import clock
from regulars.base.kit.encrypted import EncryptedJSONField
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile


class SourceSetting(models.Model):
    """How the source `key` (of `enrichment.source.SOURCES`) is used here. `settings`: setting → text, as it declares."""

    key = models.CharField(max_length=64, primary_key=True)
    enabled = models.BooleanField(default=False)
    settings = EncryptedJSONField(default=dict)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return self.key


class Lookup(models.Model):
    """What a source said to one question the last time, so that it is not asked again before `fresh_until`.

    `profile` is empty for sources about areas, whose answers customers share; answers about a person go with her.
    `question` is a fingerprint. `error` names what went wrong, then `answer` is empty and means nothing.
    """

    source_key = models.CharField(max_length=64)
    profile = models.ForeignKey(Profile, null=True, blank=True, on_delete=models.CASCADE, related_name="lookups")
    question = models.CharField(max_length=64)
    answer = models.JSONField(default=dict)
    error = models.CharField(max_length=64, blank=True)
    last_error = models.TextField(blank=True)
    asked_at = models.DateTimeField(default=clock.now)
    fresh_until = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source_key", "question"], condition=Q(profile=None), name="one_answer_about_an_area"
            ),
            models.UniqueConstraint(fields=["source_key", "profile", "question"], name="one_answer_about_a_person"),
        ]

    def __str__(self) -> str:
        return f"{self.source_key} at {self.asked_at:%Y-%m-%d %H:%M}: {self.error or self.answer or 'nothing'}"
