"""Decide whose a message is: a customer's, a browser's, of no one, or of a customer who was erased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from regulars.base.email_address import canonical_email
from regulars.consent.erasures import erased_among
from regulars.events.identifiers import Identifier, IdProblem, read_identifier
from regulars.events.message_fields import as_object, name_of
from regulars.events.own_events import is_own_name
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import find_by_identity, find_by_user_id, get_or_create_by_identity, is_email_taken
from regulars.profiles.models import Identity, Profile

from .browsers import EXTERNAL, customer_named
from .merge import ANONYMOUS

LINKED = 2  # ids that an alias joins
LEFT_OUT = {IdProblem.PLACEHOLDER: "placeholder", IdProblem.TOO_LONG: "too_long"}


@dataclass(frozen=True, slots=True)
class SenderIds:
    """The ids of one message: of the customer, of the browsers that are theirs, and of the group."""

    user: Identifier
    browser: Identifier
    previous: Identifier
    group: Identifier

    @property
    def browsers(self) -> list[str]:
        """The anonymous ids, without those that repeat the customer's own."""
        found = dict.fromkeys([self.browser.text, self.previous.text])
        return [each for each in found if each and each != self.user.text]

    def marks(self) -> list[str]:
        """Name the ids that were left out of a message which is kept."""
        given = (("user", self.user), ("anonymous", self.browser), ("previous", self.previous), ("group", self.group))
        return [f"{name}_id_{LEFT_OUT[each.problem]}" for name, each in given if each.problem in LEFT_OUT]


def ids_of(message: dict[str, Any]) -> SenderIds:
    return SenderIds(
        *(read_identifier(message.get(f"{name}Id")) for name in ("user", "anonymous", "previous", "group"))
    )


def reason_to_set_aside(message: dict[str, Any], type_: str, ids: SenderIds) -> str:
    """Return why a message cannot become an event; empty when it can."""
    if type_ == "track" and is_own_name(name_of(message)):
        return "name_is_ours"
    senders = [ids.user, ids.browser, ids.previous]
    if not any(senders) or (type_ == "alias" and sum(map(bool, senders)) < LINKED):
        return _problem(senders)
    # What a group call is about is its group.
    return _problem([ids.group]) if type_ == "group" and ids.group.problem in LEFT_OUT else ""


def _problem(ids: list[Identifier]) -> str:
    problems = {each.problem for each in ids}
    return next((each.value for each in LEFT_OUT if each in problems), IdProblem.MISSING.value)


def known_customer(ids: SenderIds) -> Profile | None:
    """Return the customer of the user id; None when there is none yet. The id of a visitor names no customer."""
    return customer_named(ids.user.text) if ids.user else None


def erased_names(
    message: dict[str, Any], ids: SenderIds, customer: Profile | None, known: Mapping[str, Identity]
) -> set[str]:
    """Return the names in a message that belonged to an erased customer and belong to no one now."""
    names = [f"{ANONYMOUS}|{each}" for each in ids.browsers if each not in known]
    if ids.user and customer is None:
        names += [ids.user.text, f"{EXTERNAL}|{ids.user.text}"]
        if "@" in ids.user.text:  # many systems name a customer by their address
            names.append(f"email|{canonical_email(ids.user.text)}")
    context = as_object(message.get("context"))
    for traits in (message.get("traits"), context.get("traits")):
        if isinstance(email := as_object(traits).get("email"), str):
            names.append(f"email|{canonical_email(email)}")
    listed = context.get("externalIds")
    for each in listed if isinstance(listed, list) else ():
        if other := read_identifier(as_object(each).get("id")):
            names.append(f"{EXTERNAL}|{other.text}")
    return {each for each in erased_among(names) if not _is_used_again(each)}


def _is_used_again(name: str) -> bool:
    """Return whether a customer has this name today: the person came back by their own will, or another has it."""
    kind, _, rest = name.partition("|")
    if kind == "email":
        return is_email_taken(rest)
    return find_by_user_id(name) is not None or find_by_identity(kind, rest) is not None


def names_the_erased(ids: SenderIds, erased: set[str]) -> bool:
    """Return whether a message is about an erased customer, and not only sent from a browser that they had used."""
    browsers = {f"{ANONYMOUS}|{each}" for each in ids.browsers}
    return bool(erased - browsers) or (bool(erased) and not ids.user)


def without_erased(
    message: dict[str, Any], ids: SenderIds, erased: set[str]
) -> tuple[dict[str, Any], SenderIds, list[str]]:
    """Leave out the browsers of an erased customer. Returns the message, its ids, and the marks for what is left out."""
    lost = [
        (field, name)
        for field, name, each in (("browser", "anonymous", ids.browser), ("previous", "previous", ids.previous))
        if each and f"{ANONYMOUS}|{each.text}" in erased
    ]
    kept = {key: value for key, value in message.items() if key not in {f"{name}Id" for _, name in lost}}
    return kept, replace(ids, **{field: Identifier() for field, _ in lost}), [f"{name}_id_erased" for _, name in lost]


def sender_of(ids: SenderIds, customer: Profile | None, asserter: Asserter) -> tuple[Profile, list[str]]:
    """Return the profile that a message is about, created if missing, and the browsers to attach to it."""
    if ids.user:  # it counts before the id of a browser
        return customer or get_or_create_by_identity(EXTERNAL, ids.user.text, asserted_by=asserter)[0], ids.browsers
    first, *others = ids.browsers
    return get_or_create_by_identity(ANONYMOUS, first, asserted_by=asserter)[0], others
