from __future__ import annotations

from django.urls import URLPattern, path

from .app_branding import brand_stylesheet
from .gpc import well_known

urlpatterns: list[URLPattern] = [
    path("brand/<slug:client_id>.css", brand_stylesheet),
    path(".well-known/gpc.json", well_known),
]
