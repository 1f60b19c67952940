"""Profiles, identities, attributes, and facts with their sources."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models.functions import Cast, Substr

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.configuration.models import versioned

from .assertions import Asserter
from .upstream_tokens import UpstreamRevocation, UpstreamToken

ASSERTERS = [(each.value, each.value) for each in Asserter]

__all__ = [
    "Attribute",
    "CrowdedProfile",
    "Fact",
    "Identity",
    "IdentityConflict",
    "Merge",
    "Profile",
    "ProviderAnswer",
    "RefusedGuess",
    "UpstreamRevocation",
    "UpstreamToken",
]


class Profile(models.Model):
    """One customer, visitor or imported contact. Visitors and contacts have no account.

    `document` is a cache: the Auth0-shaped user (root attributes, user_metadata, app_metadata, identities), rebuilt by
    `profiles.document.rebuild`; `terms` are the account's own columns and identities for searching. `user_id` is the public id: `google-oauth2|1234`, `auth0|5f3c…`.
    """

    user_id = models.CharField(max_length=255, unique=True)
    account = models.OneToOneField(Account, null=True, blank=True, on_delete=models.SET_NULL, related_name="profile")
    created_at = models.DateTimeField(default=clock.now, db_index=True)
    updated_at = models.DateTimeField(default=clock.now)
    last_seen_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_login = models.DateTimeField(null=True, blank=True)
    last_ip = models.CharField(max_length=45, blank=True)
    logins_count = models.PositiveIntegerField(default=0)
    blocked = models.BooleanField(default=False)
    restricted_at = models.DateTimeField(
        null=True, blank=True
    )  # since when it is only stored (`consent.models.Restriction`)
    document = models.JSONField(default=dict)
    terms = models.JSONField(default=dict)
    # Ids of consent events that live facts name and that stand no longer (`consent.refresh`).
    closed_consents = models.JSONField(default=list)
    # Purposes objected to; `""`: any of them, for facts that name none; `*`: all (`consent.refresh`).
    closed_interests = models.JSONField(default=list)
    # The next instant at which a fact expires or something else follows from one; NULL: none (`document.rebuild_all`).
    changes_at = models.DateTimeField(null=True, blank=True, db_index=True)
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="merged")

    def __str__(self) -> str:
        return self.user_id


class Merge(models.Model):
    """A merge of two profiles: `source` gave everything to `into`. When it is undone, rows return by their `origin`."""

    source = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="merges_away")
    into = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="merges")
    why = models.CharField(max_length=96)  # visitor, customer, api:<client>
    at = models.DateTimeField(default=clock.now)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_why = models.CharField(max_length=96, blank=True)

    def __str__(self) -> str:
        return f"{self.source_id} into {self.into_id}"


class Identity(models.Model):
    """An identity of a profile at one provider. Unique over (provider, provider_user_id).

    `origin` is the profile it came with when two were merged. `provider` is an Auth0
    strategy (`auth0`, `google-oauth2`) or one of our own: `anonymous`, `external`. `asserted_by` is who said that the id is
    this profile's: see `assertions`.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="identities")
    provider = models.CharField(max_length=64)
    provider_user_id = models.CharField(max_length=255)
    connection = models.CharField(max_length=128, blank=True)
    is_social = models.BooleanField(default=False)
    origin = models.BigIntegerField(null=True, blank=True)
    asserted_by = models.CharField(max_length=20, choices=ASSERTERS, default="")
    first_seen_at = models.DateTimeField(default=clock.now)
    last_seen_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "provider_user_id"], name="identity_is_known_once"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}|{self.provider_user_id}"


class CrowdedProfile(models.Model):
    """A customer under whose id more browsers arrived at once than one person has: no browser is attached to it any more.

    `source` is the slug of the source of events that brought the last of them. `released_at`: staff said it is a person.
    """

    profile = models.OneToOneField(Profile, on_delete=models.CASCADE, related_name="crowd")
    source = models.CharField(max_length=64)
    browsers = models.PositiveIntegerField()
    first_at = models.DateTimeField(default=clock.now)
    last_at = models.DateTimeField(default=clock.now)
    released_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.profile_id}: {self.browsers} browsers"


class IdentityConflict(models.Model):
    """Two known customers whom a message called one person, for staff to decide. Nothing was joined.

    `first` has the lower id. `how` is a key of `usecases.identity_conflicts.HOW`, `source` the slug of the source of events. A pair is
    listed once: `times` counts the messages.
    """

    class State(models.TextChoices):
        OPEN = "open"
        JOINED = "joined"
        APART = "apart"  # two persons: the pair is not listed again

    first = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="conflicts_as_first")
    second = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="conflicts_as_second")
    how = models.CharField(max_length=16)
    source = models.CharField(max_length=50)
    times = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField(default=clock.now)
    last_at = models.DateTimeField(default=clock.now)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    decided_by = models.CharField(max_length=64, blank=True)  # the key of the member of staff
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["first", "second"], name="one_conflict_per_pair")]
        indexes = [models.Index(fields=["-last_at"], name="conflicts_open", condition=models.Q(state="open"))]

    def __str__(self) -> str:
        return f"{self.first_id} and {self.second_id}: {self.state}"


