"""What the address of a hosted page says about the journey that it is part of."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from django.http import HttpRequest

NOT_HOSTED = ("/console", "/api/", "/static/", "/brand/")


def waiting_request(request: HttpRequest) -> tuple[str, dict[str, list[str]]]:
    """Return path and parameters of the request that waits in `next`; both empty where it is no address."""
    try:
        parts = urlsplit(request.GET.get("next", ""))
        return parts.path, parse_qs(parts.query)
    except ValueError:
        return "", {}
