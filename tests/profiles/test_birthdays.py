"""Ages and their bands are right on every day, of every birthday, and change on the birthday itself."""

from __future__ import annotations

import bisect
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.base import clock
from regulars.base.jobs import run_jobs
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.tasks import enqueue
from regulars.consent.ages import is_too_young
from regulars.profiles.birthdays import age_on, birthday, days_of_birth
from regulars.profiles.derive import BANDS, age_of, changes_after
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, Profile
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.change_due_profiles import ALONE, JOB, PORTION, queue_due_profiles
from regulars.usecases.unit_of_work import changes

NAMES = ["", *(name for name, _, _ in BANDS)]
YEARS = 8  # two leap years among them
NOON = dt.time(12, tzinfo=dt.UTC)


def reached(born: dt.date, age: int) -> dt.date:
    """The rule, written down anew: the same day of the year, and 1 March for 29 February of a year without one."""
    year = born.year + age
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (
        dt.date(year, 3, 1) if (born.month, born.day) == (2, 29) and not leap else dt.date(year, born.month, born.day)
    )


@pytest.mark.parametrize("year", range(1984, 1984 + YEARS))
def test_band_is_right_on_every_day_of_eight_years_for_every_birthday(year):
    """Follow each conclusion to its end: from one to the next there is no day without a band and none with a wrong one."""
    for number in range(366 if year % 4 == 0 else 365):
        born = dt.date(year, 1, 1) + dt.timedelta(days=number)
        edges = [reached(born, low) for _, low, _ in BANDS]
        day, end = dt.date(year + 17, 1, 1), dt.date(year + 17 + YEARS, 12, 31)
        while day < end:
            now = dt.datetime.combine(day, dt.time(), dt.UTC)
            found = age_of(born.isoformat(), now)
            expected = NAMES[bisect.bisect_right(edges, day)]
            assert [each.value for each in found] == ([expected] if expected else []), (born, day)
            following = changes_after("birthdate", born.isoformat(), now)
            assert not found or found[0].expires_at == following
            assert following is not None
            assert following.date() > day
            last = min(following.date(), end) - dt.timedelta(days=1)
            assert NAMES[bisect.bisect_right(edges, last)] == expected, (born, last)
            day = following.date()


@given(
    st.dates(dt.date(1900, 1, 1), dt.date(2020, 12, 31)),
    st.dates(dt.date(2021, 1, 1), dt.date(2060, 12, 31)),
)
def test_age_is_the_number_of_birthdays(born, day):
    assert age_on(born, day) == sum(reached(born, age) <= day for age in range(1, 170))
    assert birthday(born, 18) == reached(born, 18)


@pytest.mark.parametrize("day", [29, 30, 31])
def test_born_at_the_end_of_a_month_keeps_a_band_until_the_birthday(day):
    for now in (dt.date(2015, 1, day) - dt.timedelta(days=each) for each in range(1, 5)):
        [found] = age_of(f"1990-01-{day}", dt.datetime.combine(now, NOON))
        assert found.value == "18-24"
        assert found.expires_at == dt.datetime(2015, 1, day, tzinfo=dt.UTC)


def test_one_rule_for_29_february(monkeypatch):
    before, on = dt.datetime(2026, 2, 28, 12, tzinfo=dt.UTC), dt.datetime(2026, 3, 1, tzinfo=dt.UTC)

    assert age_of("2008-02-29", before) == []
    assert age_of("2008-02-29", on)[0].value == "18-24"
    assert (is_too_young("2010-02-29", [], before), is_too_young("2010-02-28", [], before)) == (False, False)
    assert (
        is_too_young("2012-02-29", ["LU"], dt.datetime(2028, 2, 28, tzinfo=dt.UTC)),
        age_on(dt.date(2012, 2, 29), dt.date(2028, 2, 29)),
    ) == (True, 16)


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("1990-04-12", "1990-04-12", "1990-04-12"),
        ("1990-04-12T00:00:00.000Z", "1990-04-12", "1990-04-12"),
        ("1990-04-12T23:59:59+05:30", "1990-04-12", "1990-04-12"),
        ("1990-04-12 00:00:00", "1990-04-12", "1990-04-12"),
        (" 1990-4-2 ", "1990-04-02", "1990-04-02"),
        ("1990-02", "1990-02-01", "1990-02-28"),
        ("1992-02", "1992-02-01", "1992-02-29"),
        ("1990-12", "1990-12-01", "1990-12-31"),
        ("1990", "1990-01-01", "1990-12-31"),
        (1990, "1990-01-01", "1990-12-31"),
    ],
)
def test_every_form_of_a_date_of_birth_is_read(value, first, last):
    assert days_of_birth(value) == (dt.date.fromisoformat(first), dt.date.fromisoformat(last))


@pytest.mark.parametrize(
    "value",
    ["", "0000-04-12", "1990-02-30", "1990-13", "1990-04-12x", "T", None, True, [], {}, 0, "12/04/1990", "9999-12-31T"],
)
def test_what_is_no_date_of_birth_gives_no_age_and_no_error(value):
    found = age_of(value, dt.datetime(2026, 11, 24, tzinfo=dt.UTC))

    assert found == []
    assert (
        changes_after("birthdate", value, dt.datetime(2026, 11, 24, tzinfo=dt.UTC)) is None or str(value)[:4] == "9999"
    )


