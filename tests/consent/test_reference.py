"""Random histories of decisions, facts, merges, splits, expiries, restrictions, suppressions and restores.

After every step each form of the gate, and what stands behind the exits, equals the reference model.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from types import SimpleNamespace
from unittest import mock

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from tests.consent.reference import BASIS, NEVER, Entry, gate, restored, restricted_since

from regulars.accounts.models import new_key
from regulars.base import clock
from regulars.consent.journal import lines_of
from regulars.consent.journal_file import JournalLine
from regulars.consent.ledger import fold_ledgers
from regulars.consent.models import ConsentState, JournalEntry, Purpose
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.suppressions import suppress
from regulars.consent.view import readable_users, served_user, view
from regulars.profiles.assertions import Place
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Profile
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.decide_consent import change_purpose, expire_consents
from regulars.usecases.find_customers import found_by_applications
from regulars.usecases.merge import merge, split
from regulars.usecases.replay_journal import replay_journal
from regulars.usecases.restrict import lift, open_restriction, restrict
from regulars.usecases.unit_of_work import changes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]

START = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
LASTS = 10  # days, of a consent to personalise
FACTS = ("nickname", "city", "given_name")
SEGMENTS = {"personalise": "nickname", "message": "city", "measure": "given_name"}
CONCLUDED = {"continent", "email", "email.domain"}  # not of the histories
STEPS = {"backup": "make_backup"}
who = st.integers(0, 1)
consent_purposes = st.sampled_from(["personalise", "message"])
decisions = st.tuples(
    st.just("decide"),
    who,
    consent_purposes,
    st.sampled_from(["given", "given", "given", "refused", "withdrawn", "imported", "unproved"]),
    st.sampled_from([(), ("nickname",), ("city",)]),
)
objections = st.tuples(
    st.just("decide"), who, st.just("measure"), st.sampled_from(["objected", "objection_lifted"]), st.just(())
)
facts = st.tuples(
    st.just("learn"),
    who,
    st.sampled_from(["nickname", "city", "given_name"]),
    st.sampled_from(list(BASIS)),
    st.booleans(),
)
restrictions = st.tuples(st.sampled_from(["restrict", "lift"]), who)
suppressions = st.tuples(st.just("suppress"), who, consent_purposes)
others = st.sampled_from([("merge",), ("split",), ("widen", "message"), ("expire",)])
steps = st.tuples(
    st.integers(1, 6),
    st.one_of(decisions, decisions, objections, facts, facts, restrictions, suppressions, others, others),
)
histories = st.one_of(
    st.lists(steps, max_size=12),
    st.builds(
        lambda before, since, later: [*before, (1, ("backup",)), *since, (2, ("restore",)), *later, *RESTORED_AGAIN],
        *(st.lists(steps, max_size=most) for most in (5, 6, 3)),
    ),
)
RESTORED_AGAIN = [(1, ("restore",))]


@dataclass(frozen=True)
class Backup:
    """A state of the database to go back to, how much the journal of the reference model had, and what was known of events."""

    savepoint: str
    entries: int
    events: dict[int, Entry]


class World:
    """Two customers of the product, and the journal of the reference model."""

    def __init__(self) -> None:
        Purpose.objects.filter(key="personalise").update(expires_days=LASTS)
        self.people = [self._customer("google-oauth2"), self._customer("facebook")]
        # Of this history alone: what one suppressed would hold for the next.
        self.contacts = [f"{uuid.uuid4().hex}@example.com" for _ in self.people]
        for number, profile in enumerate(self.people):
            with changes(profile, "test") as c:
                c.learn([NewFact("email", self.contacts[number], "declared", "app:shop")])
        for purpose, attribute in SEGMENTS.items():
            save_segment(purpose, f"{attribute}:value*", purpose)
        self.backup: Backup | None = None
        self.lines: dict[str, JournalLine] = {}  # the file: a restore takes nothing out of it
        self.journal: list[Entry] = []
        self.events: dict[int, Entry] = {}
        self.now = START
        self.number = 0

    def _customer(self, provider: str):
        return get_or_create_by_identity(provider, new_key(), connection=provider, is_social=True)[0]

    @property
    def kinds(self) -> list[str]:
        return [each.kind for each in self.journal]

    def act(self, who: int) -> int:
        return 0 if "merge" in self.kinds and "split" not in self.kinds else who

    def decide(self, who, purpose, action, pieces):
        who, proved = self.act(who), action != "unproved"
        action = action if proved else "imported"
        evidence = {"form": "1"} if action == "imported" and proved else {}
        pieces = () if action == "imported" else pieces
        version = Purpose.objects.get(key=purpose).version
        lasts = purpose == "personalise" and action in ("given", "imported")
        until = self.now + dt.timedelta(days=LASTS) if lasts else NEVER
        method = "import" if action == "imported" else "profile"
        entry = Entry("decide", self.now, who, purpose, action, pieces, version, until, proved)
        decision = Decision(purpose, action, method, evidence=evidence, pieces=pieces)
        with changes(self.people[who], "test") as c:
            event = c.decide(decision)
        self.journal.append(entry)
        self.events[event.pk] = entry

    def learn(self, who, attribute, purpose, under_any):
        who, basis = self.act(who), str(BASIS[purpose])
        given = [pk for pk, each in self.events.items() if each.who == who and each.purpose == purpose and under_any]
        yes = [pk for pk in given if self.events[pk].action == "given"][-1:]
        # A use case takes the id from the decision that it has just recorded, which names the first of equal ones.
        with changes(self.people[who], "test") as c:
            firsts = ConsentState.objects.filter(profile=self.people[who]).values_list("standing", flat=True)
            first = {each["last"]: each["first"] for listed in firsts for each in listed}
            consents = [first.get(pk, pk) for pk in yes]
            self.number += 1
            c.learn(
                [
                    NewFact(
                        attribute,
                        f"value {self.number}",
                        "declared",
                        f"app:{self.number}",
                        basis=basis,
                        purpose=purpose,
                        consents=consents,
                    )
                ]
            )
        under = tuple(self.events[pk] for pk in yes)
        self.journal.append(
            Entry("learn", self.now, who, purpose=purpose, attribute=attribute, basis=basis, under=under)
        )

    def merge(self):
        if "merge" not in self.kinds:
            merge(self.people[1], self.people[0], "customer")
            self.journal.append(Entry("merge", self.now))

    def split(self):
        if "merge" in self.kinds and "split" not in self.kinds:
            split(self.people[0].identities.get(provider="facebook"), "customer")
            self.journal.append(Entry("split", self.now))

    def widen(self, purpose):
        version = change_purpose(purpose, PurposeText("More", f"More than before {self.number}."), widened=True).version
        with changes(self.people, "test") as c:
            for each in c.profiles:
                c.refresh(each)
        self.journal.append(Entry("widen", self.now, purpose=purpose, version=version))

    def expire(self):
        expire_consents()

    def restrict(self, who):
        who = self.act(who)
        restrict(self.people[who], "profile")
        self.journal.append(Entry("restrict", self.now, who))

    def lift(self, who):
        who = self.act(who)
        if open_restriction(self.people[who]):
            lift(self.people[who])
            self.journal.append(Entry("lift", self.now, who))

    def suppress(self, who, purpose):
        suppress({self.contacts[who]}, [purpose], advertising=False)
        self.journal.append(Entry("suppress", self.now, who, purpose))

    def make_backup(self):
        self.backup = Backup(transaction.savepoint(), len(self.journal), dict(self.events))

    def restore(self):
        """Go back as a restore does: the database is that of the backup, and the file of the journal has everything."""
        assert self.backup is not None
        self.lines |= {str(line.id): line for line in lines_of(JournalEntry.objects.all())}
        transaction.savepoint_rollback(self.backup.savepoint)
        self.people = [Profile.objects.get(pk=each.pk) for each in self.people]
        self.events = dict(self.backup.events)
        replay_journal(self.lines.values())
        self.journal = restored(self.journal, self.backup.entries)

    def live(self) -> list[int]:
        return [0] if self.act(1) == 0 else [0, 1]


def terms_of(row) -> set[str]:
    return {key for key in row.terms if key != "consent"}


@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a shrunk history costs minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(histories, st.integers(0, 12))
@example(
    [
        (1, ("decide", 0, "personalise", "given", ())),
        (1, ("learn", 0, "nickname", "personalise", True)),
        (1, ("decide", 1, "message", "given", ())),
        (1, ("learn", 1, "city", "message", True)),
        (1, ("backup",)),
        (1, ("decide", 0, "personalise", "withdrawn", ())),
        (1, ("merge",)),
        (1, ("decide", 0, "message", "refused", ())),
        (1, ("restore",)),
    ],
    1,
)
def test_the_gate_equals_the_reference_model_after_every_step(history, then):
    world = World()
    attributes = dict(Attribute.objects.values_list("key", "purposes"))
    with mock.patch.object(clock, "dt", time_of(world)):
        for days, (kind, *arguments) in history:
            world.now += dt.timedelta(days=days)
            getattr(world, STEPS.get(kind, kind))(*arguments)
            expire_consents()
            agree(world, attributes)
            if kind in ("restore", "split"):
                exits_agree(world, attributes)
        world.now += dt.timedelta(days=then)
        expire_consents()
        agree(world, attributes)
        exits_agree(world, attributes)


def time_of(world):
    """Return a replacement of `datetime` in `base.clock`. Defaults of models hold `clock.now` itself, which no patch replaces."""

    class Frozen(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return world.now

    return SimpleNamespace(datetime=Frozen, timedelta=dt.timedelta, UTC=dt.UTC)


def agree(world, attributes):
    for who in world.live():
        profile = world.people[who]
        profile.refresh_from_db()
        for purpose in BASIS:
            wanted = gate(world.journal, who, purpose, world.now, attributes)
            live = set(view(profile, purpose)) - CONCLUDED
            assert live == wanted, (who, purpose)
            row = profile.permitted_views.filter(purpose=purpose).first()
            if row is not None:
                assert set(row.traits) - CONCLUDED == wanted, (who, purpose)
                assert terms_of(row) - CONCLUDED == wanted, (who, purpose)
        assert (profile.restricted_at is None) == (restricted_since(world.journal, who) is None)
        stored = {state.purpose_id: state.folded for state in profile.consent_states.all()}
        again = {key: folded for (_, key), folded in fold_ledgers((profile.pk, key) for key in stored).items()}
        assert {key: ids(each) for key, each in stored.items()} == {key: ids(each) for key, each in again.items()}
        assert first_broken_link(profile) is None


def exits_agree(world, attributes):
    """What stands behind tokens, `/userinfo`, rules, the Management API with its search, and segments."""
    for who in world.live():
        profile = Profile.objects.get(pk=world.people[who].pk)
        for purpose in BASIS:
            wanted = gate(world.journal, who, purpose, world.now, attributes)
            assert shown(readable_users([profile], purpose)[0]) == wanted, (who, purpose)
            attribute = SEGMENTS.get(purpose, "given_name")
            found = Profile.objects.filter(id__in=found_by_applications(f"{attribute}:value*", purpose))
            assert found.filter(pk=profile.pk).exists() == (attribute in wanted), (who, purpose)
            if purpose in SEGMENTS:
                is_in = Membership.objects.filter(profile=profile, segment__slug=purpose, state=Membership.State.IN)
                assert is_in.exists() == (attribute in wanted), (who, purpose)
        for place in (Place.TOKEN, Place.USERINFO, Place.RULES):
            assert shown(served_user(profile, place)) == gate(world.journal, who, "serve", world.now, attributes)


def shown(user) -> set[str]:
    return {each for each in FACTS if each in user}


def ids(folded):
    return folded.event, folded.status, [each.first for each in folded.standing if not each.has_run_out(clock.now())]
