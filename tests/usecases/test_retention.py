"""What is older than its kind is kept goes, by the worker; what is younger, and what others still need, stays."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from regulars.base import clock
from regulars.base.jobs.models import Job
from regulars.consent.erasures import fingerprint
from regulars.consent.models import Erasure, KeptDecision
from regulars.consent.record import Decision, record
from regulars.consent.status import ConsentStatus
from regulars.consent.view import view
from regulars.destinations.models import Delivery, Destination
from regulars.events.models import Event
from regulars.events.record import record as happened
from regulars.interfaces.account.labels import RETENTION
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn, retract
from regulars.profiles.models import Fact, Profile
from regulars.usecases import retention
from regulars.usecases.decide_consent import decide
from regulars.usecases.erase import erase_nameless_visitors
from regulars.usecases.merge import merge
from regulars.usecases.retention import KINDS, PORTION, apply_retention, days_of, set_retention, starts, upcoming
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.usefixtures("standard_setup", "lake")


@pytest.fixture
def later(monkeypatch):
    def move(**ahead):
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(**ahead))

    return move


def gives(profile, purpose, **facts):
    """Give consent, and facts under it."""
    yes = decide(profile, Decision(purpose, "given", "profile"))
    news = [NewFact(key, value, "declared", "app:shop", consents=[yes.pk]) for key, value in facts.items()]
    with changes(profile, "test") as c:
        c.learn(news)
    return yes


def withdraws(profile, purpose):
    decide(profile, Decision(purpose, "withdrawn", "profile"))


def test_each_customer_is_searched_once_for_what_is_closed(make_customer, later, monkeypatch):
    people = [make_customer() for _ in range(5)]
    for profile in people:
        gives(profile, "personalise", gender="female", locale="de")
        withdraws(profile, "personalise")
    looked = []

    def of(profiles, now):
        looked.extend(each.pk for each in profiles)
        return ConsentStatus.of(profiles, now)

    monkeypatch.setattr(retention, "ConsentStatus", SimpleNamespace(of=of))
    monkeypatch.setattr(retention, "PORTION", 2)
    later(days=31)

    assert apply_retention()["closed"] == 10
    assert looked == [each.pk for each in people]
    assert not Fact.objects.filter(profile__in=people, attribute__in=("gender", "locale")).exists()
    looked.clear()
    assert apply_retention()["closed"] == 0


def kept(profile):
    return sorted(profile.facts.values_list("attribute", flat=True))


def test_facts_are_deleted_thirty_days_after_withdrawal(chika, later):
    gives(chika, "personalise", country="FR", gender="female")
    gives(chika, "message", birthdate="1988-05-31")
    learn(chika, [NewFact("city", "Paris", "declared", "app:shop")])
    withdraws(chika, "personalise")
    later(days=29)
    assert apply_retention()["closed"] == 0
    later(days=31)

    assert apply_retention()["closed"] == 3  # with the continent that followed from the country
    assert {"birthdate", "city"} <= set(kept(chika))
    assert not {"country", "continent", "gender"} & set(kept(chika))
    assert chika.consent_events.filter(purpose="personalise").count() == 2


def test_consent_given_again_keeps_only_the_facts_given_with_it(chika, later):
    gives(chika, "personalise", gender="female", city="Porto")
    withdraws(chika, "personalise")
    later(days=20)
    assert "gender" not in view(chika, "personalise")
    gives(chika, "personalise", gender="female")
    assert list(view(chika, "personalise")) == ["gender"]
    later(days=60)

    assert apply_retention()["closed"] == 2
    assert view(chika, "personalise")["gender"].value == "female"
    assert kept(chika) == ["gender"]


def test_retention_counts_from_the_withdrawal(chika, later):
    gives(chika, "personalise", gender="female")
    later(days=300)
    withdraws(chika, "personalise")
    later(days=310)

    assert apply_retention()["closed"] == 0
    assert kept(chika) == ["gender"]


def test_a_no_to_something_else_takes_nothing_away(chika, later):
    gives(chika, "personalise", gender="female")
    record(chika, Decision("message", "refused", "question"))
    later(days=100)

    assert apply_retention()["closed"] == 0


def test_more_than_a_portion_goes_as_well(standard_setup, later):
    people = [get_or_create_by_identity("auth0", f"{number:024x}", connection="test")[0] for number in range(3)]
    for person in people:
        yes = record(person, Decision("personalise", "given", "login"))
        row = {"profile": person, "source_kind": "declared", "source": "app:shop", "consents": [yes.pk], "value": 1}
        Fact.objects.bulk_create(Fact(attribute=f"user_metadata.n{each}", **row) for each in range(PORTION // 2))
        withdraws(person, "personalise")
    later(days=31)

    assert apply_retention()["closed"] == 3 * (PORTION // 2)
    assert not Fact.objects.exists()


def test_the_owner_may_keep_it_shorter_longer_or_for_ever(chika, later):
    gives(chika, "personalise", gender="female")
    withdraws(chika, "personalise")
    set_retention("closed", None)
    later(days=1000)
    assert "closed" not in apply_retention()
    set_retention("closed", 1)

    assert apply_retention()["closed"] == 1


def test_retracted_facts_and_old_visitors_are_deleted(chika, later):
    facts = learn(chika, [NewFact("city", "Paris", "declared", "app:shop")])
    retract(chika, facts, "deleted_by_customer")
    visitor, _ = get_or_create_by_identity("anonymous", "cookie")
    happened(visitor.pk, "Page Viewed", {})
    later(days=396)
    gone = apply_retention()

    assert (gone["retracted"], gone["visitors"]) == (1, 1)
    assert list(Profile.objects.all()) == [chika]
    assert days_of()["retracted"] == KINDS["retracted"].days == 30


def test_nameless_visitors_are_erased_together_and_named_ones_one_by_one(chika, later):
    def visitor(cookie):
        found, _ = get_or_create_by_identity("anonymous", cookie)
        happened(found.pk, "Page Viewed", {})
        decide(found, Decision("personalise", "refused", "profile"))
        return found

    first = visitor("first")
    with_browsers = visitor("second")
    merge(visitor("third"), with_browsers)
    named = visitor("named")
    learn(
        named,
        [NewFact("email", "v@example.com", "declared", "app:shop", basis="legitimate_interest", purpose="measure")],
    )
    later(days=396)
    gone = apply_retention()

    assert gone["visitors"] == 3
    assert list(Profile.objects.all()) == [chika]
    assert not Event.objects.exclude(profile_id=chika.pk).exists()
    together, alone = sorted(Erasure.objects.all(), key=lambda each: -len(each.profiles))
    assert (len(together.profiles), alone.profiles) == (3, [named.pk])
    assert fingerprint(first.user_id) in together.who
    assert together.removed["events.Event"] == [3, 0]
    assert KeptDecision.objects.values("person").distinct().count() == 3
    jobs = Job.objects.filter(kind="lake.leave", payload={"profiles": together.profiles})
    assert jobs.count() == 1


def test_number_of_queries_does_not_grow_with_visitors(later):
    def queries(number):
        Profile.objects.bulk_create(Profile(user_id=f"anonymous|{number}-{each}") for each in range(number))
        with CaptureQueriesContext(connection) as found:
            assert erase_nameless_visitors(Profile.objects.all()) == number
        return len(found)

    assert queries(50) <= queries(5) + 3  # SQLite deletes a hundred at a time


def test_every_kind_ends_by_itself_with_a_reason():
    assert all(kind.days and kind.why for kind in KINDS.values())
    assert days_of() == {key: kind.days for key, kind in KINDS.items()}


def test_customers_read_how_long_each_kind_is_kept():
    assert set(KINDS) - set(RETENTION) == {
        *("event_counts", "sent_forms", "removed_disclosures", "ended_grants", "day_counts"),
    }  # they name no customer


def test_events_and_customers_who_never_return_are_deleted_by_default(chika, later):
    happened(chika.pk, "Page Viewed", {})
    later(days=761)
    assert apply_retention()["events"] == 1
    assert Profile.objects.filter(pk=chika.pk).exists()
    later(days=1096)

    assert apply_retention()["customers"] == 1
    assert not Profile.objects.exists()


def test_logs_of_staff_failed_work_and_old_deliveries_are_deleted_by_default(chika, later):
    destination = Destination.objects.create(slug="d", name="D", kind="webhook", purpose_id="message")
    Delivery.objects.create(
        destination=destination, profile=chika, entered=True, at=clock.now(), state="failed", finished_at=clock.now()
    )
    AuditEntry.objects.create(what="customer.corrected", subject=chika.user_id)
    Job.objects.create(kind="mail", state=Job.State.FAILED, due_at=clock.now(), finished_at=clock.now())
    later(days=731)
    gone = apply_retention()

    assert (gone["deliveries"], gone["staff_log"], gone["failed_jobs"]) == (1, 1, 1)
    assert not Job.objects.filter(state="failed").exists()


def test_staff_read_of_erasures_thirty_days_before(chika, later):
    assert upcoming() == []
    later(days=1070)

    (found,) = upcoming()

    assert (found.kind, found.number) == ("customers", 1)
    assert 24 <= (found.first - clock.now()).days <= 25


def test_an_upgrade_gives_time_before_the_first_deletion_and_leaves_what_was_set(chika, later):
    migration = import_module("regulars.consent.migrations.0008_retention_starts")
    set_retention("events", None)
    migration.give_time(apps, None)
    import_module("regulars.consent.migrations.0021_finite_kinds").give_time(apps, None)
    assert {"questions_shown", "mails"} <= set(starts())
    later(days=10)
    Profile.objects.update(created_at=clock.now() - dt.timedelta(days=5000))

    (found,) = upcoming()
    assert found.first == starts()["customers"]
    assert "customers" not in apply_retention()
    set_retention("customers", 1095)  # the form is saved unchanged
    assert "customers" not in apply_retention()
    assert days_of()["events"] is None
    later(days=31)

    assert apply_retention()["customers"] == 1


def test_the_documented_defaults_are_those_of_the_code():
    page = (Path(__file__).parents[2] / "docs/operator/purposes-and-consents.md").read_text()

    rows = [f"| `{key}` | {kind.label} | {kind.days} | {kind.why} |" for key, kind in KINDS.items()]
    assert "\n".join(rows) in page
