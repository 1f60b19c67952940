"""Which decision a fact stands under: the very one it was given with, and no other."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.connections.provider import PROVIDERS, ProviderClaim
from regulars.consent.models import ConsentEvent, ConsentState, Purpose
from regulars.consent.notices import ShownNotice
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision, first_broken_link, record
from regulars.consent.refresh import refresh_views
from regulars.consent.view import may, view, withheld
from regulars.profiles.find import find_by_user_id, get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile, RefusedGuess
from regulars.usecases.complete_social_login import ClaimConsent, ProviderLogin, complete_social_login
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import change_purpose, decide, expire_consents
from regulars.usecases.shown_notices import claim_notice
from regulars.usecases.unit_of_work import changes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]

CLAIMS = {"gender": "gender", "birthdate": "birthday", "city": "address"}
SHARED = {"gender": "female", "birthdate": "1990-01-01", "city": "Porto"}


@pytest.fixture
def clock_at(monkeypatch):
    def move(**ahead):
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(**ahead))

    return move


def agreed_now(claim):
    (asked,) = (each for each in PROVIDERS["google-oauth2"].requested_claims if each.key == claim)
    return ClaimConsent(claim, claim_notice(asked, "en"))


def shares(*claims):
    """A login at Google at which the customer ticks these claims."""
    complete_social_login(
        ProviderLogin(
            "google-oauth2",
            "1001",
            "google-oauth2",
            {},
            [],
            [],
            [ProviderClaim(key, SHARED[key], "social", CLAIMS[key]) for key in claims],
            [agreed_now(CLAIMS[key]) for key in claims],
        )
    )
    return find_by_user_id("google-oauth2|1001")


def says(profile, action, purpose="personalise", **more):
    return decide(profile, Decision(purpose, action, "profile", **more))


def knows(profile, attribute, value, **more):
    with changes(profile, "test") as c:
        c.learn([NewFact(attribute, value, "declared", "app:shop", **more)])


def permitted(profile, purpose):
    """What the gate, the cached view and the segment terms say; they agree."""
    live = {key: value.value for key, value in view(profile, purpose).items()}
    row = profile.permitted_views.get(purpose=purpose)
    assert row.traits == live
    assert {key for key in row.terms if key != "consent"} == set(live)
    return live


def test_a_tick_of_something_else_revives_nothing(chika):
    shares("gender", "birthdate")
    assert {"gender", "birthdate"} <= permitted(chika, "serve").keys()
    says(chika, "withdrawn")

    shares("city")

    assert permitted(chika, "serve") == permitted(chika, "personalise") == {"city": "Porto"}
    chika.refresh_from_db()
    assert not {"gender", "birthdate", "age_band"} & chika.document.keys()


@pytest.mark.parametrize("how", ["profile", "login"])
def test_a_new_yes_after_a_withdrawal_revives_no_fact_of_the_earlier_one(chika, how):
    shares("gender", "city")
    says(chika, "withdrawn")

    if how == "profile":
        says(chika, "given")
    else:
        shares("gender")

    assert permitted(chika, "personalise") == ({} if how == "profile" else {"gender": "female"})
    assert "city" not in permitted(chika, "serve")


def test_a_renewed_yes_keeps_what_was_given_under_it(chika, clock_at):
    Purpose.objects.filter(key="personalise").update(expires_days=30)
    shares("gender", "city")
    for days in (20, 40, 60):
        clock_at(days=days)
        shares("gender")

    assert permitted(chika, "personalise") == {"gender": "female"}, "the yes to the city was not renewed"
    assert chika.facts.filter(attribute="gender").count() == 1
    clock_at(days=95)
    assert view(chika, "personalise") == {}
    assert expire_consents() == 1
    shares("city")
    assert permitted(chika, "personalise") == {"city": "Porto"}


def test_what_ran_out_is_closed_within_a_minute_though_another_yes_stands(chika, clock_at):
    Purpose.objects.filter(key="personalise").update(expires_days=30)
    shares("gender")
    clock_at(days=20)
    shares("city")
    clock_at(days=30, minutes=1)

    assert expire_consents() == 1

    assert permitted(chika, "personalise") == permitted(chika, "serve") == {"city": "Porto"}
    assert not chika.consent_events.filter(action="expired").exists()
    assert expire_consents() == 0


def test_a_tick_opens_only_what_was_asked_about(chika):
    knows(chika, "country", "PT")
    shares("gender")
    assert may(chika, "personalise")
    assert permitted(chika, "personalise") == {"gender": "female"}
    assert withheld(chika, "personalise")["country"] == "not_asked_for_this"

    says(chika, "given")

    assert permitted(chika, "personalise").keys() == {"gender", "country", "continent"}


def test_what_only_the_contract_needs_passes_for_no_other_purpose(chika):
    knows(chika, "country", "PT")

    for purpose in Purpose.objects.exclude(basis="contract"):
        assert permitted(chika, purpose.key) == {}
    assert permitted(chika, "serve")["country"] == "PT"


def test_an_objection_closes_what_was_collected_for_the_interest_everywhere(chika):
    for purpose in ("message", "personalise"):
        says(chika, "given", purpose)
    knows(chika, "country", "PT", basis="legitimate_interest", purpose="measure")
    assert all("country" in permitted(chika, key) for key in ("measure", "message", "personalise", "serve"))

    says(chika, "objected", "measure")

    assert not any("country" in permitted(chika, key) for key in ("measure", "message", "personalise", "serve"))
    chika.refresh_from_db()
    assert "country" not in chika.document
    says(chika, "objection_lifted", "measure")
    assert "country" in permitted(chika, "measure")


def test_facts_under_words_that_were_widened_wait_for_a_yes_of_their_own(chika):
    shares("gender", "city")
    change_purpose("personalise", PurposeText("Fit", "To show you things, and to tell partners."), widened=True)
    shares("gender")

    assert permitted(chika, "personalise") == permitted(chika, "serve") == {"gender": "female"}


def test_facts_stay_open_when_a_purpose_is_only_reworded(chika):
    shares("gender", "city")
    change_purpose("personalise", PurposeText("Fit", "To show you what fits you."), widened=False)
    shares("gender")

    assert permitted(chika, "personalise") == {"gender": "female", "city": "Porto"}


def test_a_correction_stands_under_the_decision_of_what_it_corrects(chika):
    shares("gender")
    correct(chika, "gender", "other")
    assert permitted(chika, "personalise") == {"gender": "other"}

    says(chika, "withdrawn")

    assert "gender" not in permitted(chika, "serve")


def test_an_import_without_evidence_changes_no_yes(chika):
    shares("gender")
    record(chika, Decision("personalise", "imported", "import"))
    refresh_views(chika)

    assert permitted(chika, "personalise") == {"gender": "female"}


def test_a_clock_that_is_set_back_opens_nothing(chika, clock_at):
    clock_at(hours=2)
    says(chika, "given", "message")
    clock_at(hours=0)
    says(chika, "withdrawn", "message")
    assert not may(chika, "message")
    says(chika, "given", "message")
    assert not may(chika, "message"), "of two decisions at one instant the no counts"

    clock_at(hours=3)
    says(chika, "given", "message")

    assert may(chika, "message")
    assert first_broken_link(chika) is None


def test_a_decision_that_arrives_late_takes_its_place_in_time(chika):
    says(chika, "given", "message")
    a_year_ago = clock.now() - dt.timedelta(days=365)
    record(chika, Decision("message", "withdrawn", "import", at=a_year_ago))
    assert may(chika, "message")

    Purpose.objects.filter(key="share").update(expires_days=30)
    record(chika, Decision("share", "imported", "import", evidence={"form": "1"}, at=a_year_ago))

    assert not may(chika, "share"), "its month is over"


@pytest.mark.parametrize(
    ("decision", "code"),
    [
        (Decision("curiosity", "given", "api"), "unknown_purpose"),
        (Decision("message", "perhaps", "api"), "unknown_action"),
        (Decision("message", "given", "api", locale="klingon"), "unknown_language"),
        (Decision("message", "given", "api", notice=ShownNotice("message", 2, "en", "News")), "unknown_version"),
        (Decision("message", "given", "api", notice=ShownNotice("message", 0, "en", "News")), "unknown_version"),
        (Decision("message", "given", "api", notice=ShownNotice("message", 1, "?", "News")), "unknown_language"),
        (Decision("message", "given", "api", at=clock.now() + dt.timedelta(days=1)), "time_to_come"),
    ],
)
def test_a_decision_about_nothing_known_is_refused_whole(chika, decision, code):
    with pytest.raises(DomainError) as refusal, changes(chika, "test") as c:
        c.decide_all([(chika, [Decision("share", "given", "api"), decision])])

    assert refusal.value.code == code
    assert not ConsentEvent.objects.exists()
    assert not ConsentState.objects.exists()


def test_a_decision_of_an_unknown_profile_is_refused(chika):
    gone = Profile(pk=chika.pk + 1000, user_id="auth0|gone")

    with pytest.raises(DomainError) as refusal:
        record(gone, Decision("message", "given", "api"))

    assert refusal.value.code == "customer_erased"


def test_a_purpose_that_is_not_used_any_more_can_still_be_withdrawn_from(chika):
    says(chika, "given", "message")
    Purpose.objects.filter(key="message").update(active=False)

    record(chika, Decision("message", "withdrawn", "profile"))

    assert ConsentState.objects.get(profile=chika).status == "withdrawn"


@pytest.mark.parametrize("field", ["expires_at", "copy_of", "evidence"])
def test_a_changed_expiry_or_origin_breaks_the_chain(chika, field):
    yes = record(chika, Decision("message", "given", "profile"))
    value = {"expires_at": clock.now(), "copy_of": 7, "evidence": {"pieces": ["email"]}}[field]
    ConsentEvent.objects.filter(pk=yes.pk).update(**{field: value})

    assert first_broken_link(chika) == yes


def test_a_decision_costs_as_many_queries_after_a_hundred_as_after_one(chika, django_assert_max_num_queries):
    def tick():
        decision = Decision("personalise", "given", "login", words="Words", pieces=("gender",))
        with changes(chika, "test") as c:
            c.decide(decision)

    tick()
    for _ in range(100):
        record(chika, Decision("personalise", "given", "login", words="Words", pieces=("gender",)))
    with django_assert_max_num_queries(30) as few:
        tick()
    read = [query["sql"] for query in few.captured_queries if 'FROM "consent_consentevent"' in query["sql"]]

    assert len(ConsentState.objects.get(profile=chika, purpose="personalise").standing) == 1
    assert len(read) == 1, "the end of the chain"


def test_an_imported_fact_needs_a_decision(chika):
    other, _ = get_or_create_by_identity("auth0", "1", connection="list")
    with changes(other, "test") as c:
        c.learn([NewFact("country", "PT", "imported", "import:list", basis="consent")])

    assert not other.facts.exists()
    assert [row.why for row in RefusedGuess.objects.all()] == ["no_decision"]
