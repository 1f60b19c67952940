"""Rotation of the signing key: valid tokens verify, and revoked keys do not."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from click.testing import CliRunner
from django.utils import timezone

from regulars.base.errors import DomainError
from regulars.base.tokens import keys
from regulars.base.tokens.jwt import public_jwks, sign, verify
from regulars.base.tokens.models import SigningKey
from regulars.base.tokens.rotate import PUBLISHED_FOR, delete_retired, revoke, rotate
from regulars.cli.__main__ import main

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token():
    return sign({"sub": "auth0|1", "exp": int(time.time()) + 3600})


def kids():
    return {key["kid"] for key in public_jwks()["keys"]}


def days_pass(days):
    """Make the keys older by some days."""
    for key in SigningKey.objects.all():
        key.created_at -= dt.timedelta(days=days)
        key.retired_at = key.retired_at and key.retired_at - dt.timedelta(days=days)
        key.save()


def test_next_key_is_published_before_it_signs_and_the_old_key_verifies(token):
    published = kids()
    days_pass(1)
    signer = rotate()

    assert signer.kid in published
    assert keys.key_set().current.kid == signer.kid
    assert verify(token)["sub"] == "auth0|1"
    assert len(kids()) == 3


def test_recent_key_signs_only_when_forced(token):
    with pytest.raises(DomainError) as refused:
        rotate()

    assert refused.value.code == "too_soon"
    assert rotate(at_once=True).kid == keys.key_set().current.kid


def test_a_retired_key_is_dropped_when_its_last_token_has_run_out(token):
    days_pass(1)
    rotate()
    days_pass(31)

    assert len(kids()) == 2
    with pytest.raises(DomainError):
        verify(token)
    assert delete_retired() == 1
    assert SigningKey.objects.count() == 2


@pytest.mark.parametrize("asked_before", [False, True])
def test_token_of_a_revoked_key_is_refused_even_when_cached(token, asked_before):
    old = keys.key_set().current.kid
    rotate(at_once=True)
    if asked_before:
        verify(token)
    revoke(old)

    with pytest.raises(DomainError):
        verify(token)
    assert old not in kids()


@pytest.mark.parametrize("state", ["current", "next"])
def test_a_key_in_use_cannot_be_revoked(token, state):
    with pytest.raises(DomainError) as refused:
        revoke(SigningKey.objects.get(state=state).kid)

    assert refused.value.code == "key_signs"


def test_command_rotates_keys_and_explains_a_refusal():
    run = CliRunner().invoke
    listed = run(main, ["keys", "list"])
    too_soon = run(main, ["keys", "rotate"])
    SigningKey.objects.update(created_at=timezone.now() - PUBLISHED_FOR)
    old = SigningKey.objects.get(state="current").kid
    rotated = run(main, ["keys", "rotate"])
    SigningKey.objects.filter(kid=old).update(kid="-" + old[1:])  # one random kid in sixty-four begins so
    old = "-" + old[1:]
    unknown = run(main, ["keys", "revoke", "unknown"])
    revoked = run(main, ["keys", "revoke", old])

    assert [line.split()[1] for line in listed.output.splitlines()] == ["current", "next"]
    assert (too_soon.exit_code, "too_soon" in too_soon.output) == (1, True)
    assert "signs now" in rotated.output
    assert (unknown.exit_code, "unknown_key" in unknown.output) == (1, True)
    assert not SigningKey.objects.filter(kid=old).exists()
    assert revoked.exit_code == 0
