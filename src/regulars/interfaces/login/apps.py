from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class SigninConfig(AppConfig):
    name = "regulars.interfaces.login"
    label = "signin"

    def ready(self) -> None:
        """The worker does this door's jobs (mail) and tidies without knowing the door: its parts register themselves."""
        for module in ("mail", "code_mail", "limits", "listed"):
            import_module(f"regulars.interfaces.login.{module}")
