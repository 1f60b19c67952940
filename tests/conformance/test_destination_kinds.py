"""Every kind of destination that is installed, ours or a stranger's, keeps the promises the house relies on."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext, suppress

import pytest

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import SettingField, fill_settings
from regulars.destinations.kind import KINDS, Call, Message, Removal, Removes, SendFailed, Shows, known_by
from regulars.destinations.mapping import checked
from regulars.profiles.attributes import STANDARD
from tests.partners import service_account

AT = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
MATCH = {"email": "ana@example.com"}
MESSAGE = Message("msg_1", AT, "auth0|chika", "jackets", "Jackets", True, {"city": "Porto"}, MATCH)
REMOVAL = Removal("del_1", AT, "auth0|chika", MATCH, ("jackets",), ("city",), False)
NOBODY_LISTENS = "http://127.0.0.1:9"
USUAL = {
    **dict.fromkeys(("url", "base_url", "token_url", "endpoint"), NOBODY_LISTENS),
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "api_key": "key-us21",
    **dict.fromkeys(("list_id", "account_id", "audience_id"), "123"),
}
every_kind = pytest.mark.parametrize("key", list(KINDS))


@every_kind
def test_it_says_what_it_is_and_what_it_wants(key):
    kind = KINDS[key]
    assert kind.title
    assert kind.help
    assert all(isinstance(field, SettingField) and field.label for field in kind.fields)
    assert all(isinstance(need, str) for need in kind.needs)


@every_kind
def test_no_two_settings_share_a_key_and_no_secret_has_a_default(key):
    fields = KINDS[key].fields
    assert len({field.key for field in fields}) == len(fields)
    assert not [field.key for field in fields if field.secret and field.default]


@every_kind
def test_settings_that_make_no_sense_are_refused_by_name_and_not_by_a_crash(key):
    kind = KINDS[key]
    nonsense = {field.key: "\x00 = nonsense \n" for field in kind.fields}
    with pytest.raises(DomainError) if kind.fields else nullcontext() as refused:
        kind.check(nonsense)
    if refused:
        assert refused.value.code.islower()
        assert not any(nonsense[field.key] in refused.value.message for field in kind.fields)


@pytest.fixture
def nowhere(settings, tmp_path):
    """Settings with which nothing can arrive: a port where nobody listens, a home that is a file."""
    settings.HOME = tmp_path / "no-home"
    settings.HOME.write_text("")

    def of(kind):
        usual = {**USUAL, "service_account": service_account()}
        given = {field.key: usual[field.key] for field in kind.fields if field.key in usual}
        given |= {
            field.key: "some-secret"
            for field in kind.fields
            if field.required and not field.default and field.key not in usual
        }
        return fill_settings(kind.fields, given)

    return of


@every_kind
def test_a_message_that_cannot_arrive_says_so_and_nothing_else(key, nowhere):
    with pytest.raises(SendFailed):
        KINDS[key].send(MESSAGE, nowhere(KINDS[key]))


@every_kind
def test_a_removal_that_cannot_arrive_says_so_and_nothing_else(key, nowhere):
    kind = KINDS[key]
    if not isinstance(kind, Removes):
        assert not hasattr(kind, "remove")
        return
    is_file = not any(field.key.endswith("url") for field in kind.fields)
    with suppress(SendFailed) if is_file else pytest.raises(SendFailed):
        kind.remove(REMOVAL, nowhere(kind))


@every_kind
def test_what_it_would_send_is_shown_without_a_secret_in_the_body_and_without_calling(key, nowhere):
    kind = KINDS[key]
    if not isinstance(kind, Shows):
        return
    settings = nowhere(kind)
    secrets = [settings[field.key] for field in kind.fields if field.secret and field.key != "url"]
    calls = kind.calls(MESSAGE, settings)

    assert calls
    assert all(isinstance(call, Call) for call in calls)
    assert not [secret for secret in secrets for call in calls if secret in call.body]


@every_kind
def test_what_it_maps_and_recognises_people_by_are_words_of_the_house(key):
    kind, words = KINDS[key], {standard.key for standard in STANDARD}
    lines = getattr(kind, "default_mapping", None) or ()

    assert set(known_by(kind)) <= words
    assert {line[0] for line in lines} <= words
    assert len(checked([dict(zip(("attribute", "field", "transform"), line, strict=True)) for line in lines])) == len(
        lines
    )
