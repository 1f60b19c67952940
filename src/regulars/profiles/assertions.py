"""Whose word is believed: for each asserter and each kind of thing one answer, in one table.

    rule = RULES[Asserter.PUBLIC_KEY][Thing.CLAIM]
    rule.may_write, rule.rank, rule.places, rule.longest

Everything that is asserted carries its asserter. Whatever writes asks `may_write`, whatever chooses between two values
asks `rank`, whatever shows a value asks `is_shown`. SECURITY.md has the same table, compared by a test. A new asserter,
thing or place does not import before it has an answer in every cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Asserter(StrEnum):
    """Who asserted something."""

    CUSTOMER_FRESH = "customer_fresh"  # has just authenticated here, or has just opened what we mailed
    CUSTOMER = "customer"  # signed in here
    PROVIDER_VOUCHING = "provider_vouching"  # a provider, about what it has verified
    PROVIDER = "provider"  # a provider, about what the customer typed there
    STAFF = "staff"
    SERVER_KEY = "server_key"  # a source of events whose key is secret, or a proved message under a public key
    APP_TOKEN = "app_token"  # noqa: S105 - an application with an access token for our APIs
    RULE = "rule"
    LOOKUP = "lookup"  # an enrichment source
    IMPORT = "import"
    PUBLIC_KEY = "public_key"  # a source of events whose key every visitor can read


class Thing(StrEnum):
    """What is asserted."""

    CLAIM = "claim"  # an attribute outside of the metadata: name, email, gender
    CONCLUSION = "conclusion"  # an attribute that is derived or looked up, never stated: age_band, email_domain
    METADATA = "metadata"  # user_metadata, and attributes kept there
    APP_METADATA = "app_metadata"  # roles, plans: what applications trust
    EVENT = "event"
    IDENTIFIER = "identifier"  # an id under which a customer is found
    PROOF = "proof"  # email_verified, phone_verified
    CONSENT = "consent"
    CREDENTIAL = "credential"  # a password, a passkey, a second factor, the name or address that signs in
    LINK = "link"  # two accounts become one


class Place(StrEnum):
    """Where an assertion may appear. Rules may put what they see into tokens; so what tokens may not have, rules do not see."""

    TOKEN = "token"  # noqa: S105 - the claims of ID and access tokens
    USERINFO = "userinfo"
    RULES = "rules"  # and users at the Management API: what applications read is trusted like what rules see
    SEGMENTS = "segments"
    MAILS = "mails"
    STAFF_PAGES = "staff_pages"


class Rank(IntEnum):
    """How far a word is believed: the higher rank wins, whatever is newer."""

    WEAK = -1  # counts only while no other source says anything
    GUESSED = 0
    LOOKED_UP = 1
    REPORTED = 2
    OBSERVED = 3
    VOUCHED = 4
    STATED = 5
    CORRECTED = 6


@dataclass(frozen=True, slots=True)
class Assertion:
    """What the word of one asserter about one kind of thing is worth.

    `rank` is the most it can outrank; how it was said may lower it (`profiles.resolve`). `places` answers for every place.
    `longest` is in characters of the value as JSON; for events in bytes of the whole message. What is concluded from a
    claim is ranked and shown as that claim is: only `may_write` of a conclusion is about asserting it directly.
    """

    may_write: bool
    rank: Rank
    places: Mapping[Place, bool]
    longest: int


LONGEST_CLAIM = 500  # characters
LONGEST_METADATA = 64 * 1024
LONGEST_EVENT = 32 * 1024  # bytes
LONGEST_ID = 255

T, U, R, S, M, P = Place.TOKEN, Place.USERINFO, Place.RULES, Place.SEGMENTS, Place.MAILS, Place.STAFF_PAGES
EVERYWHERE = {T: True, U: True, R: True, S: True, M: True, P: True}
# Mails show an address and nothing else, and go only to one that the customer proved, or that an application or a
# vouching provider gave.
NOT_MAILED = {T: True, U: True, R: True, S: True, M: False, P: True}
NOWHERE = {T: False, U: False, R: False, S: False, M: False, P: False}
# What only the business itself sees: never an application.
INSIDE = {T: False, U: False, R: False, S: True, M: False, P: True}
# Ids and links: rules see them, and may put them into tokens.
BY_RULES = {T: True, U: True, R: True, S: False, M: False, P: True}
STAFF_ONLY = {T: False, U: False, R: False, S: False, M: False, P: True}
# Consent decides where anything else may appear; itself it is shown to conditions of segments and to staff.
CONSENTED = {T: False, U: False, R: False, S: True, M: False, P: True}

CLOSED = Assertion(False, Rank.WEAK, NOWHERE, 0)


def _claims(rank: Rank, places: Mapping[Place, bool] = EVERYWHERE, longest: int = LONGEST_CLAIM) -> Assertion:
    return Assertion(True, rank, places, longest)


def _concluded(rank: Rank, places: Mapping[Place, bool] = NOT_MAILED) -> Assertion:
    """Conclusions from this asserter's claims: never written by the asserter itself."""
    return Assertion(False, rank, places, LONGEST_CLAIM)


