"""Errors of the layers below become statuses by their class, and Auth0's codes by a table."""

from __future__ import annotations

import pytest

from regulars.base.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable
from regulars.interfaces.http_api.error_responses import CONVERTERS

convert = CONVERTERS[DomainError]


@pytest.mark.parametrize(
    ("kind", "status"), [(Invalid, 400), (Forbidden, 403), (NotFound, 404), (Conflict, 409), (Unavailable, 503)]
)
def test_error_class_decides_the_status(kind, status):
    error = convert(kind("some_code", "What is wrong."))

    assert (error.status, error.code, error.message) == (status, "some_code", "What is wrong.")


@pytest.mark.parametrize(
    ("raised", "status", "code", "message"),
    [
        (Conflict("user_exists", "Taken."), 409, "auth0_idp_error", "Taken."),
        (Invalid("weak_password", "Short."), 400, "auth0_idp_error", "PasswordStrengthError: Short."),
        (Invalid("invalid_metadata_key", "No dots."), 400, "invalid_body", "Payload validation error: No dots."),
        (Conflict("name_taken", "Taken."), 409, "conflict", "Taken."),
    ],
)
def test_some_codes_have_the_name_that_auth0_gives_them(raised, status, code, message):
    error = convert(raised)

    assert (error.status, error.code, error.message) == (status, code, message)
