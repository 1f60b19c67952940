"""The provider hears of every end of a session, whichever page ended it."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ProviderConfig(AppConfig):
    name = "regulars.interfaces.oidc"

    def ready(self) -> None:
        """Sessions end in `usecases.sign_out`, and the worker tidies, without knowing this door: its parts register
        themselves."""
        from django.contrib.auth.signals import user_logged_in, user_logged_out

        from .sessions import on_signed_in, on_signed_out

        user_logged_in.connect(on_signed_in, dispatch_uid="provider.sessions")
        user_logged_out.connect(on_signed_out, dispatch_uid="provider.sessions")
        for module in ("endings", "forget"):
            import_module(f"regulars.interfaces.oidc.{module}")
