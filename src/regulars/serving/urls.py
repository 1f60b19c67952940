"""Every address of the house. The collector's paths never come here: the ASGI root answers them before Django."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("regulars.interfaces.oidc.urls")),  # few and often asked: patterns are tried in their order
    path("", include("regulars.interfaces.login.urls")),
    path("api/", include("regulars.interfaces.management_api.urls")),
    path("console/", include("regulars.interfaces.console.urls")),
]
