"""Every kind of destination that is installed, ours or a stranger's, keeps the promises the house relies on."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext

import pytest

from regulars.base.kit.errors import Refused
from regulars.base.kit.fields import Field, filled
from regulars.destinations.kind import KINDS, Message, SendFailed

MESSAGE = Message("msg_1", dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "auth0|chika", "jackets", "Jackets", True)
every_kind = pytest.mark.parametrize("key", list(KINDS))


@every_kind
def test_it_says_what_it_is_and_what_it_wants(key):
    kind = KINDS[key]
    assert kind.title
    assert kind.help
    assert all(isinstance(field, Field) and field.label for field in kind.fields)
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
    with pytest.raises(Refused) if kind.fields else nullcontext() as refused:
        kind.check(nonsense)
    if refused:
        assert refused.value.name.islower()
        assert not any(nonsense[field.key] in refused.value.sentence for field in kind.fields)


@every_kind
def test_a_message_that_cannot_arrive_says_so_and_nothing_else(key, settings, tmp_path):
    """Sent to a port where nobody listens, from a home that is a file."""
    settings.HOME = tmp_path / "no-home"
    settings.HOME.write_text("")
    kind = KINDS[key]
    usual = {"url": "http://127.0.0.1:9", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    given = {field.key: usual.get(field.key, "x") for field in kind.fields if field.required and not field.default}
    with pytest.raises(SendFailed):
        kind.send(MESSAGE, filled(kind.fields, given))
