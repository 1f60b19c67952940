"""Questions, their impressions with outcomes, and the data that selection stores."""

from __future__ import annotations

from dataclasses import fields

from django.db import models

from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile

from .policy import CAPS, Caps
from .question_type import TYPES, AnswerOption, QuestionType


class Question(models.Model):
    """One question about one attribute. Its version rises with every change of the text that customers read.

    `options` is `[{"key": "jackets", "label": "Jackets"}]`; `weight` is what an answer is worth beside other questions.
    `translations` is `{"de": {"text", "why", "help", "confirm", "options": {"jackets": "Jacken"}}}`; `variants` are
    other wordings, `[{"key": "b", "text", "why", "help", "translations"}]`, each shown to an equal share of customers.
    """

    key = models.SlugField(max_length=64, unique=True)
    version = models.PositiveIntegerField(default=1)
    locale = models.CharField(max_length=16, default="en")  # of `text`, `why`, `help` and the options
    text = models.CharField(max_length=200)
    why = models.CharField(max_length=140)  # the benefit for the customer; required, because people answer for a reason
    help = models.CharField(max_length=200, blank=True)
    confirm = models.CharField(max_length=200, blank=True)  # "You look for {value}. Is that still right?"
    type = models.CharField(max_length=64)
    options = models.JSONField(default=list, blank=True)
    old_options = models.JSONField(default=list, blank=True)  # removed ones: answers given before stay readable
    translations = models.JSONField(default=dict, blank=True)
    variants = models.JSONField(default=list, blank=True)
    attribute = models.CharField(max_length=128)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    weight = models.FloatField(default=1.0)
    audience = models.TextField(blank=True)  # a condition; empty: all customers
    not_before_logins = models.PositiveIntegerField(default=0)
    not_before_days = models.PositiveIntegerField(default=0)
    quota = models.PositiveIntegerField(null=True, blank=True)  # answers in 30 days after which it is not asked
    may_decline = models.BooleanField(default=False)  # offers "Prefer not to say"
    may_not_know = models.BooleanField(default=False)  # offers "I don't know"
    rules_see_answer = models.BooleanField(default=False)  # rules run once more after the answer, in the same sign-in
    enabled = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.key}@{self.version}"

    @property
    def kind(self) -> QuestionType:
        return TYPES[self.type]

    def choices(self) -> list[AnswerOption]:
        return [AnswerOption(each["key"], each["label"], each.get("image", "")) for each in self.options]

    def label_of(self, value: object) -> str:
        """Return the labels of an answer, including options that were removed since."""
        labels = {each["key"]: each["label"] for each in [*self.old_options, *self.options]}
        words = [str(labels.get(each, each)) for each in (value if isinstance(value, list) else [value])]
        return ", ".join(words)


class Impression(models.Model):
    """One question shown to one customer. At most one a day, which the database itself enforces.

    An impression that the customer wanted as "one more" is exempt: it `follows` the one they had just answered.

    `words` is the whole text shown: the proof of notice when the answer needs a consent. `to_confirm` is the value to
    confirm. `after` is the entropy left by each answer, in bits, from which `bits` is computed after the answer.
    """

    class Outcome(models.TextChoices):
        SHOWN = "shown"  # no answer yet; stays so when the page is closed
        ANSWERED = "answered"
        PASSED = "passed"
        NEVER = "never"
        DECLINED = "declined"  # prefers not to say
        DONT_KNOW = "dont_know"

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="impressions")
    version = models.PositiveIntegerField()
    variant = models.CharField(max_length=32, blank=True)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="impressions")
    day = models.DateField()
    follows = models.OneToOneField("self", null=True, blank=True, on_delete=models.CASCADE, related_name="followed_by")
    shown_at = models.DateTimeField(default=clock.now)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.SHOWN)
    closed_at = models.DateTimeField(null=True, blank=True)
    words = models.TextField()
    to_confirm = models.JSONField(null=True, blank=True)
    locale = models.CharField(max_length=16, default="en")
    client_id = models.CharField(max_length=64, blank=True)
    value = models.FloatField(default=0.0)  # of an answer then, in bits
    chance = models.FloatField(default=0.5)  # of an answer, as predicted then
    probability = models.FloatField(default=1.0)  # of this policy showing this question to this customer then
    explored = models.BooleanField(default=False)
    explanation = models.JSONField(default=dict)  # see `next_question.explain`
    after = models.JSONField(default=dict)
    bits = models.FloatField(null=True, blank=True)  # of entropy settled by the answer, by the model in use then

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "day"], condition=models.Q(follows=None), name="one_impression_per_customer_and_day"
            )
        ]
        indexes = [models.Index(fields=["question", "shown_at"])]

    def __str__(self) -> str:
        return f"{self.question_id} to {self.profile_id} on {self.day}: {self.outcome}"


