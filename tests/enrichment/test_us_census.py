"""The Census Bureau's answers are read for what they are: amounts, no estimate, no area, or a fault with a name."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import fill_settings
from regulars.enrichment import calls
from regulars.enrichment.source import LookupFailed
from regulars.enrichment.sources.us_census import us_census
from tests.receivers import Answer, receiving

HEAD = b'["B19013_001E","zip code tabulation area"]'


def settings(url: str, **given: str) -> dict[str, str]:
    return fill_settings(us_census.fields, {"base_url": url, "api_key": "secret-key", **given})


def ask(answer: Answer):
    with receiving(answer) as receiver:
        return us_census.ask("98101", settings(receiver.url))


def fault_of(answer: Answer) -> LookupFailed:
    with pytest.raises(LookupFailed) as failed:
        ask(answer)
    return failed.value


def test_the_mock_and_the_source_understand_each_other(bureau):
    assert us_census.ask("98101", settings(bureau)) == {"area_median_income": 52000}


def test_only_the_zip_code_is_sent():
    with receiving(Answer(body=b"[%s]" % HEAD)) as receiver:
        us_census.ask("98101", settings(receiver.url + "/data/"))
    (got,) = receiver.received
    parts = urlsplit(got.path)
    assert parts.path == "/data/2024/acs/acs5"
    assert parse_qs(parts.query) == {
        "get": ["B19013_001E"],
        "for": ["zip code tabulation area:98101"],
        "key": ["secret-key"],
    }
    assert got.body == b""


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        (b'["52000","98101"]', {"area_median_income": 52000}),
        (b'[52000,"98101"]', {"area_median_income": 52000}),
        (b'["250001","98101"]', {"area_median_income": 250001}),
        (b'["-666666666","98101"]', {}),
        (b'["-999999999","98101"]', {}),
        (b'[null,"98101"]', {}),
        (b'["52000","98102"]', {}),
    ],
)
def test_an_amount_is_an_amount_and_a_code_for_no_estimate_is_nothing(row, answer):
    assert ask(Answer(body=b"[%s,%s]" % (HEAD, row))) == answer


def test_an_area_without_anybody_is_nothing(bureau):
    assert us_census.ask("99999", settings(bureau)) == {}


def test_an_area_without_an_estimate_is_nothing(bureau):
    assert us_census.ask("73301", settings(bureau)) == {}


@pytest.mark.parametrize(
    ("key", "name", "permanent"),
    [("invalid", "bad_key", True), ("maintenance", "html_answer", False), ("down", "http_503", False)],
)
def test_the_faults_of_the_mock_have_names(bureau, key, name, permanent):
    with pytest.raises(LookupFailed) as failed:
        us_census.ask("98101", settings(bureau, api_key=key))
    assert (failed.value.code, failed.value.permanent) == (name, permanent)


def test_a_year_that_was_not_surveyed_is_a_permanent_fault(bureau):
    with pytest.raises(LookupFailed) as failed:
        us_census.ask("98101", settings(bureau, year="2031"))
    assert (failed.value.code, failed.value.permanent) == ("http_404", True)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404])
def test_what_the_bureau_refuses_is_not_asked_again_soon(status):
    fault = fault_of(Answer(status, b"error", {"location": "/missing_key.html"}))
    assert (fault.code, fault.permanent) == (f"http_{status}", True)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_bureau_in_trouble_is_asked_again(status):
    fault = fault_of(Answer(status, b"error", {"retry-after": "30"}))
    assert (fault.code, fault.permanent, fault.after) == (f"http_{status}", False, 30.0)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "no"}',
        b"[]",
        b"[1, 2]",
        b'[["NAME"],["ZCTA5 98101"]]',
        b'[%s,["many","98101"]]' % HEAD,
        b'[%s,["0","98101"]]' % HEAD,
        b'[%s,["-5","98101"]]' % HEAD,
        b'[%s,[true,"98101"]]' % HEAD,
    ],
)
def test_json_of_another_shape_is_a_fault_and_never_an_amount(body):
    fault = fault_of(Answer(body=body))
    assert (fault.code, fault.permanent) == ("unknown_shape", True)


def test_half_an_answer_is_asked_again():
    fault = fault_of(Answer(body=b'[["B19013'))
    assert (fault.code, fault.permanent) == ("bad_answer", False)


def test_a_bureau_that_takes_too_long_is_asked_again(monkeypatch):
    monkeypatch.setattr(calls, "TIMEOUT", 0.2)
    fault = fault_of(Answer(wait=5))
    assert (fault.code, fault.permanent) == ("timed_out", False)


@pytest.mark.parametrize(
    ("traits", "question"),
    [
        ({"postal_code": "98101", "country": "US"}, "98101"),
        ({"postal_code": " 98101-1234 ", "country": "US"}, "98101"),
        ({"postal_code": "10437", "country": "DE"}, None),
        ({"postal_code": "10437"}, None),
        ({"postal_code": "9810", "country": "US"}, None),
        ({"postal_code": "98101&for=state:*", "country": "US"}, None),
        ({"postal_code": "٩٨١٠١", "country": "US"}, None),
        ({"country": "US"}, None),
    ],
)
def test_only_a_zip_code_of_the_united_states_is_a_question(traits, question):
    assert us_census.question(traits) == question


@pytest.mark.parametrize(
    ("given", "name"),
    [({"base_url": "census"}, "bad_url"), ({"base_url": "http://["}, "bad_url"), ({"year": "24"}, "bad_year")],
)
def test_settings_that_cannot_work_are_refused_by_name(given, name):
    with pytest.raises(DomainError) as refused:
        us_census.check({**settings("https://api.census.gov/data"), **given})
    assert refused.value.code == name
