"""Every exit is registered, and is closed in every state of consent within its time: the table of the operator's page."""

from __future__ import annotations

import ast
import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.management_api.conftest import ApiClient
from tests.ran_out import let_consents_run_out
from tests.usecases.entry_points import ENTRY_POINTS, NOTHING
from tests.usecases.walk_entry_points import entry_points

import regulars
from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision
from regulars.consent.status import ADVERTISING
from regulars.consent.view import served_user
from regulars.destinations.message import preview_message
from regulars.destinations.models import Destination
from regulars.destinations.save import save_destination
from regulars.interfaces.worker.work import MINUTE, SCHEDULE
from regulars.profiles.assertions import Place
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.segments.export_members import lines
from regulars.segments.members import members
from regulars.segments.models import Segment
from regulars.segments.save import save_segment
from regulars.usecases.change_due_profiles import queue_due_profiles
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import change_purpose, decide, expire_consents
from regulars.usecases.exits import EXITS, INSIDE
from regulars.usecases.find_customers import find_customers
from regulars.usecases.stop_sharing import stop_sharing
from regulars.usecases.unit_of_work import changes

PACKAGE = Path(regulars.__file__).parent
PAGE = Path(__file__).parents[2] / "docs/operator/purposes-and-consents.md"
BEGIN, END = "<!-- exits: begin -->\n", "<!-- exits: end -->"
READERS = {
    "regulars.base.lake.query": {"query"},
    "regulars.consent.models": {"PermittedView"},
    "regulars.consent.view": {"view", "view_all", "views", "served_user", "with_served_traits", "readable_users", "uses_of_events", "uses_of_facts", "withheld"},
    "regulars.enrichment.models": {"Lookup"},
    "regulars.events.models": {"Event", "InboxItem"},
    "regulars.events.read": {"happened", "named", "timeline"},
    "regulars.profiles.document": {"user"},
    "regulars.profiles.models": {"Fact", "IdentityConflict", "ProviderAnswer"},
    "regulars.questions.models": {"Impression"},
    "regulars.rules.models": {"RuleRun"},
    "regulars.segments.models": {"Membership"},
    "regulars.usecases.customer_data": {"facts_of"},
    "regulars.usecases.permitted_events": {"permitted_events"},
}  # fmt: skip
ATTRIBUTES = {"document", "facts", "impressions", "lookups", "memberships", "permitted_views", "rule_runs"}


