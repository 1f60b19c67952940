"""Purposes, notices, the consent ledger, which is append-only until an erasure, and two caches derived from it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import models

from regulars.base import clock
from regulars.profiles.models import Profile

from .fold import Folded, Yes

# Advertising, and the profiling that it rests on: what an objection under Art. 21 (2) GDPR reaches.
MARKETING_KINDS = frozenset({"personalise", "message", "enrich", "share", "sale"})
# What came from another profile of the person: the key of a decision's evidence, and the method of a restriction.
SAME_PERSON = "same_person"
# What was said for an address that several hold, and it is not known who of them said it: also a key of the evidence.
SHARED_CONTACT = "shared_contact"


class Purpose(models.Model):
    """A purpose of processing with its legal basis, which belongs to the purpose and not to a person or a field.

    `version` rises with every change of its text; a consent to a version before `consents_from` no longer covers it. `translations`: locale → `{"label", "text"}`.
    """

    class Basis(models.TextChoices):
        CONTRACT = "contract"
        LEGITIMATE_INTEREST = "legitimate_interest"
        CONSENT = "consent"

    key = models.CharField(max_length=32, primary_key=True)
    version = models.PositiveIntegerField(default=1)
    label = models.CharField(max_length=128)
    text = models.TextField()
    translations = models.JSONField(default=dict, blank=True)
    consents_from = models.PositiveIntegerField(default=1)
    basis = models.CharField(max_length=24, choices=Basis)
    kind = models.CharField(max_length=16)  # serve personalise measure message enrich share special
    expires_days = models.PositiveIntegerField(null=True, blank=True)
    active = models.BooleanField(default=True)
    direct_marketing = models.BooleanField(null=True, blank=True)  # NULL: as its kind says (`MARKETING_KINDS`)

    def __str__(self) -> str:
        return self.key

    @property
    def is_direct_marketing(self) -> bool:
        """Return whether an objection to any advertising closes it. What the contract needs is never advertising."""
        if self.basis == Purpose.Basis.CONTRACT:
            return False
        return self.kind in MARKETING_KINDS if self.direct_marketing is None else self.direct_marketing


class Notice(models.Model):
    """The exact text that was shown, with who is named beside it and what it is about (`consent.notices`), by its hash."""

    hash = models.CharField(max_length=64, primary_key=True)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    version = models.PositiveIntegerField()
    locale = models.CharField(max_length=16, default="en")
    body = models.TextField()
    recipients = models.JSONField(default=list)
    pieces = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.purpose_id}@{self.version} {self.hash[:8]}"


class ConsentEvent(models.Model):
    """Given, refused, withdrawn, objected…: append-only until the customer is erased, each row chained to the customer's row before it.

    `purpose_version` is that of the words shown. `evidence["pieces"]` names the attributes that were asked about; without
    it the decision is about the whole purpose. `copy_of`: the same decision in the ledger of another profile, which was
    merged when it was made.
    """

    class Action(models.TextChoices):
        GIVEN = "given"
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"
        OBJECTED = "objected"
        OBJECTION_LIFTED = "objection_lifted"
        EXPIRED = "expired"
        GPC = "gpc"
        IMPORTED = "imported"

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="consent_events")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    purpose_version = models.PositiveIntegerField()
    notice = models.ForeignKey(Notice, null=True, on_delete=models.PROTECT)
    action = models.CharField(max_length=16, choices=Action)
    explicit = models.BooleanField(default=False)
    at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True)  # of a yes, by the purpose as it was then; NULL: never
    copy_of = models.BigIntegerField(null=True)
    method = models.CharField(max_length=16)  # question login profile api import header
    evidence = models.JSONField(default=dict)
    actor = models.CharField(max_length=64, default="customer")
    prev_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    class Meta:
        indexes = [
            models.Index(fields=["profile", "purpose"]),
            models.Index(fields=["profile", "-id"], name="ledger_ends"),  # the last row of a chain
        ]

    def __str__(self) -> str:
        return f"{self.profile_id} {self.action} {self.purpose_id}"


class ConsentState(models.Model):
    """The decisions of a customer on a purpose, folded (`consent.fold`). No row: never asked.

    `event` is the effective decision, since a merge perhaps of the ledger of another profile. `standing` are the `Yes`es
    that stand, `as_of` is the time of the last thing folded in, `expires_at` the next instant at which a yes runs out.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="consent_states")
    purpose = models.ForeignKey(Purpose, on_delete=models.CASCADE)
    status = models.CharField(max_length=16, choices=ConsentEvent.Action)
    since = models.DateTimeField()
    as_of = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True)
    standing = models.JSONField(default=list)
    event = models.ForeignKey(ConsentEvent, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["profile", "purpose"], name="one_state_per_purpose")]
        indexes = [
            models.Index(fields=["expires_at"], name="consent_expiries"),  # looked for every 45 seconds
            models.Index(fields=["purpose", "profile"], name="consent_states_in_order"),  # read in portions
        ]

    def __str__(self) -> str:
        return f"{self.profile_id} {self.purpose_id}: {self.status}"

    @property
    def folded(self) -> Folded:
        standing = tuple(map(Yes.of_json, self.standing))
        return Folded(self.event_id, self.status, self.since, self.as_of, standing)

    @classmethod
    def of_folded(cls, profile_id: int, purpose_id: str, folded: Folded) -> ConsentState:
        return cls(
            profile_id=profile_id,
            purpose_id=purpose_id,
            status=folded.status,
            since=folded.since,
            as_of=folded.as_of,
            expires_at=folded.next_expiry,
            standing=[each.as_json() for each in folded.standing],
            event_id=folded.event,
        )


