"""Sources: their settings, daily figures, cached answers and reliability."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Q

from regulars.base import clock
from regulars.base.db.encrypted import EncryptedJSONField
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile


class SourceSetting(models.Model):
    """Settings and limits of the source `key` (of `enrichment.source.SOURCES`). `settings`: setting → text.

    Limits are None where there is none; `price` is the price of one call and `money_per_day` the budget of a day, in the
    business's own currency. `fresh_days` is how long an answer is fresh, None for the source's own value.
    `next_call_at` paces the calls (the machine's time).
    """

    key = models.CharField(max_length=64, primary_key=True)
    enabled = models.BooleanField(default=False)
    settings = EncryptedJSONField(default=dict)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    calls_per_day = models.PositiveIntegerField(null=True, blank=True)
    calls_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrency = models.PositiveSmallIntegerField(default=1)
    price = models.DecimalField(max_digits=10, decimal_places=4, default=Decimal(0))
    money_per_day = models.DecimalField(max_digits=10, decimal_places=2, null=True, blank=True)
    fresh_days = models.PositiveSmallIntegerField(null=True, blank=True)
    next_call_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.key

    @property
    def queue(self) -> str:
        """The name of its queue of jobs (`base.jobs.queues`)."""
        return f"source:{self.key}"[:64]


class SourceDay(models.Model):
    """Calls to a source on one day (UTC), their outcomes and cost. Answers from the cache do not count."""

    source_key = models.CharField(max_length=64)
    day = models.DateField()
    calls = models.PositiveIntegerField(default=0)
    answers = models.PositiveIntegerField(default=0)
    nothing = models.PositiveIntegerField(default=0)
    faults = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=14, decimal_places=4, default=Decimal(0))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_key", "day"], name="one_row_per_source_and_day")]

    def __str__(self) -> str:
        return f"{self.source_key} on {self.day}: {self.calls} calls"


class Lookup(models.Model):
    """The last answer of a source to one question, cached until `fresh_until`.

    `profile` is empty for sources about areas, whose answers customers share; answers about a person are erased with them.
    `question` is a fingerprint. `error` names a failure; then `answer` is empty and means nothing.
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


class Reliability(models.Model):
    """How often a source agreed with customers' own answers, per attribute: `agree` of `compared`."""

    source_key = models.CharField(max_length=64)
    attribute = models.CharField(max_length=128)
    agree = models.PositiveIntegerField(default=0)
    compared = models.PositiveIntegerField(default=0)
    reliability = models.FloatField()
    counted_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source_key", "attribute"], name="one_reliability_per_attribute")
        ]

    def __str__(self) -> str:
        return f"{self.source_key} {self.attribute}: {self.reliability:.2f}"