def readers() -> Iterator[str]:
    """Yield the modules above the gate that read what is known of customers."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(("profiles/", "consent/")) or "/migrations/" in name:
            continue
        package = ["regulars", *name.split("/")[:-1]]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                parents = package[: len(package) + 1 - node.level] if node.level else []
                source = ".".join([*parents, *filter(None, [node.module])])
                is_reader = not READERS.get(source, set()).isdisjoint(each.name for each in node.names)
            else:
                is_reader = isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES
            if is_reader:
                yield name
                break


def test_every_reader_of_customers_is_a_registered_exit_or_lets_nothing_out():
    found = set(readers())
    registered = {module for each in EXITS for module in each.modules}

    assert found - registered - set(INSIDE) == set()
    assert [name for name in sorted(registered | set(INSIDE)) if not (PACKAGE / name).exists()] == []
    assert registered.isdisjoint(INSIDE)
    assert len({each.name for each in EXITS}) == len(EXITS)


def test_every_entry_point_belongs_to_an_exit_or_shows_nothing():
    """A page of addresses that is registered does not cover the next address in its file: each is named."""
    registered = [*NOTHING, *(each for found in ENTRY_POINTS.values() for each in found)]

    assert entry_points() - set(registered) == set()
    assert set(registered) - entry_points() == set()
    assert len(set(registered)) == len(registered)
    assert set(ENTRY_POINTS) <= {each.name for each in EXITS}


class World:
    """A customer who shared their gender under *personalise*, a segment of it and a destination."""

    def __init__(self, profile, client) -> None:
        self.profile, self.api = profile, ApiClient(client)
        save_segment("Women", "gender:female", "personalise", slug="women")
        save_destination("Files", "csv", {"file": "a.csv"}, purpose="personalise", segment_slugs=["women"])

    def share(self) -> None:
        identity = self.profile.identities.get().pk
        with changes(self.profile, "test") as c:
            yes = c.decide(Decision("personalise", "given", "login"))
            c.learn(
                [
                    NewFact(
                        "gender",
                        "female",
                        "social",
                        "google-oauth2",
                        basis="consent",
                        consents=[yes.pk],
                        identity=identity,
                    )
                ]
            )


# What each exit shows of a customer whose gender is `female`.


def shown_by_api(world: World) -> bool:
    user = world.api.get(f"/v2/users/{world.profile.user_id}")
    return user.get("gender") == "female"


def shown_by_facts(world: World) -> bool:
    facts = world.api.get(f"/regulars/v1/profiles/{world.profile.user_id}/facts")["facts"]
    usable = [each for each in facts if each["attribute"] == "gender" and each["usable_for"]]
    assert all(each["usable_for"] or each["why_not_usable"] for each in facts)
    newest = usable[:1]
    return [each["value"] for each in newest] == ["female"]


def shown_by_file(world: World) -> bool:
    return any("female" in line for line in list(lines(Segment.objects.get(), ["user_id", "gender"]))[1:])


SHOWS: dict[str, Callable[[World], bool]] = {
    "ID token": lambda world: served_user(world.profile, Place.TOKEN).get("gender") == "female",
    "/userinfo": lambda world: served_user(world.profile, Place.USERINFO).get("gender") == "female",
    "User in rules and their trials": lambda world: served_user(world.profile, Place.RULES).get("gender") == "female",
    "Management API: read": shown_by_api,
    "Management API: search and sort": lambda world: bool(world.api.get("/v2/users", q="gender:female")),
    "API of facts": shown_by_facts,
    "Segment members": lambda world: bool(members(Segment.objects.get())),
    "Segment export": shown_by_file,
    "Destinations, retries and replay": lambda world: (
        (preview_message(Destination.objects.get(), world.profile, {"women": "personalise"}).traits or {}).get("gender")
        == "female"
    ),
    "Search of the console": lambda world: bool(find_customers("gender:female").people),
}


def withdraw(world: World) -> None:
    decide(world.profile, Decision("personalise", "withdrawn", "profile"))


def refuse(world: World) -> None:
    decide(world.profile, Decision("personalise", "refused", "login"))


def run_out(world: World) -> None:
    """The worker looks every minute; what it then does is measured."""
    assert SCHEDULE["consents.expire"] == (MINUTE, expire_consents)
    let_consents_run_out()
    expire_consents()


def let_fact_run_out(world: World) -> None:
    assert SCHEDULE["profiles.change"] == (MINUTE, queue_due_profiles)
    over = clock.now() - dt.timedelta(milliseconds=1)
    world.profile.facts.update(expires_at=over)
    Profile.objects.update(changes_at=over)
    queue_due_profiles()
    run_due()


def object_to_advertising(world: World) -> None:
    """Of any purpose that is used for it: this one as well, unless it is allowed again."""
    decide(world.profile, Decision("message", "withdrawn", "profile", evidence={ADVERTISING: True}))


def share_no_more(world: World) -> None:
    stop_sharing(world.profile, world.profile.identities.get(), "gender")


def delete(world: World) -> None:
    with changes(world.profile, "customer_deleted") as c:
        c.retract(list(c.profile.facts.filter(attribute="gender")))


def change(world: World) -> None:
    correct(world.profile, "gender", "male", reason="By phone.", staff="ana")


def widen(world: World) -> None:
    change_purpose("personalise", PurposeText("Fits you", "To show you things, and to sell them."), widened=True)


def turn_out_young(world: World) -> None:
    with changes(world.profile, "test") as c:
        c.learn([NewFact("birthdate", f"{clock.now().year - 9}-01-01", "verified", "google-oauth2")])


# State → (how it comes about, closed after how long)
STATES: dict[str, tuple[Callable[[World], None], str]] = {
    "refused": (refuse, "1 s"),
    "withdrawn": (withdraw, "1 s"),
    "run out": (run_out, "1 min"),
    "objected to advertising": (object_to_advertising, "1 s"),
    "piece no longer shared": (share_no_more, "1 s"),
    "fact run out": (let_fact_run_out, "1 min"),
    "fact deleted": (delete, "1 s"),
    "fact corrected": (change, "1 s"),
    "purpose widened": (widen, "1 s"),
    "barred by age": (turn_out_young, "1 s"),
}
CACHES = {"Management API: search and sort", "Search of the console"}  # after a widening, written again in portions


def time_of(exit_: str, state: str) -> str:
    return "1 min" if state == "purpose widened" and exit_ in CACHES else STATES[state][1]


@pytest.fixture
def world(client, chika, settings, tmp_path):
    settings.HOME = tmp_path
    return World(chika, client)


def test_exit_shows_nothing_of_a_customer_who_was_never_asked(world):
    assert [name for name, shows in SHOWS.items() if shows(world)] == []


@pytest.mark.parametrize("state", STATES)
def test_exit_is_closed_within_its_time(world, state):
    """No waiting: what is due after a second is closed when the call returns, the rest after the worker's next look."""
    world.share()
    assert [name for name, shows in SHOWS.items() if not shows(world)] == []

    STATES[state][0](world)
    world.profile.refresh_from_db()
    at_once = [name for name in SHOWS if time_of(name, state) == STATES[state][1]]
    assert [name for name in at_once if SHOWS[name](world)] == []
    run_due()
    assert [name for name in SHOWS if SHOWS[name](world)] == []


def table() -> str:
    """Return the part of the operator's page: the registry, and what was tried."""
    rows = ["| exit | purpose | grain | how it learns |", "| --- | --- | --- | --- |"]
    rows += [f"| {each.name} | {each.purpose} | {each.grain} | {each.learns} |" for each in EXITS]
    rows += ["", "| closed after | " + " | ".join(STATES) + " |", "| --- |" + " --- |" * len(STATES)]
    rows += [f"| {name} | " + " | ".join(time_of(name, state) for state in STATES) + " |" for name in SHOWS]
    return "\n".join(rows) + "\n"


def test_table_of_the_page_is_the_registry():
    """Run with REGULARS_WRITE_TABLES=1 to write it."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    if os.environ.get("REGULARS_WRITE_TABLES"):
        PAGE.write_text(before + BEGIN + table() + END + after)
    assert PAGE.read_text() == before + BEGIN + table() + END + after
    assert set(SHOWS) <= {each.name for each in EXITS}
