"""The fixtures of the login pages, which bring customers to their own pages."""

from __future__ import annotations

from tests.login.conftest import PASSWORD, Upstream, dina, google, last_link, passwords, upstream

__all__ = ["PASSWORD", "Upstream", "dina", "google", "last_link", "passwords", "upstream"]
