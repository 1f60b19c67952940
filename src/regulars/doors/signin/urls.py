from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from .question import question

urlpatterns: list[URLPattern | URLResolver] = [
    path("question", question),
]
