"""Two at once: what another transaction commits between reading and writing is neither lost nor overlooked."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

import pytest
from django.db import connections, transaction

from regulars.base import clock
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.tasks import enqueue
from regulars.consent.models import ConsentState, PermittedView, Restriction, Widening
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision
from regulars.consent.view import current_views
from regulars.destinations.direct_disclosures import Kind, Receiver, record_direct
from regulars.destinations.models import DirectDisclosure
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases import (
    decide_consent,
    retention,
    same_person,  # noqa: F401 - its handler registers itself
)
from regulars.usecases.decide_consent import change_purpose
from regulars.usecases.merge import merge
from regulars.usecases.refuse_consent import Refusal, refuse
from regulars.usecases.restrict import announce_lifting, lift_due, restrict
from regulars.usecases.retention import apply_retention, set_retention
from regulars.usecases.unit_of_work import SPREAD, changes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("standard_setup", "lake")]
EMAIL = "twin@example.com"


def meanwhile(write: Callable[[], object], other: Callable[[], object]) -> None:
    """Begin `other` while `write` is not committed: it reads what was before, and waits for the lock."""

    def run() -> None:
        try:
            other()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        write()
        thread.start()
        time.sleep(0.5)
    thread.join()


def known(number: int) -> Profile:
    profile, _ = get_or_create_by_identity("external", f"crm-{number}", connection="crm")
    with changes(profile, "test") as c:
        c.learn([NewFact("email", EMAIL, "imported", "crm")])
    return profile


def test_consents_run_out_while_others_write(make_customer, monkeypatch):
    """A cursor that stays open across the portions would show a database in which nothing can be written any more."""
    people = [make_customer(yes=("message",)) for _ in range(4)]
    over = clock.now() - dt.timedelta(seconds=1)
    for state in ConsentState.objects.filter(profile__in=people, purpose="message"):
        state.expires_at, state.standing[0]["until"] = over, over.isoformat()
        state.save()

    @contextmanager
    def then_others_write(*args):
        with changes(*args) as c:
            yield c
        meanwhile(lambda: None, lambda: Profile.objects.filter(pk=people[0].pk).update(last_seen_at=clock.now()))

    monkeypatch.setattr(decide_consent, "changes", then_others_write)
    monkeypatch.setattr(decide_consent, "PORTION", 1)

    assert decide_consent.expire_consents() == 4


@pytest.mark.parametrize("first", [[], ["email"]])
def test_attributes_given_to_one_application_at_once_are_all_recorded(chika, first):
    shop = Receiver(Kind.APPLICATION, "shop", "Shop", "", "serve")
    if first:
        record_direct(chika, shop, first)

    meanwhile(lambda: record_direct(chika, shop, ["name"]), lambda: record_direct(chika, shop, ["phone_number"]))

    assert DirectDisclosure.objects.get().attributes == [*first, "name", "phone_number"]


def test_lifting_that_the_customer_calls_off_meanwhile_does_not_happen(chika):
    restrict(chika, "profile")
    announce_lifting(chika, "ana", "checked", "by telephone", has_address=False)
    Restriction.objects.update(lifts_at=clock.now() - dt.timedelta(hours=1))

    meanwhile(lambda: restrict(chika, "profile"), lift_due)

    chika.refresh_from_db()
    assert chika.restricted_at
    assert Restriction.objects.get().lifted_at is None


def test_purpose_is_widened_after_the_yes_that_was_being_given(chika):
    """The walk through those who had allowed it would not see them, and their views of before would stay."""

    def allow() -> None:
        with changes(chika, "test") as c:
            yes = c.decide(Decision("personalise", "given", "profile"))
            c.learn([NewFact("gender", "female", "declared", "question:gender@1", consents=[yes.pk])])

    def widen() -> None:
        change_purpose("personalise", PurposeText("A shop that fits you", "For anything at all."), widened=True)
        run_due()

    meanwhile(allow, widen)

    assert not Widening.objects.exists()
    assert current_views().filter(profile=chika).exists()
    assert not PermittedView.objects.filter(profile=chika, traits__has_key="gender").exists()


def test_carrying_on_the_refusals_of_many_locks_no_rows_out_of_order(chika):
    """Chika's row would be held until the earlier row of the second customer's twin is free: a deadlock on PostgreSQL."""
    twin, first, second = (known(number) for number in range(3))
    first.facts.all().delete()
    with changes(first, "test") as c:
        c.learn([NewFact("email", "other@example.com", "imported", "crm")])
    for each in (first, second):
        with changes(each, "test") as c:
            c.decide(Decision("message", "withdrawn", "staff"))
    Job.objects.all().delete()
    job = enqueue(SPREAD, {"profiles": [first.pk, second.pk]})

    def run() -> None:
        try:
            run_due(limit=1)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        list(Profile.objects.select_for_update().filter(pk=twin.pk))
        thread.start()
        time.sleep(0.7)
        list(Profile.objects.select_for_update().filter(pk=first.pk))
    thread.join()

    job.refresh_from_db()
    assert (job.state, job.attempts) == ("done", 1)


def test_customer_who_comes_back_while_others_are_erased_stays(chika, monkeypatch):
    get_or_create_by_identity("external", "crm-1", connection="crm")
    set_retention("customers", 30)
    Profile.objects.update(last_seen_at=clock.now() - dt.timedelta(days=31))
    erase, erased = retention.erase_customer, []

    def erase_slowly(profile: Profile, asked_by: str) -> None:
        erased.append(profile.user_id)
        Profile.objects.exclude(pk=profile.pk).update(last_seen_at=clock.now())
        erase(profile, asked_by)

    monkeypatch.setattr(retention, "erase_customer", erase_slowly)

    apply_retention()

    assert len(erased) == 1
    assert Profile.objects.count() == 1


def test_refusal_reaches_the_customer_that_a_twin_is_merged_into_meanwhile(chika):
    twin, other = known(1), get_or_create_by_identity("external", "crm-2", connection="crm")[0]
    with changes(chika, "test") as c:
        c.learn([NewFact("email", EMAIL, "declared", "test")])

    meanwhile(lambda: merge(twin, other, "customer"), lambda: refuse(chika, Refusal("profile", "customer")))

    assert ConsentState.objects.filter(profile=other, status="objected").exists()


def test_refusal_reaches_a_twin_that_is_imported_meanwhile(chika):
    with changes(chika, "test") as c:
        c.learn([NewFact("email", EMAIL, "declared", "test")])

    meanwhile(lambda: known(1), lambda: refuse(chika, Refusal("profile", "customer")))
    Job.objects.update(due_at=clock.now())
    run_due()

    twin = Profile.objects.get(user_id="external|crm-1")
    assert ConsentState.objects.filter(profile=twin, status="objected").exists()
