"""Something changed for a customer: what may be used, where she stands, and who must be told. One transaction."""

from __future__ import annotations

from django.db import transaction

from regulars.base.jobs.tasks import enqueue, handles
from regulars.consent.view import refresh_views
from regulars.destinations.disclosures import queue_removals
from regulars.destinations.queue import MembershipChange, queue_changes
from regulars.profiles.models import Profile
from regulars.segments.evaluate import Change, evaluate, evaluate_segment
from regulars.segments.models import Membership, Segment

from .lake import fill_lake_soon
from .update_question_model import tell_questions

IN = Membership.State.IN


@transaction.atomic
def after_learning(profile: Profile) -> None:
    """After facts or consent changed: views, then segments, then deliveries and removals, then the lake."""
    if refresh_views(profile):
        fill_lake_soon()
    tell_destinations(profile, evaluate(profile))
    queue_removals(profile)


@transaction.atomic(savepoint=False)
def after_event(profile: Profile) -> None:
    """After something happened: nothing new may be used, but segments may follow."""
    fill_lake_soon()
    tell_destinations(profile, evaluate(profile))


def tell_destinations(profile: Profile, changes: list[Change]) -> None:
    """Only entering and leaving is news; between unknown and out nobody outside needs to know."""
    news = [
        MembershipChange(change.segment_slug, change.segment_name, entered=change.now == IN, at=change.at)
        for change in changes
        if IN in (change.was, change.now)
    ]
    if news:
        queue_changes(profile, news)


@transaction.atomic
def after_saving(segment: Segment) -> int:
    """A segment was saved: evaluate everybody now, and ask with it in mind. Returns how many customers moved.

    Nobody is told of the members a new segment starts with: destinations get those by an export or a resend.
    """
    tell_questions()
    return len(evaluate_segment(segment))


def reconcile_later() -> None:
    """Evaluate every segment for everybody: windows end and answers expire without an event."""
    for slug in Segment.objects.values_list("slug", flat=True):
        reconcile_soon(slug)


def reconcile_soon(slug: str) -> None:
    enqueue("segments.reconcile", {"segment": slug}, key=f"segment:{slug}")


@handles("segments.reconcile")
def reconcile(payload: dict[str, str]) -> None:
    segment = Segment.objects.filter(slug=payload["segment"]).first()
    if segment is None:
        return
    changes = {change.profile_id: change for change in evaluate_segment(segment)}
    for profile in Profile.objects.filter(id__in=changes).iterator(chunk_size=500):
        tell_destinations(profile, [changes[profile.pk]])
