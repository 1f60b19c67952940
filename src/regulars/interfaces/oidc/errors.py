"""Every "no" of the provider: OAuth's word for machines, a sentence for people."""

from __future__ import annotations

from regulars.base.errors import DomainError


class OAuthError(Exception):
    """An answer of OAuth other than yes. `error` is OAuth's word; the status is the token endpoint's, as Auth0 has it."""

    def __init__(self, error: str, description: str, status: int = 0) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status or STATUS.get(error, 400)

    @classmethod
    def of(cls, refused: DomainError) -> OAuthError:
        """For names that are OAuth's words already."""
        return cls(refused.code, refused.message)

    def body(self) -> dict[str, str]:
        return {"error": self.error, "error_description": self.description}


class NonRedirectableError(Exception):
    """Nobody to send the browser back to: we show a page of our own. `sentence` says what to do."""

    def __init__(self, error: str, sentence: str) -> None:
        super().__init__(sentence)
        self.error = error
        self.sentence = sentence


# Auth0's statuses; where it has none of its own, OAuth's 400.
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