def test_birthday_begins_with_the_business_day(monkeypatch):
    monkeypatch.setattr(clock, "zone", lambda: ZoneInfo("Asia/Tokyo"))
    [before] = age_of("1990-04-12", dt.datetime(2015, 4, 11, 14, 59, tzinfo=dt.UTC))
    [after] = age_of("1990-04-12", dt.datetime(2015, 4, 11, 15, 0, tzinfo=dt.UTC))

    assert (before.value, before.expires_at, after.value) == (
        "18-24",
        dt.datetime(2015, 4, 11, 15, tzinfo=dt.UTC),
        "25-34",
    )


@pytest.fixture
def at(monkeypatch):
    def go(*parts: int) -> None:
        monkeypatch.setattr(clock, "now", lambda: dt.datetime(*parts, tzinfo=dt.UTC))

    go(2026, 11, 24, 12)
    return go


def change_due_profiles() -> int:
    """Do what the worker does every minute. Returns how many customers were due."""
    due = Profile.objects.filter(changes_at__lte=clock.now(), merged_into=None)
    number = due.count()
    queue_due_profiles()
    run_due()
    assert not due.exists()
    return number


def band(profile: Profile) -> object:
    profile.refresh_from_db()
    return profile.document.get("age_band")


@pytest.mark.parametrize("source", [("declared", "app:shop"), ("observed", "source:shop"), ("corrected", "customer")])
def test_band_and_segments_change_on_the_birthday_without_a_visit(make_customer, at, lake, source):
    segment = save_segment("Adults", "age_band:18-24", "measure")
    grown = save_segment("Grown", "age_band:25-34", "measure")
    chika = make_customer()
    with changes(chika, "test") as c:
        c.learn([NewFact("birthdate", "2009-01-31", *source, basis="legitimate_interest", purpose="measure")])
    assert band(chika) is None

    at(2027, 1, 30, 23, 59, 59)
    assert change_due_profiles() == 0
    at(2027, 1, 31)
    assert (change_due_profiles(), band(chika)) == (1, "18-24")
    assert dict(Membership.objects.filter(state="in").values_list("segment", "profile")) == {segment.pk: chika.pk}
    at(2034, 1, 31)
    assert (change_due_profiles(), band(chika)) == (1, "25-34")
    assert dict(Membership.objects.filter(state="in").values_list("segment", "profile")) == {grown.pk: chika.pk}
    assert change_due_profiles() == 0


def test_corrected_date_of_birth_takes_back_what_followed_from_the_old_one(make_customer, at):
    chika = make_customer(birthdate="1990-04-12")
    assert band(chika) == "35-44"
    with changes(chika, "test") as c:
        c.learn([NewFact("birthdate", "2015-04-12", "declared", "app:shop")])

    assert band(chika) is None


def test_expired_answer_leaves_view_and_segment_within_a_minute(make_customer, at, lake):
    save_segment("Porto", "city:Porto", "measure")
    chika = make_customer()
    with changes(chika, "test") as c:
        until = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
        c.learn(
            [
                NewFact(
                    "city",
                    "Porto",
                    "declared",
                    "app:shop",
                    basis="legitimate_interest",
                    purpose="measure",
                    expires_at=until,
                )
            ]
        )
    assert Membership.objects.get().state == "in"

    at(2026, 12, 1)
    assert change_due_profiles() == 1
    assert Membership.objects.get().state == "unknown"
    assert chika.permitted_views.get(purpose="measure").traits == {}


def test_stored_profiles_without_a_band_get_one_after_an_upgrade(make_customer, at):
    chika = make_customer(birthdate="1990-04-30")
    Fact.objects.filter(attribute="age_band").delete()
    Profile.objects.update(changes_at=clock.now())  # as the migration marks them

    assert (change_due_profiles(), band(chika)) == (1, "35-44")


def test_many_who_are_due_at_once_are_changed_in_portions_between_other_jobs(make_customer, at):
    for number in range(PORTION + 1):
        get_or_create_by_identity("auth0", f"born-{number}")
    with changes(list(Profile.objects.values_list("pk", flat=True)), "test") as c:
        c.learn_all([(each, [NewFact("birthdate", "2009", "declared", "app:shop")]) for each in c.profiles])
    at(2027, 1, 1)
    queue_due_profiles()
    queue_due_profiles()
    other = enqueue(JOB, {}, key="another")

    assert run_due(limit=1) == 1
    assert Profile.objects.filter(document__age_band="18-24").count() == PORTION
    assert run_due(limit=1) == 1
    other.refresh_from_db()
    assert other.state == "done"  # it came before the next portion
    run_due()
    assert Profile.objects.filter(document__age_band="18-24").count() == PORTION + 1


def test_customer_of_whom_it_fails_stops_no_other_and_is_tried_again_with_pauses(make_customer, at, monkeypatch):
    monkeypatch.setattr(run_jobs, "FIRST_PAUSE", 600.0)  # seconds; a busy machine takes two for the first try alone
    broken, chika = make_customer(birthdate="2009-01-31"), make_customer(birthdate="2009-01-31")
    whole = Fact.objects.filter(profile=broken, attribute="birthdate")
    consents = whole.get().consents
    whole.update(consents=[{}])  # which no writer stores
    at(2027, 1, 31)
    queue_due_profiles()
    run_due()

    assert band(chika) == "18-24"
    job = Job.objects.get(kind=ALONE)
    assert (job.payload, job.state, job.attempts) == ({"profile": broken.pk}, "waiting", 1)
    assert job.due_at > dt.datetime.now(dt.UTC)
    queue_due_profiles()
    assert not Job.objects.filter(kind=JOB, state="waiting").exists()  # it is not taken again and again

    whole.update(consents=consents)
    Job.objects.update(due_at=dt.datetime.now(dt.UTC))
    run_due()
    assert band(broken) == "18-24"
    assert Job.objects.get(kind=ALONE).state == "done"
