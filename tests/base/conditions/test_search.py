"""Auth0's user search: eight people and the expected result of every query."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from regulars.base.conditions import ConditionError, Person, matches, parse_search, terms_of

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
PEOPLE = json.loads(Path(__file__).with_name("people.json").read_text())

EVERYBODY = "u01 u02 u03 u04 u05 u06 u07 u08"
FOUND = {
    'email:"jane.smith@example.com"': "u01",
    "email:jane.smith@EXAMPLE.com": "u01",
    "email.domain:EXAMPLE.com": "u01 u03 u08",
    'name:"jane smith"': "u01",
    "name:smith": "",
    "name:*smith*": "u01",
    "name:john*": "u02 u03",
    "name:jane*smith": "u01",
    "family_name:(Doe OR Curie)": "u02 u04",
    'nickname:"john.doe"': "u02",
    "username:JSmith": "",
    'user_id:"auth0|u01"': "u01",
    "user_id:auth0*": "u01 u03 u06 u08",
    r"user_id:auth0\|u03": "u03",
    r"phone_number:\+336*": "u05",
    "phone_verified:true": "u05",
    "email_verified:false": "u03 u08",
    "NOT _exists_:email_verified": "u05 u07",
    "blocked:true": "u04",
    "NOT blocked:true": "u01 u02 u03 u05 u06 u07 u08",
    "logins_count:[10 TO 100}": "u02 u04",
    "logins_count:{10 TO 100]": "u04 u06",
    "logins_count:[* TO 10}": "u05 u08",
    "NOT _exists_:logins_count OR logins_count:0": "u03 u08",
    "last_login:[2025-12-01 TO 2026-01-01}": "u01 u04 u06",
    "last_login:{2025-12-01 TO *]": "u01 u06 u07",
    "created_at:[2025-05 TO 2025-06]": "u04 u05",
    "created_at:2025-05-17": "",
    'last_ip:"203.0.113.7"': "u01",
    "last_ip:198.51.100.*": "u02",
    'identities.connection:"google-oauth2"': "u02",
    "identities.provider:auth0": "u01 u03 u06 u08",
    "identities.isSocial:true": "u02 u04 u06",
    'identities.user_id:"L-77"': "u06",
    "locale:en-GB": "u02",
    "gender:female": "u04",
    'user_metadata.plan:"Gold"': "u01",
    "user_metadata.display.fontSize:13": "u01 u06",
    "_exists_:user_metadata.display.preferredLanguage": "u01 u02",
    'user_metadata.jobs.company:"Globex"': "u06",
    'user_metadata.jobs.title:"CTO" AND user_metadata.jobs.company:"Globex"': "u06",
    "_exists_:user_metadata.plan": "u01 u02 u04 u06",
    "_exists_:user_metadata.tags": "",
    r"user_metadata.company:AND\ Digital\ \(UK\)": "u08",
    'app_metadata.subscription.plan:"gold"': "u01 u06",
    "app_metadata.score:[50 TO 80]": "u01 u06 u07",
    "app_metadata.subscription.plan:g*": "u01 u06",
    "gold": "",
    "name:john AND email_verified:true": "",
    "name:john* AND NOT email.domain:gmail.com": "u03",
    "(name:john* OR name:marie*) AND logins_count:[50 TO *]": "u04",
    r"name:Jane\ Smith": "u01",
    'email:"o\'neil+promo@example.com"': "u08",
    'name:("jane smith" OR "john doe")': "u01 u02",
    "*": EVERYBODY,
    "email:test*": "",
    "name:jane* && logins_count:120 || name:marie*": "u01 u04",
}
REFUSED = {
    "name:*sa": "leading_wildcard_too_short",
    "name:*ri*": "leading_wildcard_too_short",
    "user_metadata.plan:gol*": "wildcard_on_user_metadata",
    "user_metadata.age:[1 TO 9]": "range_on_user_metadata",
    "name:(a OR": "syntax",
    "AND name:a": "syntax",
    "name:john~": "syntax",
    "name:/jo.*/": "syntax",
    "+name:a": "syntax",
    "name:jo?n": "syntax",
    "": "empty",
    "name:": "syntax",
    'name:"a': "syntax",
    "name:[1 TO": "syntax",
    "name:\x00": "syntax",
    "(" * 100 + "a:b" + ")" * 100: "too_deep",
    "a:b " * 5000: "too_long",
    'segment:"vip"': "not_in_user_search",
    'did("Signed In")': "not_in_user_search",
    "connection:google": "unknown_field",
    r"a\"b:c": "bad_field",
}


def found(query):
    condition = parse_search(query)
    return " ".join(
        person["user_id"].rpartition("|")[2] for person in PEOPLE if matches(condition, Person(terms_of(person)), NOW)
    )


@pytest.mark.parametrize(("query", "people"), FOUND.items())
def test_query_finds_the_expected_people(query, people):
    assert found(query) == people


@pytest.mark.parametrize(("query", "name"), REFUSED.items())
def test_invalid_query_is_refused_with_a_code(query, name):
    with pytest.raises(ConditionError) as refusal:
        parse_search(query)

    assert refusal.value.code == name


def test_an_unescaped_space_means_or():
    """`name:Jane` finds no one; the bare `Smith` finds a family name."""
    assert found("name:Jane Smith") == "u01"
    assert found("name:Jane") == ""


def test_the_position_of_an_error_is_reported():
    with pytest.raises(ConditionError) as refusal:
        parse_search("name:a AND )")

    assert refusal.value.position == 11
