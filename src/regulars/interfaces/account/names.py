"""Names of what a customer's data refers to by keys: purposes, attributes, apps, networks, rules and sources.

A customer reads a name, never a key: what was deleted since, or has none, is described in a few words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.utils.translation import get_language, get_supported_language_variant, gettext_noop
from django.utils.translation import gettext as _

from regulars.base.conditions import mentions
from regulars.base.errors import DomainError
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS
from regulars.consent.models import Purpose
from regulars.consent.purposes import words_in
from regulars.enrichment.source import SOURCES
from regulars.interfaces.pages.language import named_language
from regulars.profiles.assertions import Asserter
from regulars.profiles.attributes import words_in as attribute_words
from regulars.profiles.models import Attribute, Profile
from regulars.rules.models import Rule
from regulars.segments.models import Segment
from regulars.segments.save import condition_of
from regulars.usecases.customer_data import CustomerFact

from .labels import FIRST_PARTY, NETWORKS, event_name, humanised, value

# What an application read that is no attribute: as the sections of the page are called.
PARTS = {"events": gettext_noop("What happened"), "segments": gettext_noop("Groups you are in")}
NO_NAME = re.compile(r"[0-9]|^.{33,}$")  # ids, not words


@dataclass(frozen=True)
class PageNames:
    """Names in the language of the page. Each table is read once, where a page needs it."""

    locale: str

    @cached_property
    def purposes(self) -> dict[str, str]:
        return {each.key: words_in(each, self.locale)[1] for each in Purpose.objects.all()}

    @cached_property
    def _attributes(self) -> dict[str, str]:
        return {each.key: attribute_words(each, self.locale)[0] for each in Attribute.objects.all()}

    @cached_property
    def _rules(self) -> dict[str, str]:
        return dict(Rule.objects.values_list("slug", "name"))

    @cached_property
    def connections(self) -> dict[str, Connection]:
        return {each.name: each for each in Connection.objects.all()}

    def purpose(self, key: str) -> str:
        return self.purposes.get(key) or _("Another purpose")

    def attribute(self, key: str) -> str:
        return self._attributes.get(key, "") or (_(PARTS[key]) if key in PARTS else humanised(key))

    def attributes_of(self, categories: list[str], purpose: str, pieces: list[str]) -> list[str]:
        """Return the names of the attributes among the pieces; without one, of what a purpose may use in these categories."""
        named = Attribute.objects.filter(key__in=pieces)
        if names := sorted({attribute_words(each, self.locale)[0] for each in named}):
            return names
        covered = Attribute.objects.filter(category__in=categories)
        return sorted({attribute_words(each, self.locale)[0] for each in covered if purpose in each.purposes})

    def rule(self, slug: str) -> str:
        name = self._rules.get(slug, "")
        return _("A rule of ours, “{name}”").format(name=name) if name else _("A rule of ours")

    def looked_up(self, key: str) -> str:
        name = SOURCES[key].title if key in SOURCES else ""
        return _("Looked up at “{name}”").format(name=name) if name else _("Looked up elsewhere")

    def imported(self, key: str) -> str:
        if not key or NO_NAME.search(key):
            return _("A list of ours")
        return _("A list of ours, “{name}”").format(name=humanised(key))

    def network(self, provider: str, connection: str = "") -> str:
        found = self.connections.get(connection or provider)
        if found is not None and found.display_name:
            return found.display_name
        if provider in NETWORKS:
            return _(NETWORKS[provider])
        return _("Another login method")

    def value(self, fact: CustomerFact) -> str:
        """Write the value of a fact. A login method that a rule or an app remembered by its name is named as on `/login`."""
        method = self.connections.get(fact.value) if isinstance(fact.value, str) else None
        if method is not None and fact.attribute.rpartition(".")[2] == "connection":
            return self.network(method.strategy, method.name)
        return value(fact.attribute, fact.value, fact.options)

    def claims(self, provider: str, scopes: list[str]) -> list[str]:
        """Return what the scopes ask for, as the page before the login said; basic ones are name, e-mail and picture."""
        if provider not in PROVIDERS:
            return []
        offered = PROVIDERS[provider].requested_claims
        return [_(each.label) for each in offered if each.scopes and set(each.scopes) <= set(scopes)]

    def source(self, fact: CustomerFact) -> str:
        """Name the source of a fact: `question:looking_for@1` → `Your answer to “What are you looking for?”`."""
        if fact.follows_from:
            return _("Follows from: {facts}").format(facts=", ".join(fact.follows_from))
        kind, rest = fact.source.partition(":")[::2]
        key = rest.split("@")[0]
        if fact.source_label:
            return _("Your answer to “{question}”").format(question=fact.source_label)
        match kind:
            case "customer":
                return _("You, on this page")
            case "staff":
                return _("Our staff, for you")
            case "question":
                return _("Your answer to a question")
            case "app" if rest in FIRST_PARTY:
                return _(FIRST_PARTY[rest])
            case "app" if not fact.app_name:
                return _("An app of ours that is no longer here")
            case "app" if fact.source_kind == "observed" and fact.asserter != Asserter.APP_TOKEN:
                return _("What you did in “{app}”").format(app=fact.app_name)
            case "app":
                return _("The app “{app}”").format(app=fact.app_name)
            case "rule":
                return self.rule(key)
            case "source":
                return self.looked_up(key)
            case "import":
                return self.imported(key)
        return self.network(fact.source)

    def bases_of(self, segment: Segment) -> list[str]:
        """Return what a group looks at: attributes, events and consents, by their names."""
        try:
            found = mentions(condition_of(segment))
        except DomainError:
            return []
        names = [
            *(self.attribute(key) for key in found.fields),
            *(event_name(name) for name in found.events),
            *(self.purpose(key) for key in found.purposes),
        ]
        return sorted(dict.fromkeys(names))


def identity_rows(profile: Profile, names: PageNames) -> list[dict[str, Any]]:
    """The identities of the customer, with what each provider was asked for and granted at the last login."""
    found = []
    for identity in profile.identities.order_by("first_seen_at"):
        answer = identity.answers.order_by("-id").first()
        asked, shared, kept = (
            names.claims(identity.provider, scopes)
            for scopes in (
                (answer.scopes_asked, answer.scopes_granted, answer.scopes_refused) if answer else ([], [], [])
            )
        )
        found.append(
            {
                "name": names.network(identity.provider, identity.connection),
                "identity": identity,
                "asked": asked,
                "shared": shared,
                "kept": kept,
            }
        )
    return found


def page_locale(request: HttpRequest) -> str:
    """Return the language of the page; or the browser's first where only the business has texts in it and none was named."""
    if named := named_language(request):
        return named
    first = request.headers.get("Accept-Language", "").partition(",")[0].partition(";")[0].strip()[:16]
    try:
        get_supported_language_variant(first or "en")
    except LookupError:
        return first
    return get_language() or "en"
