"""What may be asked, and every showing with what came of it."""

from __future__ import annotations

from django.db import models

from regulars.base.kit import clock
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile

from .declare import TYPES, Option, QuestionType


class Question(models.Model):
    """One question about one attribute. Its version rises with every change of what customers read.

    `options` is `[{"key": "jackets", "label": "Jackets"}]`; `weight` is what an answer is worth beside other questions.
    """

    key = models.SlugField(max_length=64, unique=True)
    version = models.PositiveIntegerField(default=1)
    text = models.CharField(max_length=200)
    why = models.CharField(max_length=140)  # what she gets for it; required, because people answer for a reason
    help = models.CharField(max_length=200, blank=True)
    type = models.CharField(max_length=64)
    options = models.JSONField(default=list, blank=True)
    attribute = models.CharField(max_length=128)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    weight = models.FloatField(default=1.0)
    enabled = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.key}@{self.version}"

    @property
    def kind(self) -> QuestionType:
        return TYPES[self.type]

    def choices(self) -> list[Option]:
        return [Option(each["key"], each["label"]) for each in self.options]


class Ask(models.Model):
    """One showing of one question to one customer. At most one a day, which the database itself sees to.

    `words` are what she saw, whole: the proof of notice when her answer needs a consent.
    """

    class Outcome(models.TextChoices):
        SHOWN = "shown"  # no answer yet; stays so when she closes the page
        ANSWERED = "answered"
        PASSED = "passed"
        NEVER = "never"

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="asks")
    version = models.PositiveIntegerField()
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="asks")
    day = models.DateField()
    shown_at = models.DateTimeField(default=clock.now)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.SHOWN)
    closed_at = models.DateTimeField(null=True, blank=True)
    words = models.TextField()
    locale = models.CharField(max_length=16, default="en")
    client_id = models.CharField(max_length=64, blank=True)
    value = models.FloatField(default=0.0)  # what the choice was worth then

    class Meta:
        constraints = [models.UniqueConstraint(fields=["profile", "day"], name="one_ask_per_customer_and_day")]

    def __str__(self) -> str:
        return f"{self.question_id} to {self.profile_id} on {self.day}: {self.outcome}"
