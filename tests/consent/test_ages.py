"""A yes of a customer who is too young is refused, and never counts: not after their birthday, nor by another birthdate."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.notices import agreed, answer_page

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.connections.provider import ProviderClaim
from regulars.consent.ages import is_too_young
from regulars.consent.models import ConsentEvent
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.status import is_barred
from regulars.consent.view import may
from regulars.profiles.learn import NewFact
from regulars.questions.answer import BadAnswer
from regulars.questions.models import Impression
from regulars.questions.next_question import notice_of
from regulars.questions.save import QuestionDraft, save_question
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import decide
from regulars.usecases.merge import merge
from regulars.usecases.unit_of_work import changes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]
YES = Decision("personalise", "given", "profile")


def born(profile, years_ago, kind="declared"):
    birthdate = f"{clock.today().year - years_ago - 1}-12-31"
    with changes(profile, "test") as c:
        c.learn([NewFact("birthdate", birthdate, kind, "app:shop")])


def imported(profile):
    """A yes by a road that asks no customer for their age."""
    evidence = {"file": "old-system.csv"}
    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "imported", "import", evidence=evidence))


@pytest.fixture
def grown(monkeypatch):
    """Let ten years pass."""

    def pass_by():
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=3653))

    return pass_by


def test_yes_on_their_own_page_is_refused(chika):
    born(chika, 12)

    with pytest.raises(Invalid) as refused:
        decide(chika, YES)

    assert (refused.value.code, ConsentEvent.objects.count()) == ("too_young", 0)


def test_answer_to_a_question_opened_before_is_refused(chika):
    question = save_question(
        QuestionDraft("size", "Your size?", "To show it first.", "short_text", "size", "personalise", enabled=True)
    )
    shown = Impression.objects.create(
        question=question, version=1, profile=chika, day=clock.today(), words=notice_of(question)
    )
    born(chika, 12)

    with pytest.raises(BadAnswer) as refused:
        answer_page(shown, "answer=M")

    assert (refused.value.code, ConsentEvent.objects.count()) == ("too_young", 0)
    assert not chika.facts.filter(attribute="size").exists()


def test_claims_chosen_at_a_social_sign_in_are_not_taken(chika):
    born(chika, 12)
    gender = ProviderClaim("gender", "female", "social", "gender")

    complete_social_login(
        ProviderLogin("google-oauth2", "1001", "google-oauth2", {}, [], [], [gender], [agreed("gender")])
    )

    assert not chika.facts.filter(attribute="gender").exists()
    assert not ConsentEvent.objects.exists()


@pytest.mark.parametrize("first", ["yes", "birthdate"])
def test_yes_of_a_child_is_over_for_good(chika, grown, first):
    steps = [lambda: imported(chika), lambda: born(chika, 12)]
    for step in steps if first == "yes" else reversed(steps):
        step()

    assert [event.action for event in ConsentEvent.objects.order_by("pk")] == ["imported", "expired"]
    assert first_broken_link(chika) is None
    grown()
    with changes(chika, "test") as c:
        c.refresh()
    assert not may(chika, "personalise")
    decide(chika, YES)
    assert may(chika, "personalise"), "they are old enough to say so themselves now"


def test_another_birthdate_brings_back_no_yes_of_a_child(chika):
    imported(chika)
    born(chika, 12)

    born(chika, 30, kind="corrected")

    assert not may(chika, "personalise")


def test_no_of_a_child_counts(chika):
    born(chika, 12)

    decide(chika, Decision("personalise", "withdrawn", "profile"))

    assert ConsentEvent.objects.get().action == "withdrawn"


def test_consents_of_adults_stay_as_they_are(chika):
    imported(chika)
    born(chika, 40)

    assert may(chika, "personalise")
    assert ConsentEvent.objects.get().action == "imported"


def knows(profile, attribute, value, kind="declared", source="app:shop", **more):
    with changes(profile, "test") as c:
        c.learn([NewFact(attribute, value, kind, source, **more)])


def birthdate_of(age, day=None):
    """Return the date of birth of a customer who turned `age` on a day; today if left out."""
    day = day or clock.today()
    return f"{day.year - age}-{day:%m-%d}"


COUNTRY_SOURCES = [
    ("declared", "question:country@1"),
    ("corrected", "customer"),
    ("inferred", "source:hints"),
    ("social", "oidc"),
]


@pytest.mark.parametrize(("kind", "source"), COUNTRY_SOURCES)
def test_country_of_every_source_sets_the_age(chika, kind, source):
    born(chika, 14)

    knows(chika, "country", "PT", kind, source)

    assert decide(chika, YES).action == "given"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("kind", "source"), COUNTRY_SOURCES[1:])
def test_strictest_age_of_countries_that_disagree(chika, kind, source, order):
    """Thirteen in Portugal, sixteen in Germany, fourteen years old: any source names Germany, and any of them wins."""
    born(chika, 14)
    named = [("PT", "declared", "question:country@1"), ("DE", kind, source)]

    for country, said_as, said_by in named[::order]:
        knows(chika, "country", country, said_as, said_by)

    with pytest.raises(Invalid) as refused:
        decide(chika, YES)
    assert refused.value.code == "too_young"


def test_corrected_country_ends_the_yes_of_one_who_was_too_young_there(chika):
    born(chika, 14)
    knows(chika, "country", "PT")
    decide(chika, YES)

    correct(chika, "country", "DE")
    assert not may(chika, "personalise")
    correct(chika, "country", "PT")

    assert not may(chika, "personalise"), "ended for good"
    assert [event.action for event in ConsentEvent.objects.order_by("pk")] == ["given", "expired"]


def test_birthdate_that_comes_after_the_birthday_ends_the_yes_from_before(chika, monkeypatch):
    """The customer was fifteen when they said yes, and says so three years later."""
    decide(chika, YES)
    birthdate = birthdate_of(15)
    monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=3 * 366))

    knows(chika, "birthdate", birthdate)

    assert not may(chika, "personalise")
    assert ConsentEvent.objects.latest("pk").action == "expired"
    decide(chika, YES)
    assert may(chika, "personalise")
    with changes(chika, "test") as c:
        c.refresh()
    assert may(chika, "personalise"), "the new one is that of an adult"


def test_renewed_yes_counts_by_its_first_time(chika, monkeypatch):
    decide(chika, YES)
    birthdate = birthdate_of(15)
    monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=3 * 366))
    with changes(chika, "test") as c:
        c.decide(YES)

    knows(chika, "birthdate", birthdate)

    assert not may(chika, "personalise")


def test_imported_yes_from_childhood_opens_nothing_for_the_adult(chika):
    born(chika, 20)

    with changes(chika, "test") as c:
        at = clock.now() - dt.timedelta(days=10 * 365)
        c.decide(Decision("personalise", "imported", "import", evidence={"file": "old.csv"}, at=at))

    assert not may(chika, "personalise")


@pytest.mark.parametrize(
    ("zone", "young"),
    [("America/Los_Angeles", True), ("Pacific/Auckland", False), ("UTC", False), ("Nowhere/At_all", False)],
)
def test_birthday_begins_at_midnight_of_the_strictest_time_zone(chika, monkeypatch, zone, young):
    """At two in the morning of the business's day it is still the day before in Los Angeles."""
    now = dt.datetime.combine(clock.today(), dt.time(2), dt.UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    knows(chika, "birthdate", birthdate_of(16, now.date()))

    knows(chika, "time_zone", zone, "inferred", "source:ip")

    assert is_barred(chika) is young


def test_barred_until_midnight_and_no_longer(chika, monkeypatch):
    start = dt.datetime.combine(clock.today(), dt.time(), dt.UTC)
    knows(chika, "birthdate", birthdate_of(16, start.date()))

    for seconds, young in ((-1, True), (0, False)):
        monkeypatch.setattr(clock, "now", lambda seconds=seconds: start + dt.timedelta(seconds=seconds))
        assert is_barred(chika) is young


@pytest.mark.parametrize(
    ("birthdate", "on", "young"),
    [
        ("2012-02-29", "2028-02-28", True),
        ("2012-02-29", "2028-02-29", False),
        ("2013-03-01", "2029-02-28", True),
        ("2011-02-28", "2027-02-28", False),
        ("2010", "2026-12-30", True),
        ("2010", "2026-12-31", False),
        ("2026", "2026-06-01", True),
        ("2027-01-01", "2026-06-01", True),
        ("9998", "2026-06-01", True),
    ],
)
def test_no_one_is_older_than_their_birthdate_says(birthdate, on, young):
    at = dt.datetime.fromisoformat(f"{on}T12:00:00+00:00")

    assert is_too_young(birthdate, [], at) is young


def test_29_february_of_a_country_with_another_age():
    before, on = (dt.datetime(2025, month, day, 12, tzinfo=dt.UTC) for month, day in ((2, 28), (3, 1)))

    assert [is_too_young("2012-02-29", ["PT"], at) for at in (before, on)] == [True, False]


@pytest.mark.parametrize("into", ["child", "adult"])
def test_merge_with_an_adult_revives_no_yes_of_a_child(chika, make_customer, into):
    """The twin's own yes is an adult's; which of the two birthdates wins decides whether it counts."""
    twin = make_customer(yes=())
    imported(chika)
    born(chika, 12)
    born(twin, 30)
    assert not may(chika, "personalise")

    merge(*((twin, chika) if into == "child" else (chika, twin)))

    one = chika if into == "child" else twin
    one.refresh_from_db()
    assert not may(one, "personalise")
    assert not may(one, "message")


def test_merge_that_brings_a_birthdate_ends_what_the_child_allowed(chika, make_customer):
    twin = make_customer(yes=())
    decide(chika, YES)
    born(twin, 12)

    merge(twin, chika)

    chika.refresh_from_db()
    assert not may(chika, "personalise")
    assert ConsentEvent.objects.filter(profile=chika).latest("pk").action == "expired"
