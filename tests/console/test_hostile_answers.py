"""Answers of vendors are hostile input: what has no form of its attribute is neither kept nor shown, and is left out by name."""

from __future__ import annotations

import json

import pytest
from tests.receivers import Answer, receiving

from regulars.base.jobs.run_jobs import run_due
from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.enrichment.models import Lookup
from regulars.enrichment.save import save_source
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile
from regulars.usecases.enrich import queue_enrichment

SCRIPT = "<script>alert(1)</script>"


def deep(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.fixture
def customer(chika) -> Profile:
    learn(chika, [NewFact("email", "chika@example.com", "declared", "app:signin")])
    record(chika, Decision("enrich", "given", "login"))
    refresh_views(chika)
    return chika


@pytest.fixture
def look_up(customer):
    def ask(key: str, answer: Answer, **settings: str) -> Lookup:
        with receiving(answer) as there:
            address = (
                {"url": f"{there.url}/?e={{email}}"} if key == "http" else {"base_url": there.url, "api_key": "key"}
            )
            save_source(key, {**address, **settings}, purpose="enrich")
            queue_enrichment(customer, key)
            run_due()
            assert there.received
        customer.refresh_from_db()
        return Lookup.objects.get()

    return ask


def answer(value: object) -> Answer:
    return Answer(body=json.dumps(value).encode())


HOSTILE = {
    "huge": "x" * 400_000,
    "a little too long": "x" * 501,
    "a list": ["Norte"],
    "an object": {"name": "Norte"},
    "nested": deep(30),
    "a number": 7,
    "true": True,
}
IN_FULLCONTACT = {
    "organization": lambda value: {"organization": value},
    "city": lambda value: {"details": {"locations": [{"city": value}]}},
    "country": lambda value: {"details": {"locations": [{"countryCode": value}]}},
    "gender": lambda value: {"gender": value},
    "age": lambda value: {"ageRange": value},
    "details": lambda value: {"details": value},
    "locations": lambda value: {"details": {"locations": value}},
}


@pytest.mark.parametrize("place", IN_FULLCONTACT)
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_value_of_another_form_is_not_kept(look_up, customer, place, value):
    kept = look_up("fullcontact", answer(IN_FULLCONTACT[place](value)))

    assert (kept.answer, kept.error) == ({}, "")
    assert not customer.facts.filter(source="source:fullcontact").exclude(value=None).exists()
    assert len(json.dumps(customer.document)) < 2000


def test_one_bad_value_leaves_the_others(look_up, customer, caplog):
    kept = look_up("fullcontact", answer({"organization": "x" * 501, "title": "Buyer"}))

    assert kept.answer == {"job_title": "Buyer"}
    assert customer.document["job_title"] == "Buyer"
    assert "employer is left out" in caplog.text
    assert "xxx" not in caplog.text


@pytest.mark.parametrize(
    "picture", ["javascript:alert(1)", "http://a.example/p", "data:text/html,x", 'https://a.example/"onx=', "//a"]
)
def test_picture_is_an_https_address(look_up, customer, picture):
    assert look_up("gravatar", answer({"avatar_url": picture, "company": "Norte"})).answer == {"employer": "Norte"}
    assert "picture" not in customer.document


def test_hidden_characters_are_taken_out(look_up, customer):
    name = "Nor\u202ete\x00\x1b[31m\u2066 Wool\r\nBcc: a"
    kept = look_up("gravatar", answer({"company": name, "display_name": "\u202e"}))

    assert kept.answer["employer"].replace("\ufffd", "") == "Norte[31m WoolBcc: a"
    assert "nickname" not in kept.answer


@pytest.mark.parametrize("key", ["fullcontact", "gravatar"])
def test_markup_is_text_on_pages_of_staff(look_up, customer, console, key):
    look_up(key, answer({"organization": SCRIPT, "company": SCRIPT}))
    pages = [console.get(f"/console/sources/{key}"), console.get(f"/console/customers/{customer.user_id}")]

    for page in pages:
        assert page.status_code == 200
        assert SCRIPT not in page.content.decode()
    assert "&lt;script&gt;" in pages[0].content.decode()


@pytest.mark.parametrize("key", ["fullcontact", "gravatar", "http"])
@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (Answer(302, headers={"location": "http://169.254.169.254/latest/meta-data/"}), "http_302"),
        (Answer(307, headers={"location": "http://10.0.0.1/"}), "http_307"),
        (Answer(200, body=b"[" * 100_000), "bad_answer"),
        (Answer(200, body=b'{"a":' * 300 + b"1" + b"}" * 300), "bad_answer"),
        (Answer(200, body=b"\xff\xfe\x00"), "bad_answer"),
        (Answer(200, body=b'"' + b"x" * 600_000 + b'"'), "too_large"),
        (Answer(200, body=b"[1, 2]"), "unknown_shape"),
        (Answer(200, body=b"\n <html><script>alert(1)</script>"), "html_answer"),
        (Answer(200, body=b"{}", headers={"content-encoding": "gzip"}), ""),
        (Answer(503, headers={"retry-after": "9" * 400}), "http_503"),
        (Answer(429, headers={"retry-after": "-1", "x-ratelimit-reset": "9" * 400}), "http_429"),
    ],
)
def test_hostile_response_is_a_named_failure(look_up, customer, console, key, sent, error):
    more = {"take": "employer = company.name"} if key == "http" else {}
    kept = look_up(key, sent, **more)

    assert (kept.error, kept.answer) == (error, {})
    assert len(kept.last_error) < 200
    assert console.get(f"/console/sources/{key}").status_code == 200


def test_header_of_a_source_does_not_follow_a_redirect(look_up):
    kept = look_up("http", Answer(302, headers={"location": "http://10.0.0.1/"}),
                   take="employer = name", header="X-Api-Key", header_value="secret")  # fmt: skip

    assert kept.error == "http_302"
    assert "secret" not in kept.last_error