class SelectionDecision(models.Model):
    """The decision of one login: `reason` is `asked` or a `NotShownReason`.

    `rejections` is question key → rule; `candidates` question key → `{"value", "chance", "score"}` of the eligible ones.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="selection_decisions")
    at = models.DateTimeField(default=clock.now, db_index=True)
    client_id = models.CharField(max_length=64, blank=True)
    impression = models.ForeignKey(Impression, null=True, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=32)
    probability = models.FloatField(default=1.0)
    rejections = models.JSONField(default=dict)
    candidates = models.JSONField(default=dict)
    price = models.FloatField(default=0.0)
    policy = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [models.Index(fields=["profile", "at"])]

    def __str__(self) -> str:
        return f"{self.profile_id} at {self.at:%Y-%m-%d %H:%M}: {self.reason}"


class QuestionSettings(models.Model):
    """Frequency and experimentation of questions; one row, edited by an operator. The defaults suit an evaluation.

    `pace` is the price of a pass as a share of the entropy of an unknown customer: 0.15 gentle, 0.075 balanced, 0.0375
    curious. The control group and random questions begin once `measure_from` questions were shown: fewer give no
    meaningful figures. `one_more` is how many more may be offered after an answer (0 to 2). `priors` are shares that an
    operator knows: `{"gender": {"female": 0.6}}`.
    """

    asking = models.BooleanField(default=True)
    days_between = models.PositiveIntegerField(default=CAPS.days_between)
    min_logins = models.PositiveIntegerField(default=CAPS.min_logins)
    most_in_30_days = models.PositiveIntegerField(default=CAPS.most_in_30_days)
    quiet_after_passes = models.PositiveIntegerField(default=CAPS.quiet_after_passes)
    quiet_days = models.PositiveIntegerField(default=CAPS.quiet_days)
    pass_days = models.PositiveIntegerField(default=CAPS.pass_days)
    shows = models.PositiveIntegerField(default=CAPS.shows)
    declined_days = models.PositiveIntegerField(default=CAPS.declined_days)
    adult_age = models.PositiveIntegerField(default=CAPS.adult_age)
    pace = models.FloatField(default=0.075)
    control_share = models.FloatField(default=0.05)
    explore_share = models.FloatField(default=0.10)
    one_more = models.PositiveSmallIntegerField(default=0)
    measure_from = models.PositiveIntegerField(default=2000)
    priors = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return "Question settings"

    def caps(self) -> Caps:
        return Caps(**{each.name: getattr(self, each.name) for each in fields(Caps)})


class Target(models.Model):
    """A segment that answers may settle: a copy for question selection, kept up to date by `targets.replace_targets`.

    `text` has every `segment:"…"` replaced; `weight` is the marketer's importance, which updates leave alone.
    """

    slug = models.SlugField(max_length=64, unique=True)
    text = models.TextField()
    purpose = models.ForeignKey(Purpose, on_delete=models.CASCADE, related_name="+")
    weight = models.FloatField(default=1.0)

    def __str__(self) -> str:
        return self.slug


class PriorityBoost(models.Model):
    """A question preferred for one customer: more weight, within the caps."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="boosts")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="+")
    weight = models.FloatField()
    until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["question", "profile"], name="one_boost_per_question")]

    def __str__(self) -> str:
        return f"{self.question_id} of {self.profile_id}"


class AnswerModel(models.Model):
    """A learned model of answers: a few hundred numbers without personal data. The newest row in use is the model used.

    `columns` is `[["gender", 3], ["interests=shoes", 2]]` in the order of `mixture`; `rates` is question key →
    `{"shown", "answered", "kind"}`.
    """

    made_at = models.DateTimeField(default=clock.now)
    in_use = models.BooleanField(default=False)
    columns = models.JSONField(default=list)
    mixture = models.JSONField(default=dict)  # `Mixture.as_json`; empty: only rates
    rates = models.JSONField(default=dict)
    rows = models.PositiveIntegerField(default=0)
    held_out = models.FloatField(null=True)  # mean log-likelihood of a profile held out
    why = models.CharField(max_length=64, blank=True)  # learned, too_few_profiles, worse_than_before

    def __str__(self) -> str:
        return f"model {self.pk} of {self.made_at:%Y-%m-%d}"
