"""Keep question selection up to date: copy the segments to settle, and refit its model every night."""

from __future__ import annotations

import logging

from regulars.base.conditions import ConditionError, to_text
from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import enqueue_once, handles
from regulars.questions.answer_model import refit
from regulars.questions.features import TargetSegment
from regulars.questions.targets import replace_targets
from regulars.segments.models import Segment
from regulars.segments.save import condition_of

log = logging.getLogger("regulars.questions")


def update_target_segments() -> None:
    """Copy all segments to question selection, which values answers by the segments that they settle."""
    replace_targets(target for segment in Segment.objects.all() if (target := _target(segment)))


def queue_refit() -> None:
    """Enqueue the nightly refit; one at a time."""
    enqueue_once("questions.refit", {}, key="questions")


@handles("questions.refit", non_transactional=True)  # takes seconds of computation, too long for a transaction
def run_refit(payload: dict[str, str]) -> None:
    update_target_segments()
    log.info("%s", refit())


def _target(segment: Segment) -> TargetSegment | None:
    """Return the segment for selection; None when it cannot be read (it names a deleted one), as its own page shows."""
    try:
        return TargetSegment(segment.slug, to_text(condition_of(segment.text, (segment.slug,))), segment.purpose_id)
    except (ConditionError, DomainError):
        return None
