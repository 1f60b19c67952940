"""Errors of the OAuth and OpenID Connect protocol.

    OAuthError              an OAuth error response: `error` and `error_description` for the app
    NonRedirectableError    no address to send the browser back to: an error page for the customer

They are siblings: an interface answers the first in JSON or by a redirect to the app, the second by a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_noop

SIGN_IN_FAILED = gettext_noop("Signing in does not work from here")
# Auth0's HTTP statuses at the token endpoint. Every other error has OAuth's 400.
STATUS = {
    "invalid_grant": 403,
    "unauthorized_client": 403,
    "unsupported_grant_type": 403,
    "access_denied": 403,
    "unauthorized": 401,
    "interaction_required": 403,
    "authorization_pending": 403,
    "expired_token": 403,
}


class OAuthError(Exception):
    """An OAuth error response. `error` is a code of the RFCs; `status` is the HTTP status that Auth0 answers with it."""

    def __init__(self, error: str, description: str, status: int = 0, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status or STATUS.get(error, 400)
        self.headers = headers or {}

    def body(self) -> dict[str, str]:
        return {"error": self.error, "error_description": self.description}


class NonRedirectableError(Exception):
    """An error without a redirect address that is known to be the app's. `title` and `sentence` are what the customer reads."""

    def __init__(self, error: str, sentence: str, title: str = SIGN_IN_FAILED) -> None:
        super().__init__(sentence)
        self.error = error
        self.sentence = sentence
        self.title = title
