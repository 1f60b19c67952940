"""URL patterns of every interface but the collector, whose paths the ASGI root answers before Django."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("regulars.interfaces.oidc.urls")),  # first, because they are few and requested most often
    path("", include("regulars.interfaces.login.urls")),
    path("", include("regulars.interfaces.account.urls")),
    path("", include("regulars.interfaces.pages.urls")),
    path("api/", include("regulars.serving.api_urls")),
    path("console/", include("regulars.interfaces.console.urls")),
]

handler400 = "regulars.serving.error_pages.bad_request"
handler403 = "regulars.serving.error_pages.permission_denied"
handler404 = "regulars.serving.error_pages.page_not_found"
handler500 = "regulars.serving.error_pages.server_error"
