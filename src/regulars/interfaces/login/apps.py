from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class LoginConfig(AppConfig):
    name = "regulars.interfaces.login"
    label = "login"

    def ready(self) -> None:
        """Register what runs by itself: the jobs that write mails, deleting old counts, and the list of sessions."""
        for module in ("usecases.account_mails", "accounts.rate_limits", "interfaces.login.session_list"):
            import_module(f"regulars.{module}")
