"""Errors of the OAuth and OpenID Connect protocol.

    OAuthError              an OAuth error response: `error` and `error_description` for the app
    NonRedirectableError    no address to send the browser back to: an error page for the customer

They are siblings: an interface answers the first in JSON or by a redirect to the app, the second by a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.utils.translation import gettext_noop

from regulars.clients.models import Client

SIGN_IN_FAILED = gettext_noop("Signing in does not work from here")
# Auth0's HTTP statuses at the token endpoint. Every other error has OAuth's 400.
AUTH0_STATUS = {
    "invalid_grant": 403,
    "unauthorized_client": 403,
    "unsupported_grant_type": 403,
    "access_denied": 403,
    "unauthorized": 401,
    "interaction_required": 403,
    "mfa_required": 403,
    "authorization_pending": 403,
    "expired_token": 403,
    "slow_down": 429,
}
# RFC 6749, 5.2; every other error has 400.
STANDARD_STATUS = {"invalid_client": 401}


class OAuthError(Exception):
    """An OAuth error response, in either of the two dialects (`oauth.dialect`).

    `error` is Auth0's code. `standard` is the code of the RFCs where that is another one. `status` is an HTTP status that
    both dialects have; without it each has its own. `answers` is the dialect of the grant that the error is about; empty
    when no grant is known, so that the request decides.
    """

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
        *,
        standard: str = "",
        answers: str = "",
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.headers = headers or {}
        self.answers = answers
        self._standard = standard or error
        self._status = status

    def code(self, answers: str) -> str:
        return self._standard if answers == Client.Answers.OPENID else self.error

    def status(self, answers: str) -> int:
        own = STANDARD_STATUS if answers == Client.Answers.OPENID else AUTH0_STATUS
        return self._status or own.get(self.code(answers), 400)

    def body(self, answers: str) -> dict[str, str]:
        return {"error": self.code(answers), "error_description": self.description}


@contextmanager
def about_grant(answers: str) -> Iterator[None]:
    """Give the errors of a block the dialect of the grant that they are about."""
    try:
        yield
    except OAuthError as error:
        error.answers = error.answers or answers
        raise


class NonRedirectableError(Exception):
    """An error without a redirect address that is known to be the app's. `title` and `sentence` are what the customer reads."""

    def __init__(self, error: str, sentence: str, title: str = SIGN_IN_FAILED) -> None:
        super().__init__(sentence)
        self.error = error
        self.sentence = sentence
        self.title = title
