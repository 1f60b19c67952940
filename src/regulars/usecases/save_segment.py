"""Save a segment and evaluate it for every customer, or delete a segment that is not in use."""

from __future__ import annotations

from django.db import transaction

from regulars.accounts.models import Account
from regulars.base.conditions import mentions, parse
from regulars.base.errors import Invalid
from regulars.base.jobs.tasks import enqueue, enqueue_once, handles
from regulars.destinations.models import Destination
from regulars.segments.models import Segment
from regulars.segments.save import save_segment

from .unit_of_work import evaluate_for_every_customer
from .update_question_model import update_target_segments


@transaction.atomic
def save_and_evaluate(
    name: str,
    text: str,
    purpose: str,
    *,
    slug: str = "",
    description: str = "",
    by: Account | None = None,
    segment: Segment | None = None,
    new: bool = False,
) -> tuple[Segment, int]:
    """Save and evaluate a segment. Returns it and how many memberships changed. Segments that refer to it follow soon.

    A change of its purpose counts like one of its condition: who closed the new purpose leaves, destinations included.

    Raises what `save_segment` raises.
    """
    segment = save_segment(name, text, purpose, slug=slug, description=description, by=by, segment=segment, new=new)
    # Every segment that refers to this one, directly or through others, nearest first.
    uses = {other.slug: mentions(parse(other.text)).segments for other in Segment.objects.all()}
    affected = [segment.slug]
    for each in affected:
        affected += [other for other, parts in uses.items() if each in parts and other not in affected]
    for dependent in affected[1:]:
        queue_reconciliation(dependent)
    return segment, evaluate_saved(segment)


@transaction.atomic
def evaluate_saved(segment: Segment) -> int:
    """Evaluate a saved segment for every customer, and choose questions that tell its members apart. Returns how many moved.

    Destinations are not notified of the members a new or changed segment starts with: an export or a backfill sends
    those. They are of members who leave.
    """
    update_target_segments()
    return evaluate_for_every_customer(segment, deliver_entered=False)


def queue_all_reconciliations() -> None:
    """Evaluate every segment for every customer: time windows end and answers expire without an event.

    Once, however many nights a job of the same segment waits.
    """
    for slug in Segment.objects.values_list("slug", flat=True):
        enqueue_once("segments.reconcile", {"segment": slug}, key=f"segment:{slug}")


def queue_reconciliation(slug: str) -> None:
    enqueue("segments.reconcile", {"segment": slug}, key=f"segment:{slug}")


@handles("segments.reconcile")
def reconcile(payload: dict[str, str]) -> None:
    segment = Segment.objects.filter(slug=payload["segment"]).first()
    if segment is not None:
        evaluate_for_every_customer(segment, deliver_entered=True)


def used_by() -> dict[str, list[tuple[str, str]]]:
    """Return (slug, name) of the destinations of each segment, by segment slug."""
    found: dict[str, list[tuple[str, str]]] = {}
    for slug, name, segments in Destination.objects.order_by("name").values_list("slug", "name", "segment_slugs"):
        for each in segments:
            found.setdefault(each, []).append((slug, name))
    return found


def segments_with(slug: str) -> list[Segment]:
    """Return the segments whose condition refers to this one."""
    others = Segment.objects.exclude(slug=slug).order_by("name")
    return [other for other in others if slug in mentions(parse(other.text)).segments]


@transaction.atomic
def remove_segment(segment: Segment) -> None:
    """Delete a segment. Raises `Invalid("used_by_segment" | "used_by_destination")` while it is in use."""
    if others := segments_with(segment.slug):
        raise Invalid(
            "used_by_segment", f"It is part of {_named([other.name for other in others])}. Change that first."
        )
    if destinations := used_by().get(segment.slug):
        raise Invalid(
            "used_by_destination", f"{_named([name for _, name in destinations])} receives it. Change that first."
        )
    segment.delete()


def _named(names: list[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