class Widening(models.Model):
    """A purpose that covers more than before, until everybody who had allowed it is recomputed.

    Up to the profile id `after` that is done. Of later ones the cached views are not used: they are computed when read.
    """

    purpose = models.OneToOneField(Purpose, on_delete=models.CASCADE)
    after = models.BigIntegerField(default=0)
    begun_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.purpose_id} after {self.after}"


class PermittedView(models.Model):
    """The permitted view of one profile for one purpose: attribute → value. A cache of `consent.view.view`, for SQL.

    `terms` has the same values for conditions, with the open purposes under `consent`. A missing row permits nothing:
    the cache fails closed. `by_place` maps a place of `profiles.assertions` to what differs there from `traits`, because the
    word of some asserter is not shown there: attribute → value, or None for an attribute that is left out. `shown_terms` are
    the terms without the words that rules and the Management API do not see; NULL: as `terms`.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="permitted_views")
    purpose = models.ForeignKey(Purpose, on_delete=models.CASCADE)
    traits = models.JSONField(default=dict)
    by_place = models.JSONField(default=dict)
    terms = models.JSONField(default=dict)
    shown_terms = models.JSONField(null=True, blank=True)
    refreshed_at = models.DateTimeField(default=clock.now)
    lake_at = models.DateTimeField(null=True, blank=True)  # NULL: the lake still has an older view, or none
    has_lost = False  # not stored: whether the last refresh took an attribute away (`consent.refresh`)
    ends_rule_claims = False  # not stored: whether what rules concluded from it before may not be shown any more

    class Meta:
        constraints = [models.UniqueConstraint(fields=["profile", "purpose"], name="one_view_per_purpose")]
        indexes = [models.Index(fields=["id"], name="views_not_in_lake", condition=models.Q(lake_at=None))]

    def __str__(self) -> str:
        return f"{self.profile_id} for {self.purpose_id}"


class DocumentComparison(models.Model):
    """One night's comparison of documents and permitted views with a fresh fold (`usecases.compare_documents`).

    `up_to` is the last profile id; `at_end`: no customer comes after it. `fields` counts the names of what differed.
    """

    at = models.DateTimeField(default=clock.now)
    up_to = models.BigIntegerField(default=0)
    at_end = models.BooleanField(default=False)
    compared = models.PositiveIntegerField(default=0)
    mended = models.PositiveIntegerField(default=0)
    fields = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.compared} compared, {self.mended} mended"


class Erasure(models.Model):
    """One erasure: the proof, and the entry by which a restored backup is cleaned. It names no customer.

    `who` are fingerprints of the customer's user ids under the server's secret key, `identifiers` those of every id and
    address under which events named them, and `profiles` their ids. `removed`:
    table → `[rows before, rows after]`; `disclosures` are those whose deletion was requested of third parties.
    """

    class Mode(models.TextChoices):
        ERASED = "erased"
        ANONYMISED = "anonymised"  # events stay, without the customer
        PERIOD = "period"  # only events and facts between `since` and `until`

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=clock.now)
    mode = models.CharField(max_length=12, choices=Mode, default=Mode.ERASED)
    asked_by = models.CharField(max_length=16)  # customer staff api operator restore
    who = models.JSONField(default=list)
    identifiers = models.JSONField(default=list)
    profiles = models.JSONField(default=list)
    since = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    removed = models.JSONField(default=dict)
    disclosures = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.mode} {self.at:%Y-%m-%d}"


class Restriction(models.Model):
    """A restriction of processing (Art. 18 GDPR): what is known of the customer is stored, and used for the login only.

    `announced_at` is when the customer was informed of the lifting, by whatever `announced_how` says, and `lifts_at` when it
    then happens. Customers lift their own at once. `because_of` is the restriction of another profile of the same person,
    with which this one begins and ends. A profile has a row for each of those: it is restricted while any of them is open.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="restrictions")
    since = models.DateTimeField(default=clock.now)
    method = models.CharField(max_length=16)  # profile staff api merge same_person
    actor = models.CharField(max_length=64, default="customer")
    reason = models.CharField(max_length=1000, blank=True)
    because_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="others")
    lift_actor = models.CharField(max_length=64, blank=True)
    lift_reason = models.CharField(max_length=1000, blank=True)
    announced_how = models.CharField(max_length=1000, blank=True)
    announced_at = models.DateTimeField(null=True, blank=True)
    lifts_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["profile"],
                name="one_own_restriction",
                condition=models.Q(lifted_at=None, because_of=None) & ~models.Q(method=SAME_PERSON),
            ),
            models.UniqueConstraint(
                fields=["profile", "because_of"],
                name="one_restriction_per_cause",
                condition=models.Q(lifted_at=None),
            ),
        ]
        indexes = [models.Index(fields=["lifts_at"], name="restrictions_to_lift", condition=models.Q(lifted_at=None))]

    def __str__(self) -> str:
        return f"{self.profile_id} since {self.since:%Y-%m-%d}"

    @property
    def follows_another(self) -> bool:
        """Whether it was said of another profile of the person; after a restore of the backup it is not known yet of which."""
        return self.because_of_id is not None or self.method == SAME_PERSON

    def said(self) -> dict[str, Any]:
        """Return what the journal keeps of it."""
        return {name: getattr(self, name) for name in ("since", "method", "actor", "reason")}


