"""A source is asked only with permission, once per answer, and a fault is never taken for an answer."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose
from regulars.consent.record import Decision, record
from regulars.enrichment import look_up as module
from regulars.enrichment import save as save_module
from regulars.enrichment.look_up import look_up
from regulars.enrichment.models import Lookup, SourceSetting
from regulars.enrichment.save import SourceLimits, purposes_for, save_source, shown_settings
from regulars.enrichment.source import SOURCES, EnrichmentSource, LookupFailed
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Fact
from regulars.usecases.unit_of_work import changes
from tests.receivers import Answer, receiving

from .conftest import lives_in

KEY = "us-census-acs"
PURPOSES = ("serve", "personalise", "measure", "message", "enrich", "share")
FOUND = Answer(body=b'[["B19013_001E","zip code tabulation area"],["52000","98101"]]')
NOTHING = Answer(204, b"")


def looked_up(profile, key=KEY):
    return {news.attribute: news.value for news in look_up(profile, key)}


@pytest.fixture
def later(monkeypatch):
    """Let the business clock run ahead."""

    def wait(**time):
        moment = clock.now() + dt.timedelta(**time)
        monkeypatch.setattr(clock, "now", lambda: moment)

    return wait


def test_answer_is_a_statistic_of_the_area_derived_from_the_postal_code(chika, source_on):
    postal_code, country, *_ = lives_in(chika, "98101")
    yes = chika.consent_events.get()
    with receiving(FOUND) as receiver:
        source_on(receiver.url)
        (news,) = look_up(chika, KEY)
    assert (news.attribute, news.value, news.source) == ("area_median_income", 52000, "source:us-census-acs")
    assert (news.source_kind, news.basis, news.consents) == ("inferred", "consent", [yes.pk])
    assert set(news.derived_from) == {postal_code.pk, country.pk}


def test_source_outside_is_not_asked_for_a_purpose_about_groups(chika, source_on, caplog):
    """The value that leaves is one person's. A setting of an earlier version stays as it is and asks nothing."""
    lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        setting = source_on(receiver.url)
        with pytest.raises(DomainError) as refused:
            save_source(KEY, {}, purpose="measure")
        SourceSetting.objects.filter(key=KEY).update(purpose="measure")
        with pytest.raises(DomainError) as stopped:
            look_up(chika, KEY)
        assert receiver.received == []
        save_source(KEY, {}, purpose="enrich")
        looked_up(chika)

    assert setting.purpose_id == "enrich"
    assert {refused.value.code, stopped.value.code} == {"purpose_is_for_groups"}
    assert refused.value.field == "purpose"
    assert len(receiver.received) == 1


def test_any_purpose_will_do_for_a_source_on_this_machine(chika):
    assert {each.key for each in purposes_for(SOURCES["us-areas"])} == set(PURPOSES)
    assert {each.key for each in purposes_for(SOURCES[KEY])} == set(PURPOSES) - {"measure"}
    assert "serve" not in {each.key for each in purposes_for(SOURCES["fullcontact"])}


def test_every_source_may_be_asked_for_the_purpose_it_declares(standard_setup):
    assert [key for key, source in SOURCES.items() if source.why_not_for(get_purpose(source.purpose))] == []


def test_purpose_that_got_another_basis_stops_a_source_of_personal_data(chika, directory):
    source = directory({"employer": "Norte Wool"})
    record(chika, Decision("enrich", "given", "test"))
    Purpose.objects.filter(key="enrich").update(basis="legitimate_interest")

    with pytest.raises(DomainError) as refused:
        look_up(chika, "directory")

    assert (refused.value.code, source.asked) == ("purpose_needs_consent", [])


def test_after_a_withdrawal_nothing_leaves(chika, source_on):
    lives_in(chika, "98101")
    record(chika, Decision("enrich", "withdrawn", "test"))
    with receiving(FOUND) as receiver:
        source_on(receiver.url)
        with pytest.raises(DomainError) as refused:
            look_up(chika, KEY)
    assert refused.value.code == "no_consent"
    assert receiver.received == []


