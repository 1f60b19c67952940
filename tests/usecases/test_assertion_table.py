"""Every cell of the table of asserters, acted out: who may write what, where it appears, what it outranks, how long it is.

A new asserter, thing or place fails here until it has a road in `ROADS` and a reader in `READERS`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.connections.models import Connection
from regulars.connections.provider import ProviderClaim
from regulars.consent.models import ConsentEvent, PermittedView
from regulars.consent.record import Decision
from regulars.consent.view import served_user
from regulars.events.models import Event, InboxItem, Source
from regulars.profiles.assertions import RULES, Asserter, Place, Rank, Thing
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Fact, Identity, Profile
from regulars.usecases.account_mails import address_of
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login, sign_up
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import decide
from regulars.usecases.identity_conflicts import join, record_conflict
from regulars.usecases.process_event import process_inbox
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import (
    MetadataWrite,
    NewDatabaseUser,
    UserPatch,
    create_user,
    link,
    update_metadata,
    update_user,
)
from regulars.usecases.write_values import Authorship, by_app
from regulars.usecases.writers import Writer

pytestmark = pytest.mark.django_db
NUMBERS = itertools.count(1)
DATABASE = "Username-Password-Authentication"

# Thing → an attribute of it, and a value that fits it.
EXAMPLES = {
    Thing.CLAIM: ("email", "said@example.com"),
    Thing.CONCLUSION: ("email_domain", "example.com"),
    Thing.METADATA: ("shoe", "44"),
    Thing.APP_METADATA: ("plan", "gold"),
    Thing.PROOF: ("email_verified", True),
    Thing.CREDENTIAL: ("username", "said"),
}
# A public key gives a customer who is known otherwise no address, which stands for claims elsewhere because mails show it.
WEAK_EXAMPLES = {**EXAMPLES, Thing.CLAIM: ("given_name", "Said")}
SHOWN_IN = {"shoe": "user_metadata", "plan": "app_metadata"}


# May be written, and no page or API does it yet: metadata is typed by customers who are signed in anyhow.
WITHOUT_ROAD = {(Asserter.CUSTOMER_FRESH, Thing.METADATA)}


class NoRoad(Exception):
    """The product has nothing by which this asserter could even try."""


class World:
    """One customer who signed in at a provider that disclosed nothing, and by whom everything is written."""

    def __init__(self) -> None:
        self.chika = complete_social_login(ProviderLogin("google-oauth2", "1001", "google-oauth2", {}, (), ())).profile
        Connection.objects.create(name=DATABASE, strategy="auth0")
        Attribute.objects.create(key="shoe", label="Shoe", purposes=["serve"], metadata_path="user_metadata.shoe")
        Attribute.objects.create(key="plan", label="Plan", purposes=["serve"], metadata_path="app_metadata.plan")

    def send(self, type_: str, kind: str, **message: object) -> None:
        source, _ = Source.objects.get_or_create(slug="web", defaults={"name": "Web", "kind": kind})
        InboxItem.objects.create(
            source=source,
            message_id=f"m-{next(NUMBERS)}",
            type=type_,
            body=json.dumps({"userId": self.chika.user_id, **message}),
            received_at=timezone.now(),
        )
        while process_inbox():
            pass

    def learn(self, fact: NewFact) -> None:
        with changes(self.chika, "test") as c:
            c.learn([fact])


# Attributes: how each asserter says one.


def by_provider(kind: str) -> Callable[[World, str, object], None]:
    def say(world: World, key: str, value: object) -> None:
        claims = [ProviderClaim(key, value, kind)]
        complete_social_login(ProviderLogin("google-oauth2", "1001", "google-oauth2", {}, (), (), claims))

    return say


def by_key(kind: str) -> Callable[[World, str, object], None]:
    return lambda world, key, value: world.send("identify", kind, traits={key: value})


def by_application(world: World, key: str, value: object) -> None:
    if key in SHOWN_IN:
        update_user(world.chika, UserPatch(metadata={SHOWN_IN[key]: {key: value}}), by_app("crm"))
    else:
        update_user(world.chika, UserPatch({key: value}), by_app("crm"))


def by_rule(world: World, key: str, value: object) -> None:
    """Rules write metadata only: for another thing the attribute is kept there."""
    bag = SHOWN_IN.get(key, "user_metadata")
    Attribute.objects.filter(key=key).update(metadata_path=f"{bag}.{key}")
    if key in ("email", "username"):
        raise NoRoad
    for refused in update_metadata(
        world.chika, [MetadataWrite(Authorship(Writer.RULE, "rule:own"), bag, {key: value})]
    ):
        raise refused.error


def fresh(world: World, key: str, value: object) -> None:
    """What a customer proves with a mail: the address, and that it is theirs."""
    if key not in ("email", "email_verified", "username"):
        raise NoRoad
    world.chika = sign_up("said@example.com", "!", DATABASE).profile
    if key == "username":
        world.learn(NewFact("username", value, "declared", "app:signin", asserter=Asserter.CUSTOMER_FRESH))


def typed(world: World, key: str, value: object, staff: str = "") -> None:
    """On their own page, or in the console; an address is given in answer to a question."""
    if key == "email" and not staff:
        world.learn(NewFact(key, value, "declared", "question:email@1", asserter=Asserter.CUSTOMER))
    elif key == "email":
        world.learn(NewFact(key, value, "corrected", "staff:ana", asserter=Asserter.STAFF))
    else:
        correct(world.chika, key, str(value), staff=staff, reason="They said so." if staff else "")


SAY: dict[Asserter, Callable[[World, str, object], None]] = {
    Asserter.CUSTOMER_FRESH: fresh,
    Asserter.CUSTOMER: typed,
    Asserter.PROVIDER_VOUCHING: by_provider("verified"),
    Asserter.PROVIDER: by_provider("social"),
    Asserter.STAFF: lambda world, key, value: typed(world, key, value, "ana"),
    Asserter.SERVER_KEY: by_key("server"),
    Asserter.APP_TOKEN: by_application,
    Asserter.RULE: by_rule,
    Asserter.LOOKUP: lambda world, key, value: world.learn(
        NewFact(key, value, "enriched", "source:email", asserter=Asserter.LOOKUP)
    ),
    Asserter.IMPORT: lambda world, key, value: world.learn(
        NewFact(key, value, "imported", "csv", asserter=Asserter.IMPORT)
    ),
    Asserter.PUBLIC_KEY: by_key("public"),
}


# Other things: how each asserter does one. An asserter that is missing has no road in the product.


def named(asserter: Asserter, provider: str = "external") -> Callable[[World], None]:
    def do(world: World) -> None:
        if provider == "anonymous":
            kind = "server" if asserter == Asserter.SERVER_KEY else "public"
            world.send("page", kind, anonymousId="said")
        else:
            world.chika, _ = get_or_create_by_identity(provider, "said", asserted_by=asserter)

    return do


def created_by_application(world: World) -> None:
    new = NewDatabaseUser(DATABASE, "new@example.com", UserPatch(password="correct horse battery"), "said")
    world.chika = create_user(new, by_app("crm"))


def linked(how: str) -> Callable[[World], None]:
    def do(world: World) -> None:
        other = sign_up("other@example.com", "!", DATABASE).profile
        match how:
            case "staff":
                record_conflict(world.chika, other, "alias", "web")
                pair = world.chika.conflicts_as_first.first() or world.chika.conflicts_as_second.get()
                join(pair.pk, world.chika.user_id, "ana")
            case "public" | "server":
                world.send("alias", how, previousId=other.user_id)
            case "provider":
                claims = [ProviderClaim("email", "other@example.com", "verified")]
                complete_social_login(ProviderLogin("google-oauth2", "1001", "google-oauth2", {}, (), (), claims))
            case _:
                link(world.chika, other, how)

    return do


DO: dict[Thing, dict[Asserter, Callable[[World], None]]] = {
    Thing.EVENT: {
        Asserter.PUBLIC_KEY: lambda world: world.send("track", "public", event="said"),
        Asserter.SERVER_KEY: lambda world: world.send("track", "server", event="said"),
        Asserter.CUSTOMER: lambda world: correct(world.chika, "city", "Porto"),
        Asserter.STAFF: lambda world: correct(world.chika, "city", "Porto", staff="ana", reason="They said so."),
        Asserter.CUSTOMER_FRESH: lambda world: fresh(world, "email", ""),
    },
    Thing.IDENTIFIER: {
        Asserter.PUBLIC_KEY: named(Asserter.PUBLIC_KEY, "anonymous"),
        Asserter.SERVER_KEY: named(Asserter.SERVER_KEY, "anonymous"),
        Asserter.CUSTOMER_FRESH: lambda world: fresh(world, "email", ""),
        Asserter.PROVIDER_VOUCHING: lambda world: None,  # by signing in there
        Asserter.APP_TOKEN: created_by_application,
        Asserter.IMPORT: named(Asserter.IMPORT),
    },
    Thing.CONSENT: {
        Asserter.CUSTOMER: lambda world: decide(world.chika, Decision("message", "given", "profile")),
        Asserter.CUSTOMER_FRESH: lambda world: decide(world.chika, Decision("message", "given", "login")),
        Asserter.IMPORT: lambda world: decide_imported(world),
    },
    Thing.LINK: {
        Asserter.CUSTOMER_FRESH: linked("customer"),
        Asserter.STAFF: linked("staff"),
        Asserter.APP_TOKEN: linked("api:crm"),
        Asserter.PUBLIC_KEY: linked("public"),
        Asserter.SERVER_KEY: linked("server"),
        Asserter.PROVIDER_VOUCHING: linked("provider"),
    },
}


def decide_imported(world: World) -> None:
    with changes(world.chika, "import") as c:
        c.decide(Decision("message", ConsentEvent.Action.IMPORTED, "import", evidence={"list": "fair"}))


def example(asserter: Asserter, thing: Thing) -> tuple[str, object]:
    return (WEAK_EXAMPLES if asserter == Asserter.PUBLIC_KEY else EXAMPLES)[thing]


def act(world: World, asserter: Asserter, thing: Thing) -> None:
    """Write, or try to. Raises `NoRoad`, or a `DomainError` where the asserter gets an error."""
    if thing in EXAMPLES:
        SAY[asserter](world, *example(asserter, thing))
    elif asserter in DO[thing]:
        DO[thing][asserter](world)
    else:
        raise NoRoad
    world.chika.refresh_from_db()


# What was written, and by whom.


def written(world: World, asserter: Asserter, thing: Thing) -> bool:
    if thing in EXAMPLES:
        return Fact.objects.filter(
            profile=world.chika, attribute=example(asserter, thing)[0], asserter=asserter, retracted_at=None
        ).exists()
    match thing:
        case Thing.EVENT:
            names = ["said", "Profile Corrected"]
            names += ["Signed Up"] if asserter == Asserter.CUSTOMER_FRESH else []
            return Event.objects.filter(profile_id=world.chika.pk, name__in=names).exists()
        case Thing.IDENTIFIER:
            return Identity.objects.filter(profile=world.chika, asserted_by=asserter).exists()
        case Thing.CONSENT:
            return ConsentEvent.objects.filter(profile=world.chika, purpose="message").exists()
        case Thing.LINK:
            return Profile.objects.filter(merged_into=world.chika).exists()
    raise AssertionError(f"no check for {thing}")


# Where it appears. Each reader returns the whole of what its place has.


def in_segments(world: World, thing: Thing) -> object:
    if thing == Thing.EVENT:
        return list(Event.objects.filter(profile_id=world.chika.pk).values_list("name", flat=True))
    row = PermittedView.objects.filter(profile=world.chika, purpose="serve").first()
    return row.terms if row else {}


READERS: dict[Place, Callable[[World, Thing], object]] = {
    Place.TOKEN: lambda world, thing: served_user(world.chika, Place.TOKEN),
    Place.USERINFO: lambda world, thing: served_user(world.chika, Place.USERINFO),
    Place.RULES: lambda world, thing: served_user(world.chika, Place.RULES),
    Place.SEGMENTS: in_segments,
    Place.MAILS: lambda world, thing: {"email": address_of(world.chika.account)} if thing == Thing.CLAIM else {},
    Place.STAFF_PAGES: lambda world, thing: {
        **world.chika.document,
        "events": list(Event.objects.filter(profile_id=world.chika.pk).values_list("name", flat=True)),
        "consent": list(world.chika.consent_events.values_list("purpose_id", flat=True)),
    },
}


def seen(world: World, thing: Thing, asserter: Asserter, place: Place) -> bool:
    there = READERS[place](world, thing)
    match thing:
        case Thing.IDENTIFIER | Thing.LINK:
            name = {Asserter.PROVIDER_VOUCHING: "1001"}.get(asserter, "said")
            identities = there.get("identities", []) if isinstance(there, dict) else []
            if thing == Thing.LINK or asserter == Asserter.CUSTOMER_FRESH:
                return any(each["provider"] == "auth0" for each in identities)
            return any(each["user_id"] == name for each in identities)
        case Thing.EVENT:
            happened = there if isinstance(there, list) else there.get("events", [])
            return bool({"said", "Profile Corrected", "Signed Up"}.intersection(happened))
        case Thing.CONSENT:
            return "message" in str(there.get("consent", ""))
    key, value = example(asserter, thing)
    if place == Place.SEGMENTS:
        return any(name.endswith(key) for name in there)
    return {**there, **there.get("user_metadata", {}), **there.get("app_metadata", {})}.get(key) == value


@pytest.mark.parametrize("thing", Thing)
@pytest.mark.parametrize("asserter", Asserter)
def test_cell_is_as_the_table_says(standard_setup, asserter, thing):
    """One asserter and thing, at all places."""
    rule, world = RULES[asserter][thing], World()
    tried = True
    try:
        act(world, asserter, thing)
    except NoRoad:
        tried = False
    except DomainError:
        assert not rule.may_write
    if not tried and rule.may_write:
        assert (asserter, thing) in WITHOUT_ROAD
    else:
        assert written(world, asserter, thing) is rule.may_write
    if tried and rule.may_write:
        appears = {place: seen(world, thing, asserter, place) for place in Place}
        # Only an address is mailed to; a password itself is nowhere, so the name that signs in stands for it.
        assert appears == dict(rule.places)


LETTERS = dict(zip(Place, "TURSMP", strict=True))


def as_markdown() -> str:
    """Return the table as SECURITY.md has it: who may write what, up to which rank, where it may appear, how long it is."""
    lines = ["| asserter | " + " | ".join(thing.replace("_", " ") for thing in Thing) + " |"]
    lines.append("| --- " * (len(Thing) + 1) + "|")
    for asserter in Asserter:
        cells = []
        for rule in RULES[asserter].values():
            shown = "".join(LETTERS[place] for place in Place if rule.places[place])
            cells.append(
                f"{int(rule.rank)} {shown} ≤{rule.longest:,}"
                if rule.may_write
                else f"({int(rule.rank)} {shown})"
                if shown
                else "no"
            )
        lines.append(f"| {asserter.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_security_page_has_the_table():
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text()

    assert as_markdown() in page
    assert [each.replace("_", " ") for each in Asserter if f"**{each.replace('_', ' ')}**" not in page] == []


def test_every_open_cell_has_a_road_and_every_place_a_reader():
    cells = itertools.product(Asserter, DO)
    without = {(who, what) for who, what in cells if RULES[who][what].may_write and who not in DO[what]}

    assert without == set()
    assert set(SAY) == set(Asserter)
    assert set(READERS) == set(Place)
    assert {*EXAMPLES, *DO} == set(Thing)


KINDS = {
    Asserter.CUSTOMER_FRESH: ("declared", "app:signin"),
    Asserter.CUSTOMER: ("corrected", "customer"),
    Asserter.PROVIDER_VOUCHING: ("verified", "google-oauth2"),
    Asserter.PROVIDER: ("social", "facebook"),
    Asserter.STAFF: ("corrected", "staff:ana"),
    Asserter.SERVER_KEY: ("observed", "app:server"),
    Asserter.APP_TOKEN: ("declared", "app:crm"),
    Asserter.LOOKUP: ("enriched", "source:email"),
    Asserter.IMPORT: ("imported", "csv"),
    Asserter.PUBLIC_KEY: ("observed", "app:web"),
}
CLAIMING = [each for each in Asserter if RULES[each][Thing.CLAIM].may_write]


PAIRS = [
    (one, other)
    for one, other in itertools.product(CLAIMING, CLAIMING)
    if RULES[one][Thing.CLAIM].rank > RULES[other][Thing.CLAIM].rank and KINDS[one][0] != KINDS[other][0]
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_higher_rank_wins_though_its_word_is_older(chika, one, other):
    earlier = clock.now() - dt.timedelta(days=400)
    learn(chika, [NewFact("name", "old", *KINDS[one], collected_at=earlier, asserter=one)])
    learn(chika, [NewFact("name", "new", *KINDS[other], asserter=other)])
    chika.refresh_from_db()

    assert chika.document["name"] == "old"


LIMITED = [
    (asserter, thing)
    for asserter, thing in itertools.product(CLAIMING, (Thing.CLAIM, Thing.METADATA))
    if RULES[asserter][thing].may_write
]


@pytest.mark.parametrize(("asserter", "thing"), LIMITED)
def test_a_longer_value_is_left_out(chika, asserter, thing):
    rule = RULES[asserter][thing]
    key = {Thing.CLAIM: "picture", Thing.METADATA: "user_metadata.note"}[thing]
    start = "https://pictures.example/"
    fits = start + "x" * (rule.longest - len(start))
    learn(chika, [NewFact(key, fits + "x", *KINDS[asserter], asserter=asserter)])
    assert not Fact.objects.exists()

    learn(chika, [NewFact(key, fits, *KINDS[asserter], asserter=asserter)])
    assert Fact.objects.get().value == fits


def test_a_weak_word_is_below_every_other():
    ranks = {asserter: RULES[asserter][Thing.CLAIM].rank for asserter in CLAIMING}

    assert [asserter for asserter, rank in ranks.items() if rank == Rank.WEAK] == [Asserter.PUBLIC_KEY]
