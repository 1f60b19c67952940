"""Errors that name what went wrong, for machines and for people.

    DomainError             code, message, field
    ├── Invalid             the input cannot be accepted as it is
    ├── Forbidden           the caller may not do this
    ├── NotFound            what the caller names does not exist
    ├── Conflict            the current state does not allow this
    └── Unavailable         something this depends on does not work now; trying again may help

Interfaces map these classes to HTTP statuses; they never look at the message.
"""

from __future__ import annotations


class DomainError(Exception):
    """A request that is refused, with a reason.

    `code` is a stable snake_case word for machines. `message` is for people, says what to do, and never holds a secret.
    `field` names the one input that the error is about, where there is one, so that a form can show it beside that input.
    """

    def __init__(self, code: str, message: str = "", field: str = "") -> None:
        super().__init__(message or code)
        self.code = code
        self.field = field
        self.message = message or code.replace("_", " ")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r})"


class Invalid(DomainError):
    """The input cannot be accepted as it is."""


class Forbidden(DomainError):
    """The caller may not do this."""


class NotFound(DomainError):
    """What the caller names does not exist."""


class Conflict(DomainError):
    """The current state does not allow this."""


class Unavailable(DomainError):
    """Something this depends on does not work now; trying again may help."""