class KeptDecision(models.Model):
    """A row of an erased customer's ledger, without the customer: which decision was made on which text, and when.

    `person` is a random number that groups the rows of one customer. The retention of `ledger` limits how long they stay.
    """

    person = models.UUIDField(db_index=True)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    purpose_version = models.PositiveIntegerField()
    notice = models.ForeignKey(Notice, null=True, on_delete=models.PROTECT)
    action = models.CharField(max_length=16, choices=ConsentEvent.Action)
    explicit = models.BooleanField(default=False)
    at = models.DateTimeField()
    method = models.CharField(max_length=16)
    erased_at = models.DateTimeField(default=clock.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.action} {self.purpose_id}"


class Suppression(models.Model):
    """The fingerprint of an address or a number whose holder said no: `consent.suppressions`.

    It closes `purposes`, and with `advertising` everything that is direct marketing, for every profile that comes to hold the contact.
    `times` maps each of them ("" is advertising) to the time of the no; one of an earlier version counts from `since`.
    """

    hash = models.CharField(max_length=64, primary_key=True)
    since = models.DateTimeField(default=clock.now)
    advertising = models.BooleanField(default=True)
    purposes = models.JSONField(default=list)
    times = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.hash[:8]

    def since_of(self, purpose: str) -> dt.datetime:
        """Return since when a purpose is closed; "" is advertising."""
        return dt.datetime.fromisoformat(self.times[purpose]) if purpose in self.times else self.since


class ErasedIdentifier(models.Model):
    """The fingerprint of an id or address of an erased customer, under which no event makes the person anew."""

    hash = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField(default=clock.now, db_index=True)

    def __str__(self) -> str:
        return self.hash[:8]


class JournalEntry(models.Model):
    """One decision, deletion, correction, restriction or end of an app's access, as `consent.journal` writes it into a file that no restored backup replaces.

    `who` are fingerprints of the user ids that it concerns: the profile's and those merged into it. `body` is
    encrypted with the installation's key; what is in it depends on `kind`.
    """

    class Kind(models.TextChoices):
        BEGUN = "begun"  # the journal has everything from here on
        NOTICE = "notice"  # words that a decision was made on
        DECISION = "decision"
        RETRACTED = "retracted"
        CORRECTED = "corrected"
        SUPPRESSED = "suppressed"
        RESTRICTED = "restricted"
        APP_REVOKED = "app_revoked"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=12, choices=Kind)
    at = models.DateTimeField(default=clock.now, db_index=True)
    profile = models.ForeignKey(Profile, null=True, on_delete=models.CASCADE, related_name="journal")
    who = models.JSONField(default=list)
    body = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["kind", "at"], name="journal_begun")]  # the beginning, looked for every minute

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d}"


class Retention(models.Model):
    """The days that one kind of data is kept (`usecases.retention.KINDS`). No row: the kind's default. NULL: for ever.

    Nothing is deleted before `starts_at`: where an upgrade makes a kind finite, staff have time to read of it.
    """

    kind = models.CharField(max_length=32, primary_key=True)
    days = models.PositiveIntegerField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind}: {self.days}"
