"""Attach browsers to customers: anonymous ids that arrive together with a customer's id, within two bounds.

An id under which many browsers arrive at once is no person (a kiosk, a placeholder of a shop): it is reported, and joins
nothing more until staff say that it is a person. And a browser that was seen once and never again is forgotten for a newer
one, so that a server's invented ids do not grow a profile without end; they stay on their events.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet

from regulars.base import clock
from regulars.events.message_fields import as_object
from regulars.events.models import Source
from regulars.profiles.assertions import Asserter
from regulars.profiles.document import rebuild
from regulars.profiles.find import add_identity, find_by_identity, find_by_user_id, is_anonymous
from regulars.profiles.models import CrowdedProfile, Identity, Merge, Profile

from .identity_conflicts import record_conflict
from .merge import ANONYMOUS, VISITOR, is_only_a_visitor, merge
from .unit_of_work import Changes

log = logging.getLogger("regulars.events")

EXTERNAL = "external"  # an id of the company's own

SUDDENLY = dt.timedelta(hours=24)
MOST_SEEN_ONCE = 50  # browsers of a customer that were seen once
AT_ONCE = dt.timedelta(seconds=1)  # two messages of one batch are one visit
RARELY = dt.timedelta(hours=1)  # between two records that a browser was seen again
SERVER_LIBRARY = "analytics-go"  # of RudderStack; it invents an anonymous id for every message that has none


def browsers_named(names: Iterable[str]) -> dict[str, Identity]:
    """Return the known browsers among these anonymous ids, with their profiles."""
    found = Identity.objects.filter(provider=ANONYMOUS, provider_user_id__in=list(names))
    return {each.provider_user_id: each for each in found.select_related("profile")}


def customer_named(name: str) -> Profile | None:
    """Return the customer whom an id names, as user id or as id of the company's own; None for an id of a browser."""
    found = find_by_user_id(name)
    return found if found is not None and not is_anonymous(found) else find_by_identity(EXTERNAL, name)


@dataclass(frozen=True)
class NamedBrowser:
    """An id that a message gives to its customer. `how` is `browser`, or `alias` for a previous id.

    `known` is the browser of that id, `customer` the customer whose id it is: at most one of the two.
    """

    name: str
    how: str
    known: Identity | None = None
    customer: Profile | None = None


def attach_browser(c: Changes, named: NamedBrowser, message: dict[str, Any], source: Source, asserter: Asserter) -> str:
    """Make a browser one of the customer's, with all it did before. Returns the mark for the event when it may not be.

    Two known customers are never joined: the pair goes to the review list. A server's key may join by an alias two who
    have no account; a proof under a public key may not, because it is of the user id alone.
    """
    customer, name, known = c.profile, named.name, named.known
    if known is not None and c.find(known.profile).pk == customer.pk:
        _record_visit(known)
        _raise_word(c, known, asserter)
        return ""
    if known is not None and not is_only_a_visitor(c.find(known.profile)):
        _list_pair(customer, c.find(known.profile), named.how, source.slug)
        return "browser_of_another_customer"
    if named.customer is not None or (known is not None and customer_named(name)):
        other = c.find(named.customer) if named.customer else None
        if other is None or other.pk == customer.pk:
            return "id_of_known_customer"
        by_server = named.how == "alias" and source.kind == Source.Kind.SERVER
        if by_server and not (customer.account_id or other.account_id or is_only_a_visitor(customer)):
            merge(other, into=customer, why=f"alias:{source.slug}")
            return ""
        _list_pair(customer, other, named.how, source.slug)
        return "id_of_known_customer"
    if known is None and is_from_server(message) and not is_only_a_visitor(customer):
        return ""  # invented for this message, or the browser itself will be heard of
    if _is_crowded(customer, source.slug):
        return "too_many_browsers"
    if known is None:
        add_identity(customer, ANONYMOUS, name, asserted_by=asserter)
        _forget_seen_once(customer)
    else:
        if asserter == Asserter.PUBLIC_KEY:
            _lower_words(c.find(known.profile))
        _raise_word(c, known, asserter)
        merge(known.profile, into=customer)
    return ""


def is_weakly_attached(known: Identity | None) -> bool:
    """Return whether only a public key gave a browser to its customer: then no word about it is strong of them."""
    if known is None or known.profile.user_id == f"{ANONYMOUS}|{known.provider_user_id}":
        return False
    return known.asserted_by in ("", Asserter.PUBLIC_KEY)


