"""Who writes about a customer, and what becomes of it: one table of writer → kind of fact, and whether it gives way.

    word = WORDS[Writer.RULE]
    word.kind_at("user_metadata.shoe"), word.rank_at("user_metadata.shoe"), word.replaces_the_customer

What customers said (on `/me`, in an answer) or deleted, and what staff corrected, stands against every writer that does not
replace it. SECURITY.md has the same table, compared by a test that acts out every row. A new writer does not import before
it has its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from regulars.profiles.assertions import RULES, Asserter, Rank, Thing, may_write, thing_of
from regulars.profiles.learn import CUSTOMER
from regulars.profiles.models import Fact
from regulars.profiles.resolve import TIERS

Kind = Fact.SourceKind


class Writer(StrEnum):
    """Who writes a value, by whichever interface."""

    CUSTOMER = "customer"  # on /me
    ANSWER = "answer"  # the customer, to a question
    SIGN_UP = "sign_up"  # the customer, in a form of an application
    APP_FOR_CUSTOMER = "app_for_customer"  # an application with that customer's own access token
    APP = "app"  # an application with its own access token
    STAFF = "staff"
    RULE = "rule"  # worked out from the sign-in, or from the business's own systems
    RULE_AFTER_CALL = "rule_after_call"  # a rule that another service answered in the same run
    PROVIDER = "provider"  # a claim of a login provider that the customer typed there
    PROVIDER_VOUCHING = "provider_vouching"
    SERVER_KEY = "server_key"
    PUBLIC_KEY = "public_key"
    LOOKUP = "lookup"
    IMPORT = "import"


@dataclass(frozen=True)
class Word:
    """What a write becomes. `app_kind` is the kind of fact in `app_metadata`; None: not written there.

    `replaces_the_customer`: it takes the place of what the customer said. `revives`: it brings back what they deleted.
    """

    kind: Kind
    asserter: Asserter
    app_kind: Kind | None = None
    replaces_the_customer: bool = False
    revives: bool = False

    def kind_at(self, path: str) -> Kind:
        return self.app_kind or self.kind if thing_of(path) == Thing.APP_METADATA else self.kind

    def may_write_at(self, path: str) -> bool:
        thing = thing_of(path)
        return may_write(self.asserter, thing) and (thing != Thing.APP_METADATA or self.app_kind is not None)

    def rank_at(self, path: str) -> Rank:
        """Return how far it is believed: by how it was said, and at most as far as its asserter is."""
        return min(TIERS[self.kind_at(path)][0], RULES[self.asserter][thing_of(path)].rank)


WORDS: Mapping[Writer, Word] = {
    Writer.CUSTOMER: Word(Kind.CORRECTED, Asserter.CUSTOMER, replaces_the_customer=True, revives=True),
    Writer.ANSWER: Word(Kind.DECLARED, Asserter.CUSTOMER, replaces_the_customer=True, revives=True),
    # Of a new customer: nothing was said or deleted before.
    Writer.SIGN_UP: Word(Kind.DECLARED, Asserter.CUSTOMER),
    # By way of that application, so it is believed as far as an application is.
    Writer.APP_FOR_CUSTOMER: Word(Kind.DECLARED, Asserter.APP_TOKEN, replaces_the_customer=True, revives=True),
    Writer.APP: Word(Kind.DECLARED, Asserter.APP_TOKEN, app_kind=Kind.OBSERVED),
    Writer.STAFF: Word(Kind.CORRECTED, Asserter.STAFF, replaces_the_customer=True),
    Writer.RULE: Word(Kind.OBSERVED, Asserter.RULE, app_kind=Kind.OBSERVED),
    Writer.RULE_AFTER_CALL: Word(Kind.ENRICHED, Asserter.RULE, app_kind=Kind.ENRICHED),
    Writer.PROVIDER: Word(Kind.SOCIAL, Asserter.PROVIDER),
    Writer.PROVIDER_VOUCHING: Word(Kind.VERIFIED, Asserter.PROVIDER_VOUCHING),
    Writer.SERVER_KEY: Word(Kind.OBSERVED, Asserter.SERVER_KEY),
    Writer.PUBLIC_KEY: Word(Kind.OBSERVED, Asserter.PUBLIC_KEY),
    Writer.LOOKUP: Word(Kind.ENRICHED, Asserter.LOOKUP),
    Writer.IMPORT: Word(Kind.IMPORTED, Asserter.IMPORT),
}
BY_RULES = (Writer.RULE, Writer.RULE_AFTER_CALL)

if missing := set(Writer) - set(WORDS):
    raise RuntimeError(f"usecases.writers.WORDS has no row for {', '.join(sorted(missing))}")


def is_word_of_a_person(fact: Fact) -> bool:
    """Return whether a fact is what the customer said on `/me`, in an answer or by their own token, or staff corrected.

    What was typed into the sign-up form of an application is that application's to go on with.
    """
    is_answer = fact.source.startswith("question:") or fact.source.count(":") > 1  # `app:shop:looking_for@1`
    return fact.source_kind == Kind.CORRECTED or fact.source == CUSTOMER or is_answer
