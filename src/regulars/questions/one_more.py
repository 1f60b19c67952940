"""One more? Whoever has just answered is easily asked again, if she likes: her word lifts the pause, and no other rule."""

from __future__ import annotations

import datetime as dt
import logging

from django.db import transaction

from regulars.base import clock

from .ask import Choosing, Place, stopped_by
from .choose import Candidate, NotShown, eligible, silence
from .customer import Customer
from .models import Impression
from .settings import how_we_ask

log = logging.getLogger("regulars.questions")
SITTING = dt.timedelta(minutes=15)  # after which an answer is no longer a reason to ask more


def may_offer_more(after: Impression) -> bool:
    """Whether she is offered another question after this answer: one that is worth asking waits. Writes nothing."""
    try:
        found = _next(after)
        if isinstance(found, NotShown):
            return False
        choosing, free = found
        return any(option.score > 0 for option in choosing.weigh(free)[0])
    except Exception:
        log.exception("whether more may be asked could not be told for ask %s", after.pk)
        return False


def ask_one_more(after: Impression, locale: str) -> Impression | NotShown:
    """She wants one more: the question, written down as shown. Of two clicks both get the same. Never raises."""
    try:
        with transaction.atomic():
            found = _next(after)
            if isinstance(found, NotShown):
                return found
            choosing, free = found
            return choosing.ask_one_of(free, Place(locale, after.client_id), after)
    except Exception:
        log.exception("no further question could be chosen after ask %s", after.pk)
        return NotShown("unavailable")


def _next(after: Impression) -> tuple[Choosing, list[Candidate]] | NotShown:
    settings = how_we_ask()
    if not settings.asking:
        return NotShown("switched_off")
    just_answered = (
        after.outcome == Impression.Outcome.ANSWERED and after.closed_at and clock.now() - after.closed_at < SITTING
    )
    if not just_answered or _place_in_sitting(after) >= settings.one_more:
        return NotShown("sitting_over")
    customer, caps = Customer.of(after.profile), settings.caps()
    if stopped := stopped_by(customer, caps, wants_more=True):
        return stopped
    free, refusals = eligible(customer.candidates(), clock.today(), caps)
    return (Choosing(customer, settings, refusals), free) if free else silence(refusals)


def _place_in_sitting(ask: Impression) -> int:
    """0 for the one that a login brought."""
    place = 0
    while ask.follows is not None:
        ask, place = ask.follows, place + 1
    return place