def _lower_words(visitor: Profile) -> None:
    """Make what was said of a visitor the word of the public key that gives the visitor to a customer."""
    visitor.identities.update(asserted_by=Asserter.PUBLIC_KEY)
    visitor.facts.update(asserter=Asserter.PUBLIC_KEY)


def _raise_word(c: Changes, known: Identity, asserter: Asserter) -> None:
    """Record that a browser is the customer's by a better word than a public key's."""
    if asserter != Asserter.PUBLIC_KEY and known.asserted_by in ("", Asserter.PUBLIC_KEY):
        Identity.objects.filter(pk=known.pk).update(asserted_by=asserter)
        c.refresh()


def stand_for(c: Changes, customer: Profile, asserter: Asserter) -> None:
    """Record that a customer of whom only a public key had given the company's id is named by a better word.

    What that key alone gave as their address ends with it (`profiles.known_customers`).
    """
    found = c.find(customer)
    weak = found.identities.filter(provider=EXTERNAL, asserted_by__in=("", Asserter.PUBLIC_KEY))
    if found.account_id is None and weak.update(asserted_by=asserter):
        c.refresh(found)


def is_from_server(message: dict[str, Any]) -> bool:
    """Return whether a server sent the message, whose anonymous id may be no browser's."""
    library = as_object(as_object(message.get("context")).get("library"))
    return message.get("channel") == "server" or library.get("name") == SERVER_LIBRARY


def crowded_profiles() -> QuerySet[CrowdedProfile]:
    """Return the customers that gathered too many browsers and join no more, the newest first: any number of them."""
    return CrowdedProfile.objects.filter(released_at=None).select_related("profile").order_by("-last_at", "-pk")


def release_crowded(number: int) -> CrowdedProfile | None:
    """Let a customer gather browsers again, without a limit: staff say that it is a person. None: there is none."""
    row = CrowdedProfile.objects.filter(pk=number).select_related("profile").first()
    if row is not None:
        row.released_at = clock.now()
        row.save(update_fields=["released_at"])
    return row


def _list_pair(customer: Profile, other: Profile, how: str, source: str) -> None:
    """A visitor is no customer: nothing is said about two."""
    if not (is_only_a_visitor(customer) or is_only_a_visitor(other)):
        record_conflict(customer, other, how, source)


def _is_crowded(profile: Profile, source: str) -> bool:
    row = CrowdedProfile.objects.filter(profile=profile).first()
    if row is not None and row.released_at:
        return False
    now, most = clock.now(), settings.BROWSERS_PER_DAY
    if row is None:
        since = now - SUDDENLY
        merged = Merge.objects.filter(into=profile, why=VISITOR, at__gte=since).count()
        new = profile.identities.filter(provider=ANONYMOUS, origin=None, first_seen_at__gte=since).count()
        if not most or merged + new < most:
            return False
        row, made = CrowdedProfile.objects.get_or_create(profile=profile, defaults={"source": source, "browsers": most})
        if made:
            log.warning(
                "%s gathered %s browsers within a day: it joins no more (source %s)", profile.user_id, most, source
            )
    CrowdedProfile.objects.filter(pk=row.pk).update(browsers=F("browsers") + 1, last_at=now)
    return True


def _record_visit(browser: Identity) -> None:
    now = clock.now()
    once = browser.last_seen_at - browser.first_seen_at < AT_ONCE
    if now - browser.last_seen_at > (AT_ONCE if once else RARELY):
        Identity.objects.filter(pk=browser.pk).update(last_seen_at=now)


def _forget_seen_once(profile: Profile) -> None:
    """Delete the oldest browsers that were seen once, beyond the bound. A browser that was merged stays: it has a history."""
    most = max(MOST_SEEN_ONCE, settings.BROWSERS_PER_DAY)
    once = profile.identities.filter(provider=ANONYMOUS, origin=None, last_seen_at__lt=F("first_seen_at") + AT_ONCE)
    beyond = list(once.order_by("-first_seen_at", "-pk").values_list("pk", flat=True)[most:])
    if beyond:
        Identity.objects.filter(pk__in=beyond).delete()
        rebuild(profile)
