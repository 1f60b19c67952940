"""Every exit is registered, and is closed in every state of consent within its time: the table of the operator's page."""

from __future__ import annotations

import ast
import datetime as dt
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from tests.management_api.conftest import ApiClient
from tests.ran_out import let_consents_run_out
from tests.usecases.entry_points import ENTRY_POINTS, NOTHING
from tests.usecases.walk_entry_points import entry_points

import regulars
from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.run_jobs import run_due
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision
from regulars.consent.status import ADVERTISING
from regulars.consent.view import of_whom_open, served_user, view, views
from regulars.destinations.deliver import deliver
from regulars.destinations.kind import KINDS
from regulars.destinations.message import MessageDropped, MessageSubject, compose
from regulars.destinations.models import Delivery, Destination
from regulars.destinations.queue import MembershipChange, ReplayFilter, queue_members, replay_batch
from regulars.destinations.save import save_destination
from regulars.enrichment.look_up import look_up
from regulars.enrichment.models import Lookup
from regulars.enrichment.save import save_source
from regulars.enrichment.source import LookupFailed
from regulars.events.models import Source
from regulars.events.record import record
from regulars.interfaces.worker.work import MINUTE, PAUSE, SCHEDULE
from regulars.oauth.claims import claims_of, userinfo_audience
from regulars.oauth.models import SessionClient
from regulars.profiles.assertions import Asserter, Place
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Profile
from regulars.questions.customer_context import CustomerContext
from regulars.questions.models import Impression
from regulars.questions.next_question import as_of_now
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.statistics import ask_loads
from regulars.rules.models import RuleRun
from regulars.rules.replay_runs import replay
from regulars.segments.count import count
from regulars.segments.export_members import lines
from regulars.segments.members import members
from regulars.segments.save import save_segment
from regulars.usecases.change_due_profiles import queue_due_profiles
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import change_purpose, decide, expire_consents
from regulars.usecases.deliver import segment_purposes
from regulars.usecases.exits import EXITS, INSIDE
from regulars.usecases.find_customers import find_customers
from regulars.usecases.lake import GATHER, fill_lake
from regulars.usecases.restrict import restrict
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


CLAIM = "https://shop.example/for"
WORKER_COMES = 10.0  # seconds within which the worker has taken what is queued, the lake too


class World:
    """A customer, and everything that shows what is known of them: a segment, destinations, a look-up, a question, a rule."""

    def __init__(self, profile, client) -> None:
        self.profile, self.client, self.api = profile, client, ApiClient(client)
        self.segment = save_segment("Women", "gender:female", "personalise", slug="women")
        self.file = save_destination("Files", "csv", {"file": "a.csv"}, purpose="personalise", segment_slugs=["women"])
        taken = {"url": "https://partner.example/of?gender={gender}", "take": "employer = name"}
        save_source("http", taken, purpose="personalise")
        draft = QuestionDraft("who", "Is it {value}?", "Because.", "confirm", "gender", "personalise", enabled=True)
        self.question = save_question(draft)
        Attribute.objects.filter(key="email").update(purposes=["serve", "personalise"])
        with changes(profile, "test") as c:  # by which mail services recognise customers
            c.learn([NewFact("email", "chika@example.com", "social", "google-oauth2")])
        self.app = Client.objects.create(client_id="shop", name="Shop", grant_types=["authorization_code"])

    def share(self) -> None:
        """Share their gender under *personalise*; rules, look-ups and a question use it, and a shop sends an event with it."""
        identity = self.profile.identities.get().pk
        with changes(self.profile, "test") as c:
            yes = c.decide(Decision("personalise", "given", "login"))
            under = {"basis": "consent", "consents": [yes.pk]}
            c.learn([NewFact("gender", "female", "social", "google-oauth2", identity=identity, **under)])
        self.use()

    def observe(self) -> None:
        """Be observed as female by a shop's server, in the legitimate interest in measuring."""
        interest = {"basis": "legitimate_interest", "purpose": "measure", "asserter": Asserter.SERVER_KEY}
        with changes(self.profile, "test") as c:
            c.learn([NewFact("gender", "female", "observed", "app:shop", **interest)])
        self.use()

    def collect(self) -> None:
        """Be observed by a shop that they allowed the whole of *personalise*."""
        decide(self.profile, Decision("personalise", "given", "profile"))
        self.observe()

    def use(self) -> None:
        """Leave behind what exits keep of the gender."""
        fact = self.profile.facts.get(attribute="gender")
        with changes(self.profile, "test") as c:
            concluded = {"basis": fact.basis, "purpose": fact.purpose, "consents": fact.consents}
            c.learn([NewFact("employer", "Wool", "enriched", "source:http", derived_from=[fact.pk], **concluded)])
        SessionClient.objects.create(sid="s", client=self.app, profile=self.profile, claims={CLAIM: "female"})
        user = {"user_id": self.profile.user_id, "gender": "female"}
        inputs = {"user": user, "context": {"clientID": "shop"}, "answers": []}
        RuleRun.objects.create(moment="login", profile=self.profile, milliseconds=1, inputs=inputs)
        Lookup.objects.create(
            source_key="http", profile=self.profile, question="q", answer={"employer": "Wool"}, fresh_until=clock.now()
        )
        Impression.objects.create(
            profile=self.profile,
            question=self.question,
            day=clock.today(),
            shown_at=clock.now(),
            version=self.question.version,
            to_confirm="female",
        )
        shop = Source.objects.create(name="Shop", slug="shop")
        record(self.profile.pk, "Identified", {"gender": "female"}, type="identify", source=shop)
        fill_lake({})


