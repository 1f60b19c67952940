"""What may be asked, and every showing with what came of it."""

from __future__ import annotations

from dataclasses import fields

from django.db import models

from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile

from .choose import CAPS, Caps
from .declare import TYPES, Option, QuestionType


class Question(models.Model):
    """One question about one attribute. Its version rises with every change of what customers read.

    `options` is `[{"key": "jackets", "label": "Jackets"}]`; `weight` is what an answer is worth beside other questions.
    `translations` is `{"de": {"text", "why", "help", "confirm", "options": {"jackets": "Jacken"}}}`; `variants` are
    other wordings, `[{"key": "b", "text", "why", "help", "translations"}]`, each shown to an equal share of customers.
    """

    key = models.SlugField(max_length=64, unique=True)
    version = models.PositiveIntegerField(default=1)
    locale = models.CharField(max_length=16, default="en")  # of `text`, `why`, `help` and the options
    text = models.CharField(max_length=200)
    why = models.CharField(max_length=140)  # what she gets for it; required, because people answer for a reason
    help = models.CharField(max_length=200, blank=True)
    confirm = models.CharField(max_length=200, blank=True)  # "You told us {value}. Is that still right?"
    type = models.CharField(max_length=64)
    options = models.JSONField(default=list, blank=True)
    old_options = models.JSONField(default=list, blank=True)  # removed ones: answers given before stay readable
    translations = models.JSONField(default=dict, blank=True)
    variants = models.JSONField(default=list, blank=True)
    attribute = models.CharField(max_length=128)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    weight = models.FloatField(default=1.0)
    audience = models.TextField(blank=True)  # a condition; empty: everybody
    not_before_logins = models.PositiveIntegerField(default=0)
    not_before_days = models.PositiveIntegerField(default=0)
    quota = models.PositiveIntegerField(null=True, blank=True)  # answers in 30 days after which it is not asked
    may_decline = models.BooleanField(default=False)  # offers "Prefer not to say"
    may_not_know = models.BooleanField(default=False)  # offers "I don't know"
    enabled = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.key}@{self.version}"

    @property
    def kind(self) -> QuestionType:
        return TYPES[self.type]

    def choices(self) -> list[Option]:
        return [Option(each["key"], each["label"], each.get("image", "")) for each in self.options]

    def label_of(self, value: object) -> str:
        """An answer in words, of options that were removed as well."""
        labels = {each["key"]: each["label"] for each in [*self.old_options, *self.options]}
        words = [str(labels.get(each, each)) for each in (value if isinstance(value, list) else [value])]
        return ", ".join(words)


class Impression(models.Model):
    """One showing of one question to one customer. At most one a day, which the database itself sees to.

    But for those she said "one more" to: such a one `follows` the ask that she had just answered.

    `words` are what she saw, whole: the proof of notice when her answer needs a consent. `offer` is the value she is
    asked to confirm. `after` are the bits of doubt left by each answer, by which `bits` is told once she answers.
    """

    class Outcome(models.TextChoices):
        SHOWN = "shown"  # no answer yet; stays so when she closes the page
        ANSWERED = "answered"
        PASSED = "passed"
        NEVER = "never"
        DECLINED = "declined"  # prefers not to say
        DONT_KNOW = "dont_know"

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="asks")
    version = models.PositiveIntegerField()
    variant = models.CharField(max_length=32, blank=True)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="asks")
    day = models.DateField()
    follows = models.OneToOneField("self", null=True, blank=True, on_delete=models.CASCADE, related_name="followed_by")
    shown_at = models.DateTimeField(default=clock.now)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.SHOWN)
    closed_at = models.DateTimeField(null=True, blank=True)
    words = models.TextField()
    offer = models.JSONField(null=True, blank=True)
    locale = models.CharField(max_length=16, default="en")
    client_id = models.CharField(max_length=64, blank=True)
    value = models.FloatField(default=0.0)  # what an answer was worth then, in bits
    chance = models.FloatField(default=0.5)  # of an answer, as thought then
    probability = models.FloatField(default=1.0)  # of this policy asking this question of her then
    explored = models.BooleanField(default=False)
    explanation = models.JSONField(default=dict)  # see `ask.explain`
    after = models.JSONField(default=dict)
    bits = models.FloatField(null=True, blank=True)  # of doubt settled by the answer, as the model of then sees it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "day"], condition=models.Q(follows=None), name="one_ask_per_customer_and_day"
            )
        ]
        indexes = [models.Index(fields=["question", "shown_at"])]

    def __str__(self) -> str:
        return f"{self.question_id} to {self.profile_id} on {self.day}: {self.outcome}"


