"""The mock service for Google and a way through its pages, for what begins with a login."""

from __future__ import annotations

from tests.login.conftest import google, upstream

__all__ = ["google", "upstream"]  # fixtures