# What each exit shows of a customer whose gender is `female`. None of them lets the worker work.


def shown_by_api(world: World) -> bool:
    user = world.api.get(f"/v2/users/{world.profile.user_id}")
    return user.get("gender") == "female"


def shown_by_userinfo(world: World) -> dict[str, object]:
    claims = {"aud": userinfo_audience(), "sub": world.profile.user_id, "scope": "openid profile", "sid": "s"}
    token = sign({**claims, "client_id": "shop", "azp": "shop", "exp": int(time.time()) + 60}, "at+jwt")
    answer = world.client.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def shown_by_replay_of_rules(world: World) -> bool:
    run = RuleRun.objects.get()
    try:
        replay(run.pk)
    except DomainError:
        return False
    return "female" in str(run.inputs)


def shown_by_facts(world: World) -> bool:
    facts = world.api.get(f"/regulars/v1/profiles/{world.profile.user_id}/facts")["facts"]
    usable = [each for each in facts if each["attribute"] == "gender" and each["usable_for"]]
    assert all(each["usable_for"] or each["why_not_usable"] for each in facts)
    newest = usable[:1]
    return [each["value"] for each in newest] == ["female"]


def shown_by_timeline(world: World) -> bool:
    events = world.api.get(f"/regulars/v1/profiles/{world.profile.user_id}/timeline")["events"]
    return any(each["properties"].get("gender") == "female" for each in events)


def shown_by_file(world: World) -> bool:
    return any("female" in line for line in list(lines(world.segment, ["user_id", "gender"]))[1:])


def sent_to_file(world: World) -> bool:
    """Send every delivery that waits, and tell whether the file has the value."""
    path = Path(django_settings.HOME) / "exports" / "a.csv"
    path.unlink(missing_ok=True)
    for delivery in Delivery.objects.filter(state=Delivery.State.PENDING).select_related("destination", "profile"):
        deliver(delivery, segment_purposes())
    return path.exists() and "female" in path.read_text()


def sent_from_queue(world: World) -> bool:
    """What waits since the customer came into the segment, in its second attempt."""
    Delivery.objects.filter(entered=True).update(state=Delivery.State.PENDING, attempts=1)
    return sent_to_file(world)


def sent_by_replay(world: World) -> bool:
    Delivery.objects.filter(entered=True).update(state=Delivery.State.SENT)
    replay_batch(world.file, ReplayFilter())
    return sent_to_file(world)


