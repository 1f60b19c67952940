"""Process the inbox: turn each message into an event of a customer, with the facts it brings. One transaction each.

A message that can never become an event stays in the inbox with the reason.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from typing import Any

from django.db import DatabaseError, DataError, connection, transaction

from regulars.base import clock
from regulars.base.db.deadlocks import repeat_after_deadlock
from regulars.base.db.sqlite.base import is_wanted_by_others
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.consent.view import COLLECTED_FOR
from regulars.events.counts import add_counts
from regulars.events.event_time import event_time
from regulars.events.message_fields import NAMES, TRAITS, as_object, marks_of, name_of, properties_of, rest_of
from regulars.events.models import InboxItem
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import is_anonymous
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute

from . import clear_event_traits  # noqa: F401 - its handler registers itself
from .browsers import NamedBrowser, attach_browser, browsers_named, customer_named, is_weakly_attached, stand_for
from .event_sender import (
    erased_names,
    ids_of,
    known_customer,
    names_the_erased,
    reason_to_set_aside,
    sender_of,
    without_erased,
)
from .event_traits import remove_traits, trait_paths
from .identity_conflicts import list_claim
from .message_proofs import PROOFS, whose_word
from .unit_of_work import changes

log = logging.getLogger("regulars.events")

TIME_SLICE = 0.1  # seconds of a transaction over the inbox; on SQLite it ends earlier where another writer waits
CHUNK = 50


@repeat_after_deadlock
def process_inbox() -> int:
    """Turn waiting messages into events for about `TIME_SLICE` seconds. Returns how many were processed.

    Any number of workers may do this at once: each takes rows that no other has locked. An empty inbox is only read.
    """
    if not InboxItem.objects.filter(processed_at=None).exists():
        return 0
    with transaction.atomic():
        until = time.monotonic() + TIME_SLICE
        count = 0
        reasons: Counter[tuple[int, str]] = Counter()
        items = InboxItem.objects.filter(processed_at=None).order_by("id")
        if connection.features.has_select_for_update_skip_locked:
            items = items.select_for_update(skip_locked=True, of=("self",))
        for item in items.select_related("source")[:CHUNK]:
            try:
                with transaction.atomic():
                    marks = process_message(item)
                reasons.update((item.source_id, mark) for mark in marks)
            except UnreadableJson as fault:  # kept by a version that accepted it
                item.rejected = fault.code
            except Exception as fault:  # an unforeseen message must not block those behind it
                if isinstance(fault, DatabaseError) and not isinstance(fault, DataError):
                    raise  # not the message's fault: the whole transaction is tried again later
                log.exception("message %s cannot become an event", item.pk)
                item.rejected = f"failed:{type(fault).__name__}"[:64]
            if item.rejected:
                reasons[(item.source_id, item.rejected)] += 1
            item.processed_at = clock.now()
            item.save(update_fields=["processed_at", "rejected", "body"])
            count += 1
            if time.monotonic() > until or is_wanted_by_others():
                break
        if reasons:
            add_counts(reasons)
    return count


def process_message(item: InboxItem) -> list[str]:
    """Turn one message into an event of a customer, or set it aside with a reason in `rejected`.

    Returns the marks of the event: what of the message was not used.
    """
    message = as_object(read_json(item.body, repair=True))
    ids, context = ids_of(message), as_object(message.get("context"))
    asserter = whose_word(item.source, context, ids.user.text, item.received_at)
    if not PROOFS.isdisjoint(context):  # a token that is valid for hours stays in no inbox
        message["context"] = {key: value for key, value in context.items() if key not in PROOFS}
        item.body = json.dumps(message)
        item.save(update_fields=["body"])
    if reason := reason_to_set_aside(message, item.type, ids):
        item.rejected = reason
        return []
    if ids.user and item.source.require_proof and asserter == Asserter.PUBLIC_KEY:
        item.rejected = "no_proof"
        return []
    customer, known = known_customer(ids), browsers_named(ids.browsers)
    erased = erased_names(message, ids, customer, known)
    if names_the_erased(ids, erased):
        item.rejected, item.body = "erased", "{}"  # not even here is anything of them kept
        return []
    message, ids, lost = without_erased(message, ids, erased)
    if not ids.user and is_weakly_attached(known.get(ids.browsers[0])):
        asserter = Asserter.PUBLIC_KEY
    profile, browsers = sender_of(ids, customer, asserter)
    others = {name: other for name in browsers if name not in known and (other := customer_named(name))}
    happened = event_time(message, item.sent_at, item.received_at)
    marks = [*ids.marks(), *lost, *happened.marks, *marks_of(message, item.type)]
    visitors = [known[browser].profile for browser in browsers if browser in known]
    with changes([profile, *visitors, *others.values()], "event") as c:
        for browser in browsers:
            how = "alias" if browser == ids.previous.text else "browser"
            named = NamedBrowser(browser, how, known.get(browser), others.get(browser))
            if mark := attach_browser(c, named, message, item.source, asserter):
                marks.append(mark)
        if customer and asserter != Asserter.PUBLIC_KEY:
            stand_for(c, customer, asserter)
        facts = facts_from(message, f"app:{item.source.slug}", asserter, item.type)
        for fact in facts:
            list_claim(c.profile, fact.attribute, fact.value, item.source.slug)
        c.learn(facts)
        message = without_special(message, item.type)
        event = c.record_message(
            NAMES.get(item.type) or name_of(message),
            properties_of(message, item.type),
            at=happened.at,
            type=item.type,
            message_id=item.message_id,
            source=item.source,
            context=as_object(message.get("context")),
            message=rest_of(message, item.type),
            marks=marks,
            received_at=item.received_at,
        )
        if not is_anonymous(c.profile) and not c.profile.permitted_views.exists():
            c.refresh()  # of a customer who is known by events only, segments need to know what is permitted too
        if c.profile.last_seen_at is None or c.profile.last_seen_at < event.at:
            c.profile.last_seen_at = event.at
            c.profile.save(update_fields=["last_seen_at"])
    return marks


def facts_from(message: dict[str, Any], source: str, asserter: Asserter, type_: str = "") -> list[NewFact]:
    """Return facts for the traits that are attributes here. Other traits stay on the event.

    What the asserter may not write, or what does not fit its attribute, `learn` refuses and records.
    """
    traits = {**as_object(as_object(message.get("context")).get("traits")), **as_object(message.get("traits"))}
    if not traits or (type_ or message.get("type")) == "group":  # of the group, not of the customer
        return []
    found = {key: value for path, key in TRAITS.items() if (value := _inside(traits, path)) is not None}
    declared = Attribute.objects.filter(key__in=traits).values_list("key", flat=True)
    found |= {key: traits[key] for key in declared if key not in found}
    return [
        NewFact(key, value, "observed", source, basis="legitimate_interest", purpose=COLLECTED_FOR, asserter=asserter)
        for key, value in found.items()
        if value not in (None, "", [], {})
    ]


def without_special(message: dict[str, Any], type_: str) -> dict[str, Any]:
    """Return a message without the traits of special categories, which only customers themselves provide."""
    holders = [(message, "traits"), (as_object(message.get("context")), "traits")]
    held = [as_object(holder.get(name)) for holder, name in holders if type_ != "group"]
    if any(held):
        special = set(Attribute.objects.filter(sensitivity=Attribute.Sensitivity.SPECIAL).values_list("key", flat=True))
        paths = {path: key for path, key in trait_paths().items() if key in special} if special else {}
        for traits in held:
            remove_traits(traits, paths)
    return message


def _inside(traits: dict[str, Any], path: str) -> Any:
    for part in path.split("."):
        traits = as_object(traits).get(part)  # type: ignore[assignment]
    return traits
