"""The app `oidc`: it follows every sign-in and sign-out of Django's sessions, from any page."""

from __future__ import annotations

from django.apps import AppConfig


class OidcConfig(AppConfig):
    name = "regulars.interfaces.oidc"

    def ready(self) -> None:
        """Connect Django's signals. They are the one place where every sign-out passes, also those of allauth."""
        from django.contrib.auth.signals import user_logged_in, user_logged_out

        from .browser import on_signed_in, on_signed_out

        user_logged_in.connect(on_signed_in, dispatch_uid="oidc.sessions")
        user_logged_out.connect(on_signed_out, dispatch_uid="oidc.sessions")