def sent_by_backfill(world: World) -> bool:
    Delivery.objects.update(state=Delivery.State.SENT)
    now = clock.now()
    queue_members(
        world.file,
        [(row.profile, MembershipChange("women", "Women", entered=True, at=now)) for row in members(world.segment)],
    )
    return sent_to_file(world)


def composed_for(kind: str) -> Callable[[World], bool]:
    """Compose the message as it would leave now, for a destination of this kind that maps the value."""

    def shown(world: World) -> bool:
        lines = [{"attribute": "gender", "field": "gender", "transform": ""}]
        saved = Destination(name=kind, slug=kind, kind=kind, purpose=world.file.purpose, mapping=lines)
        subject = MessageSubject("msg_1", clock.now(), "women", "Women", entered=True)
        try:
            traits = compose(saved, KINDS[kind], world.profile, subject, segment_purposes()).message.traits
        except MessageDropped:
            return False
        return traits.get("gender") == "female"

    return shown


def asked_about(world: World) -> bool:
    asked: list[str] = []

    def note(profile, setting, source, attributes) -> None:
        values = view(profile, setting.purpose_id, place=Place.RULES)
        asked.append(str(source.question({key: values[key].value for key in attributes})))
        raise LookupFailed("enough", permanent=True)

    with suppress(DomainError):
        look_up(world.profile, "http", note)
    return any("female" in each for each in asked)


def kept_answer(world: World) -> bool:
    return Lookup.objects.exists() and bool(of_whom_open([world.profile], "personalise"))


def offered_to_confirm(world: World) -> bool:
    found = Impression.objects.select_related("question__purpose", "profile").filter(profile=world.profile).first()
    again = as_of_now(found) if found else None
    Impression.objects.filter(profile=world.profile).update(to_confirm="female")  # as it was, for the next look
    return again is not None and again.to_confirm == "female"


def usable_by_questions(world: World) -> bool:
    return any(each.value == "female" for each in CustomerContext.load(world.profile).to_confirm.values())


# Exit → part of it (empty: all) → what it shows.
SHOWS: dict[str, dict[str, Callable[[World], bool]]] = {
    "ID token": {
        "": lambda world: claims_of(served_user(world.profile, Place.TOKEN), ["profile"]).get("gender") == "female"
    },
    "/userinfo": {"": lambda world: shown_by_userinfo(world).get("gender") == "female"},
    "Claims remembered from rules": {"": lambda world: CLAIM in shown_by_userinfo(world)},
    "User in rules and their trials": {
        "": lambda world: served_user(world.profile, Place.RULES).get("gender") == "female"
    },
    "Records of what rules did": {"": shown_by_replay_of_rules},
    "Management API: read": {"": shown_by_api},
    "Management API: search and sort": {"": lambda world: bool(world.api.get("/v2/users", q="gender:female"))},
    "API of facts": {"": shown_by_facts},
    "Timeline of the API": {"": shown_by_timeline},
    "Segment members": {"": lambda world: bool(members(world.segment))},
    "Segment export": {"": shown_by_file},
    "Segment counts and charts": {"": lambda world: count("gender:female", "personalise").inside > 0},
    "Sample of a count": {"": lambda world: bool(count("gender:female", "personalise").sample)},
    "Destinations, retries and replay": {
        "queue and retries": sent_from_queue,
        "replay": sent_by_replay,
        "backfill": sent_by_backfill,
        **{kind: composed_for(kind) for kind in sorted(KINDS)},
    },
    "Look-ups and their answers in the console": {"asked about": asked_about, "kept answers": kept_answer},
    "Choice of questions, and the value that a question asks to confirm": {
        "choice": usable_by_questions,
        "value to confirm": offered_to_confirm,
    },
    "Statistics of questions": {"": lambda world: any(each.group == "female" for each in ask_loads(fewest=1))},
    "Search of the console": {"": lambda world: bool(find_customers("gender:female").people)},
    "Customer's page of the console": {
        "": lambda world: any(each.get("gender") == "female" for each in views(world.profile).values())
    },
    "Mails and names on sign-in pages": {"": lambda world: world.profile.document.get("gender") == "female"},
}
NOT_TRIED = {
    "Recent activity in the console": "names of events, no values",
    "The customer's own page and export": "the customer reads all that is stored, and why it is not used",
    "Backups": "stored only",
}
ROWS = {
    f"{exit_}: {part}" if part else exit_: (exit_, shows)
    for exit_, parts in SHOWS.items()
    for part, shows in parts.items()
}


