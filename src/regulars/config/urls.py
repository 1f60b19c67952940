"""Every address of the house. The collector's paths never come here: the ASGI root answers them before Django."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("regulars.doors.provider.urls")),  # few and often asked: patterns are tried in their order
    path("", include("regulars.doors.signin.urls")),
    path("api/", include("regulars.doors.api.urls")),
    path("console/", include("regulars.doors.console.urls")),
]
