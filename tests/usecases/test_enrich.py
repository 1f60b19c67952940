"""Enrichment adds facts after the login, and a failing source adds none."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from tests.receivers import Answer, receiving

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision, record
from regulars.consent.view import served_user, view
from regulars.enrichment.save import save_source
from regulars.profiles.assertions import Asserter, Place
from regulars.profiles.learn import NewFact, learn, retract
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases import enrich as flow
from regulars.usecases.enrich import queue_enrichment

KEY = "us-census-acs"
FOUND = Answer(body=b'[["B19013_001E","zip code tabulation area"],["52000","98101"]]')
pytestmark = pytest.mark.usefixtures("lake")


def lives_in(profile, postal_code, country="US"):
    record(profile, Decision("enrich", "given", "test"))
    facts = {"postal_code": postal_code, "country": country}
    return learn(
        profile,
        [
            NewFact(key, value, "declared", "test", basis="legitimate_interest", purpose="measure")
            for key, value in facts.items()
        ],
    )


def enable_template(url):
    save_source(KEY, {"base_url": url, "api_key": "secret-key"})


def enrich(profile):
    queue_enrichment(profile, KEY)
    run_due()


def job():
    return Job.objects.get(kind="enrich")


def income(profile):
    value = view(profile, "measure").get("area_median_income")
    return value and value.value


def incomes(profile):
    return profile.facts.filter(attribute="area_median_income", retracted_at=None)


def test_the_answer_becomes_a_fact_and_segments_follow(chika):
    lives_in(chika, "98101")
    save_segment("Modest areas", "area_median_income:[0 TO 60000]", "measure")
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)
    assert income(chika) == 52000
    assert Membership.objects.get(profile=chika).state == "in"
    assert job().state == "done"


def test_no_source_is_asked_about_the_word_of_a_public_key(chika):
    """The answer would count as the look-up's own word, and reach rules and tokens."""
    facts = {"postal_code": "98101", "country": "US"}
    learn(
        chika,
        [NewFact(key, value, "observed", "app:shop", asserter=Asserter.PUBLIC_KEY) for key, value in facts.items()],
    )
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)

    assert receiver.received == []
    assert income(chika) is None
    assert "area_median_income" not in served_user(chika, Place.RULES)


def test_two_logins_ask_once(chika):
    assert queue_enrichment(chika, KEY) is not None
    assert queue_enrichment(chika, KEY) is None
    assert Job.objects.filter(kind="enrich").count() == 1


@pytest.mark.parametrize(
    ("answer", "name", "state"),
    [
        (Answer(body=b"<html><title>Invalid Key</title></html>"), "bad_key", "failed"),
        (Answer(body=b"<html>Back soon</html>"), "html_answer", "waiting"),
        (Answer(404), "http_404", "failed"),
        (Answer(500), "http_500", "waiting"),
    ],
)
def test_a_fault_is_never_a_fact_and_is_retried_or_given_up_by_its_kind(chika, answer, name, state):
    lives_in(chika, "98101")
    with receiving(answer) as receiver:
        enable_template(receiver.url)
        enrich(chika)
    assert not incomes(chika).exists()
    assert (job().state, job().last_error.partition(":")[0]) == (state, name)
    assert "secret-key" not in job().last_error


def test_failing_source_is_tried_again_when_it_allows(chika):
    lives_in(chika, "98101")
    with receiving(Answer(503, headers={"retry-after": "90"}), FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)
        assert 80 < (job().due_at - timezone.now()).total_seconds() <= 90
        Job.objects.update(due_at=timezone.now() - dt.timedelta(seconds=1))
        run_due()
    assert income(chika) == 52000


def test_an_objection_keeps_the_call_at_home_and_is_no_fault(chika):
    lives_in(chika, "98101")
    record(chika, Decision("measure", "objected", "test"))
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)
    assert receiver.received == []
    assert job().state == "done"


def test_an_objection_while_the_source_was_thinking_keeps_its_answer_out(chika, monkeypatch):
    lives_in(chika, "98101")
    look_up = flow.look_up

    def look_up_slowly(profile, key):
        news = look_up(profile, key)
        record(profile, Decision("measure", "objected", "test"))
        return news

    monkeypatch.setattr(flow, "look_up", look_up_slowly)
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)
    assert not incomes(chika).exists()


def test_erased_customer_is_not_looked_up(chika):
    lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        queue_enrichment(chika, KEY)
        chika.delete()
        run_due()
    assert receiver.received == []
    assert job().state == "done"


def test_who_moves_abroad_loses_the_income_of_the_old_area(chika):
    lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)
        lives_in(chika, "10437", "DE")
        enrich(chika)
    assert income(chika) is None


def test_retracted_postal_code_retracts_its_income(chika):
    postal_code, *_ = lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)
    retract(postal_code.profile, [postal_code], "a mistake")
    assert not incomes(chika).exists()


def test_the_same_answer_again_is_no_second_fact(chika):
    lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        enable_template(receiver.url)
        enrich(chika)
        enrich(chika)
    assert incomes(chika).count() == 1