def share(world: World) -> None:
    world.share()


def collect(world: World) -> None:
    world.collect()


def observe(world: World) -> None:
    """They were not asked for *personalise*."""
    world.observe()


def nothing(world: World) -> None:
    """What came about before is the state."""


def withdraw(world: World) -> None:
    decide(world.profile, Decision("personalise", "withdrawn", "profile"))


def refuse(world: World) -> None:
    decide(world.profile, Decision("personalise", "refused", "login"))


def run_out(world: World) -> None:
    let_consents_run_out()


def let_fact_run_out(world: World) -> None:
    over = clock.now() - dt.timedelta(milliseconds=1)
    world.profile.facts.update(expires_at=over)
    Profile.objects.update(changes_at=over)


def object_to_measuring(world: World) -> None:
    decide(world.profile, Decision("measure", "objected", "profile"))


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


def reword(world: World) -> None:
    change_purpose("personalise", PurposeText("Fits you", "To show you what fits you."), widened=False)


def widen(world: World) -> None:
    change_purpose("personalise", PurposeText("Fits you", "To show you things, and to sell them."), widened=True)


def turn_out_young(world: World) -> None:
    with changes(world.profile, "test") as c:
        c.learn([NewFact("birthdate", f"{clock.now().year - 9}-01-01", "verified", "google-oauth2")])


def restrict_processing(world: World) -> None:
    restrict(world.profile, "profile")


# State → (what was before, how it comes about).
STATES: dict[str, tuple[Callable[[World], None], Callable[[World], None]]] = {
    "never asked": (observe, nothing),
    "refused": (share, refuse),
    "given": (share, nothing),
    "withdrawn": (share, withdraw),
    "run out": (share, run_out),
    "objected": (collect, object_to_measuring),
    "objected to advertising": (share, object_to_advertising),
    "piece no longer shared": (share, share_no_more),
    "fact run out": (share, let_fact_run_out),
    "fact deleted": (share, delete),
    "fact corrected": (share, change),
    "purpose reworded": (share, reword),
    "purpose widened": (share, widen),
    "barred by age": (share, turn_out_young),
    "restricted": (share, restrict_processing),
}

NOW, SOON, MINUTE_LATER, PORTIONS = "1 s", "10 s", "1 min", "in portions"
OPEN, ACCOUNT = (
    "open",
    "open: account",
)  # not closed: it may be used; it is used for the account, which asks for nothing
OVER_TIME = {"run out", "fact run out"}
# What reads the permitted view as it was written last: it follows when the worker writes it, or its job has run.
CACHES = {
    "ID token",
    "/userinfo",
    "Claims remembered from rules",
    "User in rules and their trials",
    "Records of what rules did",
    "Management API: search and sort",
    "Segment counts and charts",
    "Statistics of questions",
    "Search of the console",
    "Mails and names on sign-in pages",
}
BEHIND = {"Records of what rules did", "Segment counts and charts"}  # follow by a job, whatever changed
# Written in portions after a purpose was widened; what else reads views asks whether they are outdated.
IN_PORTIONS = {"Records of what rules did", "Segment counts and charts", "Mails and names on sign-in pages"}
KEPT_ANSWERS = "Look-ups and their answers in the console: kept answers"
# Of the account, or of groups: no one is asked for these purposes.
NEED_NO_YES = (CACHES - {"Segment counts and charts"}) | {
    "Management API: read",
    "API of facts",
    "Timeline of the API",
    "Customer's page of the console",
}