def _metadata(rank: Rank, longest: int = LONGEST_METADATA) -> Assertion:
    return Assertion(True, rank, NOT_MAILED, longest)


PROVED = Assertion(True, Rank.VOUCHED, NOT_MAILED, 5)
HAPPENED = Assertion(True, Rank.OBSERVED, INSIDE, LONGEST_EVENT)
NAMED = Assertion(True, Rank.OBSERVED, BY_RULES, LONGEST_ID)
DECIDED = Assertion(True, Rank.STATED, CONSENTED, LONGEST_CLAIM)
# The name that signs in. A password, a passkey or a second factor itself is shown nowhere.
SECRET = Assertion(True, Rank.STATED, NOT_MAILED, LONGEST_CLAIM)
JOINED = Assertion(True, Rank.STATED, BY_RULES, LONGEST_ID)

RULES: Mapping[Asserter, Mapping[Thing, Assertion]] = {
    Asserter.CUSTOMER_FRESH: {
        Thing.CLAIM: _claims(Rank.CORRECTED),
        Thing.CONCLUSION: _concluded(Rank.CORRECTED),
        Thing.METADATA: _metadata(Rank.CORRECTED, LONGEST_CLAIM),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: HAPPENED,
        Thing.IDENTIFIER: NAMED,
        Thing.PROOF: PROVED,
        Thing.CONSENT: DECIDED,
        Thing.CREDENTIAL: SECRET,
        Thing.LINK: JOINED,
    },
    Asserter.CUSTOMER: {
        Thing.CLAIM: _claims(Rank.CORRECTED, NOT_MAILED),
        Thing.CONCLUSION: _concluded(Rank.CORRECTED),
        Thing.METADATA: _metadata(Rank.CORRECTED, LONGEST_CLAIM),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: HAPPENED,
        Thing.IDENTIFIER: CLOSED,
        Thing.PROOF: CLOSED,
        Thing.CONSENT: DECIDED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
    Asserter.PROVIDER_VOUCHING: {
        Thing.CLAIM: _claims(Rank.VOUCHED),
        Thing.CONCLUSION: _concluded(Rank.VOUCHED),
        Thing.METADATA: _metadata(Rank.VOUCHED, LONGEST_CLAIM),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: CLOSED,
        Thing.IDENTIFIER: NAMED,
        Thing.PROOF: PROVED,
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
    Asserter.PROVIDER: {
        Thing.CLAIM: _claims(Rank.REPORTED, NOT_MAILED),
        Thing.CONCLUSION: _concluded(Rank.REPORTED),
        Thing.METADATA: _metadata(Rank.REPORTED, LONGEST_CLAIM),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: CLOSED,
        Thing.IDENTIFIER: CLOSED,
        Thing.PROOF: CLOSED,
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
    Asserter.STAFF: {
        Thing.CLAIM: _claims(Rank.CORRECTED, NOT_MAILED),
        Thing.CONCLUSION: _concluded(Rank.CORRECTED),
        Thing.METADATA: _metadata(Rank.CORRECTED, LONGEST_CLAIM),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: HAPPENED,
        Thing.IDENTIFIER: CLOSED,
        Thing.PROOF: CLOSED,
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: JOINED,
    },
    Asserter.SERVER_KEY: {
        Thing.CLAIM: _claims(Rank.OBSERVED, NOT_MAILED),
        Thing.CONCLUSION: _concluded(Rank.OBSERVED),
        Thing.METADATA: _metadata(Rank.OBSERVED, LONGEST_CLAIM),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: HAPPENED,
        Thing.IDENTIFIER: NAMED,
        Thing.PROOF: CLOSED,
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
    Asserter.APP_TOKEN: {
        Thing.CLAIM: _claims(Rank.STATED),
        Thing.CONCLUSION: _concluded(Rank.STATED),
        Thing.METADATA: _metadata(Rank.STATED),
        Thing.APP_METADATA: _metadata(Rank.OBSERVED),
        Thing.EVENT: CLOSED,
        Thing.IDENTIFIER: NAMED,
        Thing.PROOF: _claims(Rank.STATED, NOT_MAILED, 5),
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: SECRET,
        Thing.LINK: JOINED,
    },
    Asserter.RULE: {
        Thing.CLAIM: CLOSED,
        Thing.CONCLUSION: CLOSED,
        Thing.METADATA: _metadata(Rank.OBSERVED),
        Thing.APP_METADATA: _metadata(Rank.OBSERVED),
        Thing.EVENT: CLOSED,
        Thing.IDENTIFIER: CLOSED,
        Thing.PROOF: CLOSED,
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
    Asserter.LOOKUP: {
        Thing.CLAIM: _claims(Rank.LOOKED_UP, NOT_MAILED),
        Thing.CONCLUSION: _claims(Rank.LOOKED_UP, NOT_MAILED),
        Thing.METADATA: _metadata(Rank.LOOKED_UP, LONGEST_CLAIM),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: CLOSED,
        Thing.IDENTIFIER: CLOSED,
        Thing.PROOF: CLOSED,
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
    Asserter.IMPORT: {
        Thing.CLAIM: _claims(Rank.REPORTED, NOT_MAILED),
        Thing.CONCLUSION: _concluded(Rank.REPORTED),
        Thing.METADATA: _metadata(Rank.REPORTED),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: CLOSED,
        Thing.IDENTIFIER: NAMED,
        Thing.PROOF: CLOSED,
        Thing.CONSENT: DECIDED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
    Asserter.PUBLIC_KEY: {
        Thing.CLAIM: _claims(Rank.WEAK, INSIDE),
        Thing.CONCLUSION: _concluded(Rank.WEAK, INSIDE),
        Thing.METADATA: _claims(Rank.WEAK, INSIDE),
        Thing.APP_METADATA: CLOSED,
        Thing.EVENT: Assertion(True, Rank.WEAK, INSIDE, LONGEST_EVENT),
        Thing.IDENTIFIER: Assertion(True, Rank.WEAK, STAFF_ONLY, LONGEST_ID),
        Thing.PROOF: CLOSED,
        Thing.CONSENT: CLOSED,
        Thing.CREDENTIAL: CLOSED,
        Thing.LINK: CLOSED,
    },
}

# What is proved → what it is a proof of.
PROOFS = {"email_verified": "email", "phone_verified": "phone_number"}
# Derived from another attribute (`profiles.derive`), or looked up by a source made for it.
CONCLUSIONS = frozenset(
    {
        "age_band",
        "continent",
        "area_median_income",
        "area_median_age",
        "network_country",
        "network_region",
        "email_kind",
        "email_domain",
        "phone_country",
        "phone_kind",
        "phone_e164",
    }
)


def thing_of(key: str, path: str = "") -> Thing:
    """Return what an attribute is. `path` is its metadata path; an attribute without one is recognised by its key."""
    if key in PROOFS:
        return Thing.PROOF
    if key in CONCLUSIONS:
        return Thing.CONCLUSION
    if key == "username":
        return Thing.CREDENTIAL
    match (path or key).partition(".")[0]:
        case "app_metadata":
            return Thing.APP_METADATA
        case "user_metadata":
            return Thing.METADATA
    return Thing.CLAIM


def may_write(asserter: Asserter, thing: Thing) -> bool:
    """Return whether this asserter may write this thing itself."""
    return RULES[asserter][thing].may_write


def is_shown(asserter: Asserter, thing: Thing, place: Place) -> bool:
    """Return whether what this asserter wrote may appear at this place."""
    return RULES[asserter][thing].places[place]


def longest(asserter: Asserter, thing: Thing) -> int:
    """Return the length that a value may have, in characters of its JSON (of an event: in bytes)."""
    return RULES[asserter][thing].longest


def voice(source: str, asserter: str) -> tuple[str, bool]:
    """Return the key under which a later word of a source replaces its earlier one: a weak word replaces weak ones only."""
    return source, asserter == Asserter.PUBLIC_KEY


def asserter_of(source_kind: str, source: str) -> Asserter:
    """Return who asserted a fact, by its kind and source, for facts written before they carried their asserter.

    Every key of events was public then. `app:signin` is the customer on our own pages.
    """
    prefix = source.partition(":")[0]
    if source_kind == "observed":
        return Asserter.PUBLIC_KEY
    if source_kind == "imported":
        return Asserter.IMPORT
    if source == "app:signin" and source_kind == "verified":
        return Asserter.CUSTOMER_FRESH
    if source in ("customer", "app:signin") or prefix == "question" or source.count(":") > 1:
        return Asserter.CUSTOMER  # `app:shop:looking_for@1` is an answer given inside an app
    by_prefix = {
        "staff": Asserter.STAFF,
        "rule": Asserter.RULE,
        "source": Asserter.LOOKUP,
        "app": Asserter.APP_TOKEN,
    }
    if prefix in by_prefix:
        return by_prefix[prefix]
    if source_kind in ("corrected", "declared"):
        return Asserter.CUSTOMER
    if source_kind in ("enriched", "inferred"):
        return Asserter.LOOKUP
    return Asserter.PROVIDER_VOUCHING if source_kind == "verified" else Asserter.PROVIDER


def asserter_of_identity(provider: str) -> Asserter:
    """Return who asserted an identity of this provider, for those written before they carried their asserter."""
    if provider in ("anonymous", "external"):
        return Asserter.PUBLIC_KEY
    return Asserter.CUSTOMER_FRESH if provider == "auth0" else Asserter.PROVIDER_VOUCHING


def _unanswered() -> list[str]:
    """Return the cells without an answer: a new asserter, thing or place has to be decided before anything runs."""
    return [
        f"{asserter} × {thing}"
        for asserter in Asserter
        for thing in Thing
        if thing not in RULES.get(asserter, {}) or set(RULES[asserter][thing].places) != set(Place)
    ]


if missing := _unanswered():
    raise RuntimeError(f"profiles.assertions.RULES has no whole answer for {', '.join(missing)}")