def test_a_source_that_is_off_is_not_asked(chika, standard_setup):
    lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        save_source(KEY, {"base_url": receiver.url, "api_key": "k"}, enabled=False)
        with pytest.raises(DomainError) as refused:
            look_up(chika, KEY)
    assert refused.value.code == "source_off"
    assert receiver.received == []


def test_customer_abroad_is_no_question(chika, source_on):
    lives_in(chika, "10437", "DE")
    with receiving(FOUND) as receiver:
        source_on(receiver.url)
        assert looked_up(chika) == {"area_median_income": None}
    assert receiver.received == []


def test_neighbours_share_one_answer(chika, source_on):
    neighbour, _ = get_or_create_by_identity("google-oauth2", "1002", connection="google-oauth2", is_social=True)
    with receiving(FOUND) as receiver:
        source_on(receiver.url)
        for profile in (chika, neighbour):
            lives_in(profile, "98101")
            assert looked_up(profile) == {"area_median_income": 52000}
    assert len(receiver.received) == 1


def test_an_answer_is_fresh_for_half_a_year(chika, source_on, later):
    lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        source_on(receiver.url)
        looked_up(chika)
        later(days=179)
        looked_up(chika)
        assert len(receiver.received) == 1
        later(days=2)
        looked_up(chika)
        assert len(receiver.received) == 2


def test_operator_sets_how_long_an_answer_is_fresh(chika, source_on, later):
    lives_in(chika, "98101")
    with receiving(FOUND) as receiver:
        source_on(receiver.url)
        save_source("us-census-acs", {}, limits=SourceLimits(fresh_days=7))
        (news, *_) = look_up(chika, "us-census-acs")
        later(days=8)
        looked_up(chika)

    assert len(receiver.received) == 2
    assert (news.expires_at - clock.now()).days < 14


def test_that_nothing_is_known_is_kept_for_a_month(chika, source_on, later):
    lives_in(chika, "98101")
    with receiving(NOTHING) as receiver:
        source_on(receiver.url)
        looked_up(chika)
        later(days=29)
        assert looked_up(chika) == {"area_median_income": None}
        assert len(receiver.received) == 1
        later(days=2)
        looked_up(chika)
        assert len(receiver.received) == 2


def test_a_passing_fault_is_forgotten_with_the_next_answer(chika, source_on):
    lives_in(chika, "98101")
    with receiving(Answer(503), FOUND) as receiver:
        source_on(receiver.url)
        with pytest.raises(LookupFailed):
            look_up(chika, KEY)
        assert Lookup.objects.get().error == "http_503"
        assert looked_up(chika) == {"area_median_income": 52000}
    assert Lookup.objects.get().error == ""


def test_a_lasting_fault_is_not_provoked_at_every_login(chika, source_on, later):
    lives_in(chika, "98101")
    with receiving(Answer(403), FOUND) as receiver:
        source_on(receiver.url)
        for _ in range(2):
            with pytest.raises(LookupFailed) as failed:
                look_up(chika, KEY)
            assert (failed.value.code, failed.value.permanent) == ("http_403", True)
        assert len(receiver.received) == 1
        later(minutes=61)
        assert looked_up(chika) == {"area_median_income": 52000}


def test_mending_the_settings_lifts_a_lasting_fault_at_once(chika, source_on):
    lives_in(chika, "98101")
    with receiving(Answer(403), FOUND) as receiver:
        source_on(receiver.url)
        with pytest.raises(LookupFailed):
            look_up(chika, KEY)
        source_on(receiver.url, api_key="mended")
        assert looked_up(chika) == {"area_median_income": 52000}


class Directory(EnrichmentSource):
    """A third party's source that receives personal data."""

    title, help = "Directory", "Knows people by e-mail address."
    needs, gives, purpose = ("email",), ("employer",), "enrich"
    confidence, fresh_days, nothing_days = 0.9, 30, 7

    def __init__(self, said):
        self.said = said
        self.asked = []

    def question(self, traits):
        return "chika@example.com"

    def ask(self, question, settings):
        self.asked.append(question)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def directory(standard_setup, monkeypatch):
    def install(said):
        source = Directory(said)
        monkeypatch.setattr(module, "SOURCES", {"directory": source})
        monkeypatch.setattr(save_module, "SOURCES", {"directory": source})
        save_source("directory", {})
        return source

    return install


