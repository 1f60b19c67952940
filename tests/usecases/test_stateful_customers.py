"""Link × unlink × erase × decide × learn × block in any order, by processes that read the customer before the others wrote.

Every step works with a row as some process read it earlier: linked, unlinked, blocked or erased meanwhile. Beside the real
use cases stands a model of who is which customer by now, what each said last, and which values stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.usecases.test_erase import rows_that_name

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.errors import DomainError, NotFound
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.consent.models import PermittedView
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.status import ConsentStatus
from regulars.consent.view import live_facts, may, permitted_by_purpose
from regulars.profiles.assertions import Asserter
from regulars.profiles.document import rebuild_all
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Identity, Profile
from regulars.profiles.sign_in import account_block
from regulars.segments.evaluate import evaluate_all
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases import same_person  # noqa: F401 - its handler registers itself
from regulars.usecases.decide_consent import decide
from regulars.usecases.erase import erase_customer
from regulars.usecases.refuse_consent import Refusal, refuse, refuse_for_contact
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import (
    NewDatabaseUser,
    UserPatch,
    create_user,
    delete_user,
    find_user,
    link,
    unlink,
    update_user,
)
from regulars.usecases.write_values import by_app

pytestmark = pytest.mark.django_db

CONNECTION = "Username-Password-Authentication"
PASSWORD = "correct horse battery 7"
API = "api:shop"
CONSENT, INTEREST = ("message", "personalise"), "measure"
PURPOSES = (*CONSENT, INTEREST)
ADVERTISING = CONSENT  # what an objection to any advertising closes
YES, NO = "yes", "no"


@dataclass
class Person:
    """What the model knows of one account that was made, whichever customer it is part of by now."""

    user_id: str
    email: str
    group: frozenset[int]
    said: dict[str, str] = field(default_factory=dict)  # purpose → the last word of the customer that this one was then
    blocked: bool = False
    erased: bool = False
    was_split: bool = False


@dataclass
class Word:
    """A value that an application wrote, or that the customer gave under a consent."""

    holders: frozenset[int]  # everyone of whom it may be known
    key: str
    value: str
    under: str = ""  # a purpose
    closed: bool = False  # one of them said no since


@dataclass(frozen=True)
class AsRead:
    """A row as a process read it at some time."""

    number: int
    profile: Profile
    identity: Identity


class Customers(RuleBasedStateMachine):
    """Three accounts, contacts of a list with the same addresses, and everything that is done to them."""

    rows = Bundle("rows")

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[int, Person] = {}
        self.contacts: dict[int, tuple[Profile, set[str]]] = {}  # of whom; purposes that are closed for good
        self.words: list[Word] = []
        self.step = 0
        self.block = transaction.atomic()
        self.block.__enter__()

    def teardown(self) -> None:
        try:
            self.works()
            self.no_one_who_was_erased_is_in_any_table()
        finally:
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    # What is done.

    @initialize(target=rows)
    def three_customers_are_there(self):
        Connection.objects.get_or_create(name=CONNECTION, defaults={"strategy": "auth0", "display_name": "Passwords"})
        save_segment("Reachable", 'consent:"message"', "message")
        return multiple(*[self._sign_up() for _ in range(3)])

    @rule(target=rows)
    @precondition(lambda self: len(self.people) < 6)
    def signs_up(self):
        return self._sign_up()

    @rule(target=rows, number=st.integers(0, 5))
    def is_read(self, number):
        """Another process reads the row as it is now."""
        return self._as_read(number % len(self.people))

    @rule(row=rows, purpose=st.sampled_from(PURPOSES), road=st.sampled_from(["page", "staff", "contact"]))
    def refuses(self, row, purpose, road):
        person = self.people[row.number]
        if road == "contact":
            refuse_for_contact(person.email, Refusal("staff", "staff:bo", (purpose,)))
            if person.erased:
                return
        else:
            roads: dict[str, Callable[[], object]] = {
                "page": partial(
                    decide,
                    row.profile,
                    Decision(purpose, "objected" if purpose == INTEREST else "withdrawn", "profile"),
                ),
                "staff": partial(refuse, row.profile, Refusal("staff", "staff:bo", (purpose,))),
            }
            with self._refused_if(erased=row):
                roads[road]()
        self._says(row.number, purpose, NO)

    @rule(row=rows)
    def objects_to_all_advertising(self, row):
        with self._refused_if(erased=row):
            refuse(row.profile, Refusal("profile", "customer"))
        for purpose in ADVERTISING:
            self._says(row.number, purpose, NO)

    @rule(row=rows, purpose=st.sampled_from(PURPOSES))
    def allows(self, row, purpose):
        with self._refused_if(erased=row):
            decide(row.profile, Decision(purpose, "objection_lifted" if purpose == INTEREST else "given", "profile"))
        self._says(row.number, purpose, YES)

    @rule(row=rows, purpose=st.sampled_from(CONSENT))
    def answers_under_a_consent(self, row, purpose):
        value = self._value(row.number)
        with self._refused_if(erased=row), changes(row.profile, "question") as c:
            yes = c.decide(Decision(purpose, "given", "question", explicit=True))
            fact = NewFact("nickname", value, "declared", f"question:{self.step}", "consent", purpose, [yes.pk])
            c.learn([fact])
        self._says(row.number, purpose, YES)
        self._knows(row.number, Word(self._group(row.number), "nickname", value, under=purpose))

    @rule(row=rows)
    def gets_metadata(self, row):
        key, value = f"key_{row.number}", self._value(row.number)
        with self._refused_if(erased=row):
            update_user(row.profile, UserPatch(metadata={"user_metadata": {key: value}}), by_app("shop"))
        self._knows(row.number, Word(self._group(row.number), key, value))

    @rule(row=rows, blocked=st.sampled_from([True, True, False]))
    def is_blocked_or_not(self, row, blocked):
        with self._refused_if(erased=row):
            update_user(row.profile, UserPatch(blocked=blocked), by_app("shop"))
        for each in self._members(row.number):
            each.blocked = blocked

    @rule(first=rows, second=rows)
    def are_linked(self, first, second):
        one, other = self._group(first.number), self._group(second.number)
        blocked = any(self.people[each].blocked for each in one | other)
        same = "identity_already_linked" if one == other else ""
        with self._refused_if(erased=(first, second), code=same or ("account_blocked" if blocked else "")):
            link(first.profile, second.profile, API)
            for each in one | other:
                self.people[each].group = one | other
            for word in self.words:
                if word.holders & (one | other):
                    word.holders |= one | other
                    word.closed |= self._is_closed(first.number, word.under)

    @rule(row=rows, pick=st.integers(0, 5))
    def is_unlinked_from_one_of_theirs(self, row, pick):
        group = sorted(self._group(row.number))
        if group:
            self._unlink(row, self._as_read(group[pick % len(group)]))

    @rule(first=rows, second=rows)
    def is_unlinked(self, first, second):
        self._unlink(first, second)

    def _unlink(self, first: AsRead, second: AsRead) -> None:
        if first.number not in self._group(second.number) or self.people[second.number].erased:
            with pytest.raises(DomainError) as refused:
                unlink(first.profile, second.identity, API)
            assert refused.value.code in {"unknown_identity", "customer_erased", "last_login_method", "main_identity"}
            return
        group = self._group(first.number)
        try:
            owner = unlink(first.profile, second.identity, API)
        except DomainError as refused:
            if refused.code in {"last_login_method", "main_identity", "unknown_identity"}:
                return
            raise
        away = {each for each in group if find_user(self.people[each].user_id).pk == owner.pk}
        assert find_user(self.people[first.number].user_id).pk != owner.pk or first.number in away
        assert second.number in away
        assert away < group
        for each in group:
            self.people[each].group = frozenset(away if each in away else group - away)
            self.people[each].was_split = True

    @rule(row=rows, road=st.sampled_from(["page", "api"]))
    def is_erased(self, row, road):
        person, gone = self.people[row.number], self._members(row.number)
        if road == "api":
            assert delete_user(person.user_id) is not person.erased
        else:
            with self._refused_if(erased=row):
                erase_customer(row.profile, "customer")
        for each in gone:
            with pytest.raises(NotFound, match="does not exist"):
                find_user(each.user_id)
            assert not Account.objects.filter(email=each.email).exists()
            each.erased = True
            each.group = frozenset()
        for number in [number for number, (contact, _) in self.contacts.items() if self.people[number].erased]:
            contact, _ = self.contacts.pop(number)
            assert not Profile.objects.filter(pk=contact.pk).exists()
        self.no_one_who_was_erased_is_in_any_table()

    @rule(number=st.integers(0, 5))
    def is_on_a_list(self, number):
        number %= len(self.people)
        person = self.people[number]
        if number in self.contacts or person.erased:
            return
        profile, _ = get_or_create_by_identity("external", f"list-{person.email}", asserted_by=Asserter.IMPORT)
        with changes(profile, "import") as c:
            c.learn([NewFact("email", person.email, "imported", "import:fair", asserter=Asserter.IMPORT)])
            c.decide(Decision("message", "imported", "import", evidence={"list": "fair"}))
        self.contacts[number] = profile, set()

    @rule()
    def works(self):
        """The worker does all that waits."""
        done = 1
        while done:
            Job.objects.filter(state=Job.State.WAITING).exclude(kind__startswith="lake.").update(due_at=clock.now())
            Job.objects.filter(kind__startswith="lake.").delete()
            done = run_due(limit=200)
        failed = Job.objects.filter(state__in=[Job.State.FAILED, Job.State.WAITING])
        assert not list(failed.values_list("kind", "last_error"))
        for number, (contact, closed) in self.contacts.items():
            closed |= {purpose for purpose in CONSENT if self._is_closed(number, purpose)}
            contact.refresh_from_db()
            assert not [purpose for purpose in closed if may(contact, purpose)], number

    # What holds after every step.

    @invariant()
    def every_account_is_the_customer_that_it_is_by_now(self):
        rows = {each.user_id: each for each in Profile.objects.select_related("merged_into", "account")}
        for number, person in self.people.items():
            profile = rows.get(person.user_id)
            if person.erased:
                assert profile is None
                continue
            now = profile.merged_into or profile
            assert (now.merged_into_id, now.blocked) == (None, person.blocked), number
            assert bool(account_block(profile.account)) is person.blocked
            same = {each for each, other in self.people.items() if self._is_row(rows.get(other.user_id), now)}
            assert same == person.group, number

    @invariant()
    def what_they_said_last_holds(self):
        for profile, group in self._customers():
            reachable = Membership.objects.filter(profile=profile, state=Membership.State.IN).exists()
            assert reachable is may(profile, "message")
            for purpose in PURPOSES:
                said = [self.people[each].said.get(purpose) for each in group]
                if NO in said:
                    assert not may(profile, purpose), (group, purpose, said)
                elif YES in said and not any(self.people[each].was_split for each in group):
                    assert may(profile, purpose), (group, purpose, said)
            assert first_broken_link(profile) is None

    @invariant()
    def what_is_known_is_what_stands(self):
        for profile, group in self._customers():
            known = repr(profile.document) + repr(list(profile.permitted_views.values_list("traits", flat=True)))
            for word in self.words:
                if word.closed or not word.holders & group:
                    assert word.value not in known, (group, word)
                elif not word.under and word.holders <= group and not any(self.people[n].was_split for n in group):
                    assert profile.document["user_metadata"][word.key] == word.value, (group, word)

    @invariant()
    def documents_views_and_segments_equal_a_fresh_fold(self):
        customers = [profile for profile, _ in self._customers()]
        if not customers:
            return
        with transaction.atomic():
            assert evaluate_all(customers) == []
            cached = {
                (row.profile_id, row.purpose_id): (row.traits, row.by_place, row.terms, row.shown_terms)
                for row in PermittedView.objects.filter(profile__in=customers)
            }
            before = {each.pk: of_document(each) for each in customers}
            rebuild_all(customers)
            assert {each.pk: of_document(each) for each in customers} == before
            statuses = ConsentStatus.of(customers, clock.now())
            fresh = permitted_by_purpose(customers, statuses, live_facts(customers))
            assert {
                (each.profile.pk, each.purpose): (each.traits, each.by_place, each.terms, each.shown_terms)
                for each in fresh
            } == cached
            transaction.set_rollback(True)

    def no_one_who_was_erased_is_in_any_table(self):
        for person in self.people.values():
            if person.erased:
                assert rows_that_name(person.email.partition("@")[0]) == {}

    # The model.

    def _sign_up(self) -> AsRead:
        number = len(self.people)
        email = f"marked-{number}-of-this-test@example.com"
        patch = UserPatch(root={"email_verified": True}, password=PASSWORD)
        profile = create_user(NewDatabaseUser(CONNECTION, email, patch), by_app("shop"))
        self.people[number] = Person(profile.user_id, email, frozenset({number}))
        return self._as_read(number)

    def _as_read(self, number: int) -> AsRead:
        """Return the row of this very account, a merged one too; of an erased one, as it was."""
        person = self.people[number]
        profile = Profile.objects.filter(user_id=person.user_id).select_related("account", "merged_into").first()
        if profile is None:
            return AsRead(number, Profile(pk=10**9, user_id=person.user_id), Identity(pk=10**9, profile_id=10**9))
        identity = Identity.objects.select_related("profile").get(provider_user_id=person.user_id.partition("|")[2])
        return AsRead(number, profile, identity)

    def _group(self, number: int) -> frozenset[int]:
        return self.people[number].group

    def _members(self, number: int) -> list[Person]:
        return [self.people[each] for each in self._group(number)]

    @staticmethod
    def _is_row(row: Profile | None, now: Profile) -> bool:
        return row is not None and now.pk in (row.pk, row.merged_into_id)

    def _customers(self) -> Iterator[tuple[Profile, frozenset[int]]]:
        numbers = {each.user_id: number for number, each in self.people.items()}
        for profile in Profile.objects.filter(user_id__in=numbers, merged_into=None).order_by("pk"):
            yield profile, self._group(numbers[profile.user_id])

    def _says(self, number: int, purpose: str, word: str) -> None:
        for each in self._members(number):
            each.said[purpose] = word
        if word == NO:
            for known in self.words:
                if known.under == purpose and known.holders & self._group(number):
                    known.closed = True

    def _is_closed(self, number: int, purpose: str) -> bool:
        return NO in [each.said.get(purpose) for each in self._members(number)]

    def _knows(self, number: int, word: Word) -> None:
        group = self._group(number)
        if group:
            self.words = [each for each in self.words if each.under or each.key != word.key or not each.holders & group]
            self.words.append(word)

    def _value(self, number: int) -> str:
        self.step += 1
        return f"marked-{number}-of-this-test says {self.step}"

    @contextmanager
    def _refused_if(self, *, erased: AsRead | tuple[AsRead, ...], code: str = "") -> Iterator[None]:
        """Expect the error with the code that is due, or none; what is refused changes nothing."""
        rows = erased if isinstance(erased, tuple) else (erased,)
        if any(self.people[row.number].erased for row in rows):
            code = "customer_erased"
        if not code:
            yield
            return
        with pytest.raises(DomainError) as refused, transaction.atomic():
            yield
        assert refused.value.code == code


def of_document(profile: Profile) -> tuple[object, ...]:
    terms = {key: values for key, values in profile.terms.items() if key != "updated_at"}
    return profile.document, terms, profile.changes_at


def run(examples: int, steps: int, *, same_each_time: bool) -> None:
    chosen = settings(
        max_examples=examples,
        derandomize=same_each_time,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # to make a failing history shorter takes minutes: by hand, with Phase.shrink
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Customers, settings=chosen)


@pytest.fixture(autouse=True)
def _home(standard_setup, lake, settings, tmp_path):
    settings.HOME = tmp_path


def test_some_orders_of_writers_leave_what_the_last_word_of_each_says():
    run(examples=8, steps=20, same_each_time=True)


@pytest.mark.long
def test_any_order_of_writers_leaves_what_the_last_word_of_each_says():
    run(examples=600, steps=50, same_each_time=False)
