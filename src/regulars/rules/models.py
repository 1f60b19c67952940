"""Rules, their configuration, and the record of every run."""

from __future__ import annotations

from typing import Any

from django.db import models

from regulars.base import clock
from regulars.base.configuration.models import versioned
from regulars.base.db.encrypted import EncryptedJSONField
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile


class Rule(models.Model):
    """Code that runs at a moment (such as "login"), in `order`.

    `script` is one JavaScript function expression, an action (`exports.onExecutePostLogin = …`), the key of an installed
    Python rule, or Python for the sandbox. `settings` are its own; they win over `RuleSetting` of the same name. A rule
    that fails is skipped, unless `deny_on_failure`: for rules that protect something. `version` rises with every change of
    what it runs, and facts that it writes name it (`rule:add-tier@3`).

    `timeout`: seconds that a login waits for it. `own_realm`: it shares no globals with other rules. `limit_hits` since
    `limit_since` counts exceeded limits; after too many the rule is disabled with a `disabled_reason`.

    `purpose`, `recipients` and `sends` are its declaration: see `rules.declaration`. A rule without a purpose is undeclared.
    """

    class Language(models.TextChoices):
        JAVASCRIPT = "javascript", "JavaScript"
        ACTION = "action", "Action"
        PYTHON = "python", "Python (installed)"
        MONTY = "monty", "Python"

    name = models.CharField(max_length=128)
    slug = models.SlugField(max_length=64, unique=True)
    language = models.CharField(max_length=16, choices=Language, default=Language.JAVASCRIPT)
    moment = models.CharField(max_length=32, default="login")
    script = models.TextField()
    template = models.CharField(max_length=64, blank=True)
    version = models.PositiveIntegerField(default=1)
    order = models.IntegerField(default=0)
    enabled = models.BooleanField(default=True)
    deny_on_failure = models.BooleanField(default=False)
    settings = EncryptedJSONField(default=dict, blank=True)
    timeout = models.FloatField(default=3.0)
    own_realm = models.BooleanField(default=False)
    limit_hits = models.PositiveIntegerField(default=0)
    limit_since = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    purpose = models.ForeignKey(Purpose, null=True, blank=True, on_delete=models.PROTECT)
    recipients = models.JSONField(default=list, blank=True)
    sends = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["order", "id"]

    def __str__(self) -> str:
        return self.name


class RuleSetting(models.Model):
    """One value of `configuration`, which every rule can read."""

    key = models.CharField(max_length=127, unique=True)
    value = EncryptedJSONField(default=str)

    def __str__(self) -> str:
        return self.key


@versioned
class UndeclaredRules(models.Model):
    """The purpose that the operator chose for rules without a declaration. At most one row."""

    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return self.purpose_id


class RuleRun(models.Model):
    """The record of one run, rule by rule: names of claims, never their values.

    `steps`: `[{"rule": "add-claim", "version": 3, "how": "done", "fault": "", "message": "", "milliseconds": 1.4, "console": []}]`,
    with the values of settings redacted. `effects`: `{"id_token": ["https://…/tier"], "access_token": [],
    "denied": "", "redirect": false, "redirect_by": "", "second_factor": false, "metadata": ["loyalty"],
    "enrichments": ["us-census-acs"], "ignored": ["context.primaryUser"], "late": ["app_metadata.lead"], "late_faults": ["make-lead: too_much_cpu"],
    "refused": [{"rule": "add-tier", "value": "user_metadata.shoe", "why": "deleted_by_customer"}]}`; `late` and `late_faults` are about
    what rules did after the login, `refused` has what was not written, with a key of `profiles.learn.WHY_REFUSED`. `inputs` is the input of the rules and the HTTP answers, encrypted and without
    credentials, for replays; deleted by `record.delete_old_inputs`.
    """

    moment = models.CharField(max_length=32)
    profile = models.ForeignKey(Profile, null=True, blank=True, on_delete=models.CASCADE, related_name="rule_runs")
    at = models.DateTimeField(default=clock.now, db_index=True)
    milliseconds = models.FloatField()
    steps = models.JSONField(default=list)
    effects = models.JSONField(default=dict)
    inputs = EncryptedJSONField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.moment} {self.at:%Y-%m-%d %H:%M}"

    @property
    def shown_steps(self) -> list[dict[str, Any]]:
        """The steps as staff read them. What rules printed of a restricted customer is stored only."""
        if self.profile is None or self.profile.restricted_at is None:
            return list(self.steps)
        return [{**step, "message": "", "console": []} for step in self.steps]