def closed_after(row: str, state: str) -> str:
    """Return after how long a row of the table is closed in a state, as the page says and the test finds."""
    exit_ = ROWS[row][0]
    if state in ("given", "purpose reworded"):
        return OPEN
    if state == "never asked":
        return ACCOUNT if exit_ in NEED_NO_YES else NOW
    if state == "restricted":
        if exit_ == "Mails and names on sign-in pages":
            return ACCOUNT  # the customer's own pages and mails go on
        return SOON if exit_ == "Segment counts and charts" else NOW
    if state in OVER_TIME and exit_ in CACHES:
        return MINUTE_LATER
    if state == "fact run out" and (exit_ in ("Segment members", "Sample of a count") or row == KEPT_ANSWERS):
        return MINUTE_LATER
    if state == "purpose widened" and exit_ in IN_PORTIONS:
        return PORTIONS
    if row == KEPT_ANSWERS:  # of a fact; the purpose of the look-up stays open
        of_fact = state in ("objected", "piece no longer shared", "fact deleted", "fact corrected")
        return SOON if of_fact else NOW
    return SOON if exit_ in BEHIND else NOW


def worker_comes(world: World) -> None:
    run_due()
    fill_lake({})


def minute_passes(world: World) -> None:
    expire_consents()
    queue_due_profiles()
    worker_comes(world)


@pytest.fixture
def world(client, chika, settings, tmp_path, lake):
    settings.HOME = tmp_path
    return World(chika, client)


def test_worker_comes_in_time():
    """Within a minute of its instant what ran out is closed: the tasks look often enough for the queue behind them."""
    for name, task in (("consents.expire", expire_consents), ("profiles.change", queue_due_profiles)):
        every, run = SCHEDULE[name]
        assert run is task
        assert every + WORKER_COMES <= MINUTE
    assert PAUSE + GATHER < WORKER_COMES / 2


@pytest.mark.parametrize("state", STATES)
def test_exit_is_closed_within_its_time(world, state):
    """No waiting: each exit is looked at when the change returns, after the worker's queue, and after its tasks.

    The change itself takes less than a second of this process, whatever else the machine does.
    """
    before, act = STATES[state]
    before(world)
    if state != "never asked":
        assert [row for row, (_, shows) in ROWS.items() if not shows(world)] == []
    begun = time.process_time()
    act(world)
    assert time.process_time() - begun < 1

    found: dict[str, str] = {}
    for after, step in ((NOW, nothing), (SOON, worker_comes), (MINUTE_LATER, minute_passes)):
        step(world)
        world.profile.refresh_from_db()
        found |= {row: after for row, (_, shows) in ROWS.items() if row not in found and not shows(world)}

    expected = {row: SOON if (after := closed_after(row, state)) == PORTIONS else after for row in ROWS}
    assert found == {row: after for row, after in expected.items() if after not in (OPEN, ACCOUNT)}


def table() -> str:
    """Return the part of the operator's page: the registry, and what was tried."""
    rows = ["| exit | purpose | grain | how it learns |", "| --- | --- | --- | --- |"]
    rows += [f"| {each.name} | {each.purpose} | {each.grain} | {each.learns} |" for each in EXITS]
    rows += ["", "| closed within | " + " | ".join(STATES) + " |", "| --- |" + " --- |" * len(STATES)]
    rows += [f"| {row} | " + " | ".join(closed_after(row, state) for state in STATES) + " |" for row in ROWS]
    return "\n".join(rows) + "\n"


def test_table_of_the_page_is_the_registry():
    """Run with REGULARS_WRITE_TABLES=1 to write it."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    if os.environ.get("REGULARS_WRITE_TABLES"):
        PAGE.write_text(before + BEGIN + table() + END + after)
    assert PAGE.read_text() == before + BEGIN + table() + END + after


def test_every_exit_is_tried_or_says_why_not():
    assert set(SHOWS).isdisjoint(NOT_TRIED)
    assert set(SHOWS) | set(NOT_TRIED) == {each.name for each in EXITS}