def test_source_of_personal_data_waits_for_consent(chika, directory):
    source = directory({"employer": "Norte Wool"})
    with pytest.raises(DomainError) as refused:
        look_up(chika, "directory")
    assert (refused.value.code, source.asked) == ("no_consent", [])
    yes = record(chika, Decision("enrich", "given", "test"))
    (news,) = look_up(chika, "directory")
    assert (news.value, news.basis, news.consents) == ("Norte Wool", "consent", [yes.pk])


def test_source_of_personal_data_needs_a_consent_purpose(directory):
    directory({})
    with pytest.raises(DomainError) as refused:
        save_source("directory", {}, purpose="measure")
    assert refused.value.code == "purpose_needs_consent"


def test_answer_about_a_person_is_erased_with_them_and_not_shared(chika, directory):
    source = directory({"employer": "Norte Wool"})
    other, _ = get_or_create_by_identity("google-oauth2", "1002", connection="google-oauth2", is_social=True)
    for profile in (chika, other):
        record(profile, Decision("enrich", "given", "test"))
        look_up(profile, "directory")
    assert len(source.asked) == 2
    chika.delete()
    assert Lookup.objects.count() == 1


def test_undeclared_attributes_of_an_answer_are_dropped(chika, directory):
    directory({"employer": "Norte Wool", "gender": "female"})
    record(chika, Decision("enrich", "given", "test"))
    assert looked_up(chika, "directory") == {"employer": "Norte Wool"}


@pytest.mark.parametrize("kind", ["declared", "corrected", "verified", "imported", "", "enriched", "inferred"])
def test_word_of_a_plug_in_is_that_of_a_look_up(chika, directory, kind):
    """Whatever it calls itself, it outranks no customer, proves nothing and gives no special category."""
    source = directory(
        {"employer": "Norte Wool", "email_verified": True, "religion": "x", "app_metadata.role": "admin"}
    )
    source.source_kind, source.confidence = kind, 99.0
    source.gives = ("employer", "email_verified", "religion", "app_metadata.role")
    Attribute.objects.create(key="religion", label="Religion", purposes=["serve"], sensitivity="special")
    record(chika, Decision("enrich", "given", "test"))
    learn(chika, [NewFact("employer", "Alder", "declared", "app:signin")])
    with changes(chika, "test") as c:
        c.learn(look_up(chika, "directory"))

    (fact,) = Fact.objects.filter(profile=chika, source="source:directory")
    assert (fact.attribute, fact.asserter, fact.confidence) == ("employer", "lookup", 1.0)
    assert fact.source_kind in ("enriched", "inferred")
    chika.refresh_from_db()
    assert chika.document["employer"] == "Alder"
    assert not {"email_verified", "religion", "app_metadata"} & chika.document.keys()


@pytest.mark.parametrize("said", [KeyError("very private"), ["employer"], None])
def test_a_source_that_breaks_is_a_passing_fault_whose_words_are_not_kept(chika, directory, said):
    directory(said)
    record(chika, Decision("enrich", "given", "test"))
    with pytest.raises(LookupFailed) as failed:
        look_up(chika, "directory")
    assert (failed.value.code, failed.value.permanent) == ("plugin_failed", False)
    assert "private" not in Lookup.objects.get().last_error


def test_no_secret_is_written_down_or_shown(chika, source_on, monkeypatch):
    lives_in(chika, "98101")
    setting = source_on("http://example.com", api_key="very-secret")
    assert shown_settings(setting)["api_key"] == "••••••••"

    def fail(question, settings):
        raise LookupFailed("bad_key", f"The key {settings['api_key']} is wrong.", permanent=True)

    monkeypatch.setattr(module.SOURCES[KEY], "ask", fail)
    with pytest.raises(LookupFailed) as failed:
        look_up(chika, KEY)
    assert "very-secret" not in failed.value.message + Lookup.objects.get().last_error
