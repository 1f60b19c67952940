"""Clear what raw stores still hold of data that was closed: a withdrawn purpose, a piece no longer shared, a deleted fact.

Facts, views and segments follow a decision at once. Raw stores keep what came in or was shown beside the facts: answers of
providers and of look-ups, messages as received, traits of events, the value that a question offered, and the inputs and console
lines of rules. Jobs clear them at once, without making the customer wait.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from regulars.base import clock
from regulars.base.jobs.tasks import enqueue, handles
from regulars.connections.endpoints import settings_of
from regulars.connections.models import Connection
from regulars.connections.provider import ProviderClaim, find_provider
from regulars.connections.raw_answers import cut
from regulars.consent.status import ConsentStatus
from regulars.enrichment.models import SourceSetting
from regulars.events.models import Event, InboxItem
from regulars.profiles.document import known
from regulars.profiles.models import Attribute, Fact, Identity, Profile
from regulars.profiles.premises import fallen
from regulars.profiles.resolve import expired
from regulars.profiles.values import comparable
from regulars.questions.models import Impression

from .event_traits import WITH_TRAITS

JOB = "profiles.clear_closed"
EVENTS_JOB = "profiles.clear_event_traits"
PORTION = 10  # customers whose events are cleared in one transaction: each may have thousands


def queue_clearing(profile_ids: Collection[int]) -> None:
    """Queue the clearing for customers of whom a view lost an attribute, in the caller's transaction."""
    if profile_ids:
        enqueue(JOB, {"profiles": sorted(profile_ids)})


@handles(JOB)
def clear_closed(payload: dict[str, Any]) -> None:
    """Payload: `{"profiles": [ids]}`."""
    for profile in (
        Profile.objects.select_for_update()
        .filter(pk__in=payload["profiles"], merged_into=None, restricted_at=None)  # restricted: all of it is stored
        .order_by("pk")
    ):
        clear(profile)
    with_traits = Event.objects.filter(WITH_TRAITS, profile_id__in=payload["profiles"], source__isnull=False)
    found = list(with_traits.order_by("profile_id").values_list("profile_id", flat=True).distinct())
    for start in range(0, len(found), PORTION):
        enqueue(EVENTS_JOB, {"profiles": found[start : start + PORTION]})


def clear(profile: Profile) -> None:
    """Keep of the customer's raw stores what is needed for facts that stand. The caller has locked the row."""
    status = ConsentStatus.of([profile], clock.now())[profile.pk]
    facts = _standing(profile, status)
    _cut_answers(profile, {(fact.identity_id, fact.attribute) for fact in facts})
    _delete_lookups(profile, status, {fact.source for fact in facts})
    _clear_offered(profile, {(fact.attribute, comparable(fact.value)) for fact in facts})
    # A rule saw everything that was open then, and prints what it likes: of its runs so far names and outcomes stay.
    for run in profile.rule_runs.iterator(chunk_size=200):
        steps = [{**step, "console": [], "message": ""} for step in run.steps]
        if run.inputs is not None or steps != run.steps:
            run.inputs, run.steps = None, steps
            run.save(update_fields=["inputs", "steps"])
    events = Event.objects.filter(profile_id=profile.pk).values("message_id")
    InboxItem.objects.filter(message_id__in=events).exclude(processed_at=None).delete()


def _standing(profile: Profile, status: ConsentStatus) -> list[Fact]:
    facts = [fact for fact in profile.facts.filter(retracted_at=None) if status.fact_stands(fact)]
    half_lives = dict(Attribute.objects.exclude(half_life_days=None).values_list("key", "half_life_days"))
    no_longer = fallen([known(fact) for fact in facts], status.now, half_lives)
    return [fact for fact in facts if fact.pk not in no_longer and not expired(fact, status.now)]


def _cut_answers(profile: Profile, said: set[tuple[int | None, str]]) -> None:
    """Cut each answer to the attributes of which its identity has a fact that stands."""
    connections = {each.name: each for each in Connection.objects.all()}
    for identity in Identity.objects.filter(profile=profile).exclude(answers=None).distinct():
        kind, connection = find_provider(identity.provider), connections.get(identity.connection)
        settings = settings_of(connection) if connection and connection.strategy == identity.provider else {}
        pk = identity.pk

        def stands(claim: ProviderClaim, pk: int = pk) -> bool:
            return (pk, claim.attribute) in said

        for answer in identity.answers.exclude(raw={}):
            left = cut(answer.raw, kind, settings, stands) if kind else {}
            if left != answer.raw:
                answer.raw = left
                answer.save(update_fields=["raw"])


def _clear_offered(profile: Profile, standing: set[tuple[str, str]]) -> None:
    """Take the value to confirm out of questions that are closed, and out of their words, unless a fact of it stands."""
    closed = profile.impressions.exclude(to_confirm=None).exclude(outcome=Impression.Outcome.SHOWN)
    for impression in closed.select_related("question"):
        question, offered = impression.question, impression.to_confirm
        if (question.attribute, comparable(offered)) not in standing:
            impression.words = impression.words.replace(question.label_of(offered), "…")
            impression.to_confirm = None
            impression.save(update_fields=["words", "to_confirm"])


def _delete_lookups(profile: Profile, status: ConsentStatus, sources: set[str]) -> None:
    """Delete answers of sources that may not be asked now, and those of which no fact stands."""
    for lookup in profile.lookups.all():
        setting = SourceSetting.objects.select_related("purpose").filter(key=lookup.source_key).first()
        is_open = setting is not None and status.allows(setting.purpose)
        if not is_open or (lookup.answer and f"source:{lookup.source_key}" not in sources):
            lookup.delete()
