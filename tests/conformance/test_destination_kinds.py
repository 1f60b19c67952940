"""Every installed kind of destination, built in or of a third party, keeps the contract of `DestinationKind`."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext, suppress

import pytest

from regulars.base.errors import DomainError, Invalid
from regulars.base.plugins.fields import fill_settings
from regulars.destinations.kind import (
    KINDS,
    DeletionRequest,
    DestinationKind,
    SegmentMessage,
    SendFailed,
    match_attributes,
)
from regulars.destinations.mapping import checked
from regulars.profiles.attributes import STANDARD
from tests.partners import service_account

AT = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
MATCH = {"email": "ana@example.com"}
MESSAGE = SegmentMessage("msg_1", AT, "auth0|chika", "jackets", "Jackets", True, {"city": "Porto"}, MATCH)
REMOVAL = DeletionRequest("del_1", AT, "auth0|chika", MATCH, ("jackets",), ("city",), False)
NO_LISTENER = "http://127.0.0.1:9"
USUAL = {
    **dict.fromkeys(("url", "base_url", "token_url", "endpoint"), NO_LISTENER),
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "api_key": "key-us21",
    **dict.fromkeys(("list_id", "account_id", "audience_id"), "123"),
}
every_kind = pytest.mark.parametrize("key", list(KINDS))


@every_kind
def test_kind_describes_itself_and_every_setting(key):
    kind = KINDS[key]
    assert kind.title.strip()
    assert kind.help.endswith(".")
    assert [field.key for field in kind.fields if not field.label.strip()] == []
    assert [name for name in (*kind.needs, *kind.matches) if name not in {each.key for each in STANDARD}] == []
    assert not set(kind.needs) & set(kind.matches)


@every_kind
def test_declared_abilities_are_those_that_are_overridden(key):
    kind = KINDS[key]
    assert kind.can_remove == (type(kind).remove is not DestinationKind.remove)
    assert kind.has_preview == (type(kind).calls is not DestinationKind.calls)
    assert (kind.batch_size > 1) == (type(kind).send_batch is not DestinationKind.send_batch)


@every_kind
def test_setting_keys_are_unique_and_no_secret_has_a_default(key):
    fields = KINDS[key].fields
    assert len({field.key for field in fields}) == len(fields)
    assert not [field.key for field in fields if field.secret and field.default]


@every_kind
def test_bad_settings_are_refused_by_name_without_a_crash(key):
    kind = KINDS[key]
    nonsense = {field.key: "\x00 = nonsense \n" for field in kind.fields}
    with pytest.raises(DomainError) if kind.fields else nullcontext() as refused:
        kind.check(nonsense)
    if refused:
        assert refused.value.code.islower()
        assert not any(nonsense[field.key] in refused.value.message for field in kind.fields)


@pytest.fixture
def nowhere(settings, tmp_path):
    """Settings with which nothing can arrive: a port without a listener, a home that is a file."""
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
def test_message_that_cannot_arrive_raises_send_failed(key, nowhere):
    with pytest.raises(SendFailed):
        KINDS[key].send(MESSAGE, nowhere(KINDS[key]))


@every_kind
def test_deletion_request_that_cannot_arrive_raises_send_failed(key, nowhere):
    kind = KINDS[key]
    if not kind.can_remove:
        with pytest.raises(Invalid):
            kind.remove(REMOVAL, nowhere(kind))
        return
    is_file = not any(field.key.endswith("url") for field in kind.fields)
    with suppress(SendFailed) if is_file else pytest.raises(SendFailed):
        kind.remove(REMOVAL, nowhere(kind))


@every_kind
def test_preview_makes_no_call_and_shows_no_secret_in_the_body(key, nowhere):
    kind = KINDS[key]
    if not kind.has_preview:
        assert kind.calls(MESSAGE, nowhere(kind)) == []
        return
    settings = nowhere(kind)
    secrets = [settings[field.key] for field in kind.fields if field.secret and field.key != "url"]
    calls = kind.calls(MESSAGE, settings)

    assert calls
    assert [call.url for call in calls if not call.url.startswith("http")] == []
    assert not [secret for secret in secrets for call in calls if secret in call.body]


@every_kind
def test_mapping_and_matching_use_standard_attributes(key):
    kind, standard_keys = KINDS[key], {standard.key for standard in STANDARD}
    lines = kind.default_mapping or ()

    assert set(match_attributes(kind)) <= standard_keys
    assert {line[0] for line in lines} <= standard_keys
    assert len(checked([dict(zip(("attribute", "field", "transform"), line, strict=True)) for line in lines])) == len(
        lines
    )
