"""allauth's account adapter: accounts and sessions without its pages and messages."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Show no "you have signed in" banner: the customer goes straight on to where they were going."""

    def get_login_stages(self) -> list[str]:
        """Use none of allauth's stages, whose pages are not here: `entry.enter` asks for what is missing first."""
        return []
