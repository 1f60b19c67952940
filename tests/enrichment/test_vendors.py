"""What vendors are asked, field by field, and which of their answers are facts."""

from __future__ import annotations

import hashlib

import pytest

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import fill_settings
from regulars.enrichment.source import SOURCES, LookupFailed
from tests.receivers import Answer, receiving


def digest(email):
    return hashlib.sha256(email.encode()).hexdigest()


@pytest.fixture
def ask(partners):
    def of(key, email, **settings):
        source = SOURCES[key]
        complete = fill_settings(source.fields, {"api_key": "key", "base_url": partners.at(key), **settings})
        return source.ask(source.question({"email": email}), complete)

    return of


def test_fullcontact_receives_a_fingerprint_and_nothing_else(ask, partners):
    ask("fullcontact", " Ana@Example.com ")
    (call,) = partners.calls()

    assert (call["method"], call["path"]) == ("POST", "/person.enrich")
    assert call["headers"]["authorization"] == "Bearer key"
    assert call["body"] == {"email": digest("ana@example.com"), "infer": False}


def test_what_fullcontact_knows_comes_in_our_words(ask):
    assert ask("fullcontact", "ana@example.com") == {
        "age_band": "25-34",
        "gender": "female",
        "employer": "Norte Wool",
        "job_title": "Buyer",
        "city": "Porto",
        "country": "PT",
    }


def test_unknown_person_is_an_empty_answer(ask):
    assert ask("fullcontact", "ana+404@example.com") == {}
    assert ask("gravatar", "unknown@example.com") == {}


@pytest.mark.parametrize(
    ("email", "name", "permanent", "after"),
    [
        ("ana+202@example.com", "queued", False, 120),
        ("ana+422@example.com", "http_422", True, None),
        ("ana+429@example.com", "http_429", False, 1),
        ("ana+503@example.com", "http_503", False, 30),
    ],
)
def test_what_is_no_profile_is_a_fault_of_its_kind(ask, email, name, permanent, after):
    with pytest.raises(LookupFailed) as failed:
        ask("fullcontact", email)

    assert (failed.value.code, failed.value.permanent, failed.value.after) == (name, permanent, after)


@pytest.mark.parametrize("key", ["fullcontact", "gravatar"])
def test_a_page_for_people_is_no_answer(key):
    with receiving(Answer(body=b"<html>Maintenance</html>")) as receiver, pytest.raises(LookupFailed) as failed:
        settings = fill_settings(SOURCES[key].fields, {"api_key": "key", "base_url": receiver.url})
        SOURCES[key].ask(digest("ana@example.com"), settings)

    assert (failed.value.code, failed.value.permanent) == ("html_answer", False)


def test_a_key_that_is_refused_is_a_lasting_fault(ask):
    for key, name in {"fullcontact": "http_403", "gravatar": "http_401"}.items():
        with pytest.raises(LookupFailed) as failed:
            ask(key, "ana@example.com", api_key="wrong")

        assert (failed.value.code, failed.value.permanent) == (name, True)


def test_gravatar_is_asked_by_fingerprint_and_returns_the_profile(ask, partners):
    found = ask("gravatar", "ana@example.com")
    (call,) = partners.calls()

    assert (call["method"], call["path"]) == ("GET", f"/profiles/{digest('ana@example.com')}")
    assert found["nickname"] == "Ana R."
    assert found["job_title"] == "Buyer"
    assert "employer" not in found, "an empty text is not a fact"


def test_gravatar_limit_ends_with_its_hour(ask):
    with pytest.raises(LookupFailed) as failed:
        ask("gravatar", "ana+429@example.com")

    assert failed.value.after == 1800


FORM = {
    "url": "https://example.com/people?email={email}&in={country}",
    "take": "employer = company.name\ncity = places.0.city",
    "header": "X-Key",
    "header_value": "very-secret",
}


def test_a_source_of_ones_own_is_described_by_a_form():
    source = SOURCES["http"].for_settings(FORM)
    answer = Answer(body=b'{"company": {"name": "Norte Wool"}, "places": [{"city": "Porto"}], "more": 1}')
    with receiving(answer) as receiver:
        settings = {**FORM, "url": FORM["url"].replace("https://example.com", receiver.url)}
        found = source.ask(source.question({"email": "a+b@example.com", "country": "PT"}), settings)

    assert source.needs == ("email", "country")
    assert source.gives == ("employer", "city")
    assert found == {"employer": "Norte Wool", "city": "Porto"}
    assert receiver.received[0].path == "/people?email=a%2Bb%40example.com&in=PT"
    assert receiver.received[0].headers["x-key"] == "very-secret"


def test_a_form_source_asks_nothing_while_an_attribute_is_missing():
    assert SOURCES["http"].for_settings(FORM).question({"email": "a@example.com"}) is None


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"url": "https://{email}/x"}, "bad_url"),
        ({"url": "https://example.com/x"}, "no_attribute"),
        ({"take": "employer"}, "bad_take"),
        ({"take": ""}, "bad_take"),
        ({"header": "bad header"}, "bad_header"),
    ],
)
def test_a_form_that_cannot_work_is_refused_by_name(settings, name):
    with pytest.raises(DomainError) as refused:
        SOURCES["http"].check({**FORM, **settings})

    assert refused.value.code == name