class SelectionDecision(models.Model):
    """What was decided at one login, and why: `reason` is `asked` or the name of the rule that stopped it.

    `refusals` is question key → rule; `candidates` question key → `{"value", "chance", "score"}` of the eligible ones.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="ask_decisions")
    at = models.DateTimeField(default=clock.now, db_index=True)
    client_id = models.CharField(max_length=64, blank=True)
    ask = models.ForeignKey(Impression, null=True, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=32)
    probability = models.FloatField(default=1.0)
    refusals = models.JSONField(default=dict)
    candidates = models.JSONField(default=dict)
    price = models.FloatField(default=0.0)
    policy = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [models.Index(fields=["profile", "at"])]

    def __str__(self) -> str:
        return f"{self.profile_id} at {self.at:%Y-%m-%d %H:%M}: {self.reason}"


class QuestionSettings(models.Model):
    """How seldom and how keenly we ask; one row, edited by an operator. The defaults suit a first look around.

    `pace` is the price of a pass as a share of the doubt about somebody unknown: 0.15 gentle, 0.075 balanced, 0.0375
    curious. The no-ask control and random asks begin once `measure_from` questions were shown: with fewer their figures
    would say nothing. `one_more` is how many more she may be offered after an answer (0 to 2). `priors` are shares an operator knows: `{"gender": {"female": 0.6}}`.
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
        return "How we ask"

    def caps(self) -> Caps:
        return Caps(**{each.name: getattr(self, each.name) for each in fields(Caps)})


class Target(models.Model):
    """A segment that answers may settle: the chooser's own copy, which a flow keeps true (`targets.replace_targets`).

    `text` holds no `segment:"…"` any more; `weight` is the marketer's importance, which the flow leaves alone.
    """

    slug = models.SlugField(max_length=64, unique=True)
    text = models.TextField()
    purpose = models.ForeignKey(Purpose, on_delete=models.CASCADE, related_name="+")
    weight = models.FloatField(default=1.0)

    def __str__(self) -> str:
        return self.slug


class PriorityBoost(models.Model):
    """Somebody wants one answer of this customer in particular ("ask to find out"): more weight, within the caps."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="wishes")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="+")
    weight = models.FloatField()
    until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["question", "profile"], name="one_wish_per_question")]

    def __str__(self) -> str:
        return f"{self.question_id} of {self.profile_id}"


class AnswerModel(models.Model):
    """Who answers what, learned: a few hundred numbers that hold no person. The newest row in use is the one asked.

    `columns` is `[["gender", 3], ["interests=shoes", 2]]` in the order of `mixture`; `rates` is question key → how it
    fared, `{"shown", "answered", "kind"}`.
    """

    made_at = models.DateTimeField(default=clock.now)
    in_use = models.BooleanField(default=False)
    columns = models.JSONField(default=list)
    mixture = models.JSONField(default=dict)  # `Mixture.as_json`; empty: only rates
    rates = models.JSONField(default=dict)
    rows = models.PositiveIntegerField(default=0)
    held_out = models.FloatField(null=True)  # mean log-likelihood of a profile it had not seen
    why = models.CharField(max_length=64, blank=True)  # learned, too_few_profiles, worse_than_before

    def __str__(self) -> str:
        return f"model {self.pk} of {self.made_at:%Y-%m-%d}"