class ProviderAnswer(models.Model):
    """The answer of a provider at one login, cut to the login and the claims shared, with the scopes requested, granted, refused.

    When a claim is closed later, it leaves `raw` within a day (`usecases.clear_closed`).
    """

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="answers")
    at = models.DateTimeField(default=clock.now)
    raw = models.JSONField()
    scopes_asked = models.JSONField(default=list)
    scopes_granted = models.JSONField(default=list)
    scopes_refused = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.identity} at {self.at:%Y-%m-%d %H:%M}"


@versioned
class Attribute(models.Model):
    """An attribute of customers, and the purposes it may be used for.

    Undeclared metadata has a dotted key (`user_metadata.shoe`). `metadata_path` is where a declared attribute is kept in
    Auth0's metadata, so that the Management API and all other packages see one value. `label` and `options` are as staff read
    them; customers read those of `translations`: locale → `{"label", "options": {key: label}}` (`attributes.words_in`).
    """

    class Sensitivity(models.TextChoices):
        NORMAL = "normal"
        SENSITIVE = "sensitive"
        SPECIAL = "special"

    key = models.CharField(max_length=128, primary_key=True)
    label = models.CharField(max_length=128)
    type = models.CharField(max_length=16, default="text")  # text number boolean date choice list
    category = models.CharField(max_length=64, default="user")  # a fideslang data category
    sensitivity = models.CharField(max_length=16, choices=Sensitivity, default=Sensitivity.NORMAL)
    purposes = models.JSONField(default=list)
    options = models.JSONField(default=list)  # [{"key": "jackets", "label": "Jackets"}]
    translations = models.JSONField(default=dict, blank=True)
    metadata_path = models.CharField(max_length=160, blank=True, db_index=True)
    half_life_days = models.PositiveIntegerField(null=True, blank=True)
    expires_days = models.PositiveIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.key


class RefusedGuess(models.Model):
    """A fact that was refused, counted per source and day.

    Value and customer are not stored, because they are what must not be kept. `source` is that of a fact. `why` is a key of
    `learn.WHY_REFUSED`.
    """

    attribute = models.CharField(max_length=128)
    source = models.CharField(max_length=128)
    why = models.CharField(max_length=24, default="special_category")
    day = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "attribute", "source"], name="one_refused_guess_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} from {self.source} on {self.day}"


class Fact(models.Model):
    """One value of one attribute of a profile from one source. Append-only: a correction is a new fact.

    A source that repeats its value under the same decision confirms the fact: `collected_at` is when it said so first,
    `confirmed_at` when it did last (NULL: once only).

    `source` names the exact source: `google-oauth2`, `question:looking_for@1` (inside an app `app:shop:looking_for@1`), `rule:12`,
    `app:shop`, `source:us-census-acs`. `asserter` is whose word it is, and so how far it is believed and where it is shown
    (`assertions`); a conclusion has that of the fact it follows from.
    `purpose` is the one it was collected for (empty: the contract's, or not known), `consents` are ids of the consent events
    under which it was given; empty when its basis needs none. `identity` is the
    one whose provider sent it, `origin` the profile it was first written for, once two were merged. `reason` is the
    reason of a correction.
    """

    class SourceKind(models.TextChoices):
        CORRECTED = "corrected"
        DECLARED = "declared"
        VERIFIED = "verified"  # a social claim the provider vouches for
        SOCIAL = "social"
        OBSERVED = "observed"
        IMPORTED = "imported"
        ENRICHED = "enriched"
        INFERRED = "inferred"

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="facts")
    attribute = models.CharField(max_length=128)
    value = models.JSONField(null=True)
    source_kind = models.CharField(max_length=16, choices=SourceKind)
    source = models.CharField(max_length=128)
    asserter = models.CharField(max_length=20, choices=ASSERTERS, default="")
    collected_at = models.DateTimeField(default=clock.now)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    basis = models.CharField(max_length=24, default="contract")  # contract consent legitimate_interest
    purpose = models.CharField(max_length=32, default="", blank=True)
    consents = models.JSONField(default=list)
    confidence = models.FloatField(default=1.0)
    expires_at = models.DateTimeField(null=True, blank=True)
    derived_from = models.JSONField(default=list)
    reason = models.CharField(max_length=200, blank=True)
    retracted_at = models.DateTimeField(null=True, blank=True)
    retracted_why = models.CharField(max_length=64, blank=True)
    identity = models.ForeignKey(Identity, null=True, blank=True, on_delete=models.SET_NULL, related_name="facts")
    origin = models.BigIntegerField(null=True, blank=True)
    # Of an e-mail or a phone number, the form by which all who hold it are found (`contacts.contact_of`); NULL: of neither.
    contact = models.CharField(max_length=320, null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["profile", "attribute"]),
            models.Index(fields=["contact"], name="facts_by_contact", condition=models.Q(contact__isnull=False)),
            # An erasure asks whether another customer has a name, too: user names, and what is no address and no number.
            models.Index(
                Substr(Cast("value", models.TextField()), 1, 200),
                name="facts_by_name",
                condition=models.Q(attribute__in=("email", "phone_number", "username"), contact__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} of {self.profile_id} from {self.source}"

    @property
    def as_of(self) -> dt.datetime:
        """When the source last said so."""
        return self.confirmed_at or self.collected_at
