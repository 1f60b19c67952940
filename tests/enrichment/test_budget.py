"""No source is asked more, or for more money, than its owner allows; what cannot be asked today waits, and loses nothing."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import timezone

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.enrichment import calls
from regulars.enrichment.budget import RateLimited, acquire_call
from regulars.enrichment.models import SourceDay, SourceSetting
from regulars.enrichment.save import SourceLimits, save_source
from regulars.profiles.find import get_or_create_by_identity
from regulars.usecases.enrich import dead_letters, queue_all_sources, queue_enrichment, resend_dead_letters
from tests.receivers import Answer, receiving

from .conftest import lives_in

KEY = "us-census-acs"
FOUND = Answer(body=b'[["B19013_001E","zip code tabulation area"],["52000","98101"]]')
pytestmark = pytest.mark.usefixtures("lake")


@pytest.fixture
def crowd(standard_setup):
    """Three customers in three areas."""
    profiles = [get_or_create_by_identity("google-oauth2", str(number))[0] for number in range(3)]
    for number, profile in enumerate(profiles):
        lives_in(profile, f"9810{number}")
    return profiles


def source_on(url, **limits):
    return save_source(KEY, {"base_url": url, "api_key": "k"}, limits=SourceLimits(**limits))


def ask_about(profiles):
    for profile in profiles:
        queue_enrichment(profile, KEY)
    run_due()


def states():
    return sorted(Job.objects.filter(kind="enrich").values_list("state", flat=True))


def test_the_days_calls_are_not_exceeded_and_the_rest_waits_for_tomorrow(crowd):
    with receiving(FOUND) as receiver:
        source_on(receiver.url, calls_per_day=2)
        ask_about(crowd)
    waiting = Job.objects.get(kind="enrich", state="waiting")

    assert len(receiver.received) == 2
    assert waiting.attempts == 0, "what was not tried is no attempt"
    assert waiting.due_at - timezone.now() <= dt.timedelta(days=1)
    assert SourceDay.objects.get().calls == 2


def test_the_days_money_is_not_exceeded(crowd):
    with receiving(FOUND) as receiver:
        source_on(receiver.url, price=Decimal("0.40"), money_per_day=Decimal(1))
        ask_about(crowd)

    assert len(receiver.received) == 2
    assert SourceDay.objects.get().cost == Decimal("0.80")


def test_tomorrow_is_another_day(standard_setup, monkeypatch):
    setting = source_on("http://example.com", calls_per_day=1)
    acquire_call(setting)
    with pytest.raises(RateLimited) as no:
        acquire_call(setting)
    assert (no.value.code, no.value.permanent) == ("over_budget", False)
    tomorrow = clock.now() + dt.timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    acquire_call(setting)

    assert SourceDay.objects.count() == 2


def test_an_answer_that_is_kept_costs_nothing(crowd):
    with receiving(FOUND) as receiver:
        source_on(receiver.url, calls_per_day=1)
        ask_about(crowd[:1])
        ask_about(crowd[:1])

    assert states() == ["done", "done"]


def test_calls_keep_their_pace_and_delay_no_other_queue(crowd):
    with receiving(FOUND) as receiver:
        setting = source_on(receiver.url, calls_per_minute=1)
        ask_about(crowd)

    assert len(receiver.received) == 1
    assert states() == ["done", "waiting", "waiting"]
    assert 0 < (SourceSetting.objects.get(pk=setting.pk).next_call_at - timezone.now()).total_seconds() <= 60


def test_a_source_that_hangs_is_left_alone_for_a_while(crowd, monkeypatch):
    monkeypatch.setattr(calls, "TIMEOUT", 0.5)
    with receiving(Answer(wait=30)) as hanging:
        source_on(hanging.url)
        ask_about(crowd)

    assert len(hanging.received) == 1
    assert states() == ["waiting", "waiting", "waiting"]


def test_every_outcome_is_counted(crowd):
    with receiving(FOUND, Answer(204, b""), Answer(503)) as receiver:
        source_on(receiver.url)
        for profile in crowd:
            queue_enrichment(profile, KEY)
            run_due()
    day = SourceDay.objects.get()

    assert (day.calls, day.faults, day.answers + day.nothing) == (3, 1, 2)


def test_what_was_given_up_is_asked_again_by_hand(crowd):
    with receiving(Answer(403), Answer(204, b"")) as receiver:
        source_on(receiver.url)
        ask_about(crowd[:1])
        assert len(dead_letters(KEY)) == 1
        assert resend_dead_letters(KEY) == 1
        run_due()

    assert states() == ["done"]
    assert dead_letters(KEY) == []


def test_every_source_that_is_on_is_asked(crowd):
    source_on("http://example.com")
    save_source("hints", {})
    save_source("email", {}, enabled=False)

    assert {job.payload["source"] for job in queue_all_sources(crowd[0])} == {KEY, "hints"}


@pytest.mark.parametrize("limits", [{"calls_per_day": -1}, {"calls_per_minute": 0}, {"concurrency": 0}])
def test_limits_that_make_no_sense_are_refused(standard_setup, limits):
    with pytest.raises(DomainError) as refused:
        source_on("http://example.com", **limits)

    assert refused.value.code == "bad_limit"


def test_saving_settings_alone_leaves_the_limits(standard_setup):
    source_on("http://example.com", calls_per_day=5)
    save_source(KEY, {})

    assert SourceSetting.objects.get().calls_per_day == 5
