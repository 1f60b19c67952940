"""A client secret that developers choose must be hard to guess."""

from __future__ import annotations

import secrets
import string
import uuid

import pytest

from regulars.base.errors import Invalid
from regulars.clients.register import ClientSpec, register, take_secret

DIGITS, LETTERS = string.digits, string.ascii_lowercase
RANDOM = {
    "hexadecimal": lambda: secrets.token_hex(16),
    "digits": lambda: "".join(secrets.choice(DIGITS) for _ in range(40)),
    "letters": lambda: "".join(secrets.choice(LETTERS) for _ in range(32)),
    "base64": lambda: secrets.token_urlsafe(24),
    "uuid": lambda: str(uuid.uuid4()),
}


@pytest.fixture
def app(db):
    return register(ClientSpec("Harbour & Pine, the shop at the quay"))[0]


@pytest.mark.parametrize(
    "secret",
    [
        "x" * 32,
        "x" * 200,
        " " * 40,
        "ab" * 16,
        "abcdefgh" * 4,
        "aA1!" * 8,
        "0123456789" * 4,
        "abcdefghijklmnopqrstuvwxyzabcdef",
        "zyxwvutsrqponmlkjihgfedcba987654",
        "qwertyuiopasdfghjklzxcvbnmqwerty",
        "passwordPASSWORDpasswordPASSWORD",
        "x" * 24 + "Qx7!Zp3%",
        "changeme-changeme-changeme-1234!",
        "harbour & pine, the shop at the quay",
        "short",
        "",
    ],
)
def test_a_secret_that_can_be_guessed_is_refused(app, secret):
    kept = app.secret_hash
    with pytest.raises(Invalid) as refused:
        take_secret(app, secret)

    app.refresh_from_db()
    assert (refused.value.code, refused.value.field) == ("weak_secret", "client_secret")
    assert app.secret_hash == kept


def test_the_apps_own_id_is_no_secret(app):
    with pytest.raises(Invalid):
        take_secret(app, app.pk)
    with pytest.raises(Invalid):
        take_secret(app, f"{app.pk}{app.pk.upper()}1")


@pytest.mark.parametrize("kind", RANDOM)
def test_random_secrets_are_taken(app, kind):
    for _ in range(50):
        secret = RANDOM[kind]()
        assert take_secret(app, secret) == secret
