"""What the chooser needs from its neighbours: the segments to settle, every night a model of who answers what."""

from __future__ import annotations

import logging

from regulars.base.conditions import ConditionError, to_text
from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import enqueue_once, handles
from regulars.questions.refit import refit
from regulars.questions.targets import replace_targets
from regulars.questions.world import Aim
from regulars.segments.models import Segment
from regulars.segments.save import condition_of

log = logging.getLogger("regulars.questions")


def tell_questions() -> None:
    """A segment was saved or went away: questions are chosen by what their answers settle about those there are."""
    replace_targets(aim for segment in Segment.objects.all() if (aim := _aim(segment)))


def refit_later() -> None:
    """Once a night; one at a time."""
    enqueue_once("questions.refit", {}, key="questions")


@handles("questions.refit", non_transactional=True)  # seconds of arithmetic, which no transaction should wait for
def refit_now(payload: dict[str, str]) -> None:
    tell_questions()
    log.info("%s", refit())


def _aim(segment: Segment) -> Aim | None:
    """A segment that cannot be read (it names one that is gone) is no aim; its own page says so."""
    try:
        return Aim(segment.slug, to_text(condition_of(segment.text, (segment.slug,))), segment.purpose_id)
    except (ConditionError, DomainError):
        return None
