"""Every address of the house. The collector's paths never come here: the ASGI root answers them before Django."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("regulars.doors.signin.urls")),
    path("", include("regulars.doors.provider.urls")),
    path("api/", include("regulars.doors.api.urls")),
    path("console/", include("regulars.doors.console.urls")),
]
