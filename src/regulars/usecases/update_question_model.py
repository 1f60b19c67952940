"""Keep question selection up to date: copy the segments to settle, and refit its model every night."""

from __future__ import annotations

import logging

from regulars.base.conditions import ConditionError, to_text
from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import enqueue_once, handles
from regulars.consent.uses import with_usable_events
from regulars.questions.answer_model import refit
from regulars.questions.features import TargetSegment
from regulars.questions.targets import replace_targets
from regulars.segments.models import Segment
from regulars.segments.save import condition_of

log = logging.getLogger("regulars.questions")


def update_target_segments() -> None:
    """Copy all segments to question selection, which values answers by the segments that they settle.

    Without their purposes, which an answer may open.
    """
    targets = []
    for segment in Segment.objects.all():
        try:
            text = to_text(with_usable_events(condition_of(segment)))
        except (ConditionError, DomainError):
            continue  # it cannot be read because it names a deleted one, as its own page shows
        targets.append(TargetSegment(segment.slug, text, segment.purpose_id))
    replace_targets(targets)


def queue_refit() -> None:
    """Enqueue the nightly refit; one at a time."""
    enqueue_once("questions.refit", {}, key="questions")


@handles("questions.refit", non_transactional=True)  # takes seconds of computation, too long for a transaction
def run_refit(payload: dict[str, str]) -> None:
    update_target_segments()
    log.info("%s", refit())
