"""allauth, driven through its adapters: our connections, our pages, our accounts."""

from __future__ import annotations

import logging
from typing import Any

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from django.http import HttpRequest
from django.utils.crypto import get_random_string

from . import connections, oauth, social

log = logging.getLogger("regulars.signin")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """No "you have signed in" banners: she goes straight on to where she was going."""

    def get_login_stages(self) -> list[str]:
        """None of allauth's own, whose pages are not here: `door.enter` asks for what is missing before it calls."""
        return []


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Our connections, instead of allauth's table and settings."""
        apps = [oauth.social_app(each) for each in connections.social_connections()]
        named = [app for app in apps if provider in (None, app.provider, app.provider_id)]
        return [app for app in named if client_id in (None, app.client_id)]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        return oauth.ConnectionProvider(request, app=self.get_app(request, provider, client_id))

    def get_requests_session(self) -> requests.Session:
        return oauth.session()

    def generate_state_param(self, state: dict[str, Any]) -> str:
        """The connection's name and a random part: one callback serves all, and the state says whose it is."""
        return f"{state['data']['connection']}.{get_random_string(32)}"

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """From here on it is our story: allauth's own tables of social accounts stay empty."""
        raise ImmediateHttpResponse(social.arrived(request, sociallogin))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        state = (extra_context or {}).get("state")
        if error != AuthError.CANCELLED and (exception or state):
            log.warning("sign-in by %s failed: %s", provider.sub_id, type(exception).__name__ if exception else error)
        raise ImmediateHttpResponse(social.failed(request, provider, state, cancelled=error == AuthError.CANCELLED))
