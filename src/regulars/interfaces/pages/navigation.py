"""Addresses between hosted pages, and the page that shows one message."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from .language import show_languages_at

# What an application may state about the login it wants; kept from page to page.
CARRIED = ("next", "login_hint", "prompt", "ui_locales", "acr_values", "demanded")


def local_path(wanted: str) -> str:
    """Return the wanted address if it is a path on this server, else the start page."""
    local = (
        wanted.startswith("/") and wanted.isprintable() and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    )
    return wanted if local else "/"


def address(path: str, request: HttpRequest, **more: str) -> str:
    """Return the address of another hosted page, with what the application stated about the login."""
    kept = {name: request.GET[name] for name in CARRIED if request.GET.get(name)}
    if "next" in kept:
        kept["next"] = local_path(kept["next"])
    query = urlencode({**kept, **more})
    return f"{path}?{query}" if query else path


def message_page(request: HttpRequest, title: str, sentence: str, status: int = 200) -> HttpResponse:
    """Show one message, with a link to the login page. Both texts are message ids."""
    login = address("/login", request)
    if request.method == "POST":
        show_languages_at(request, login)
    context = {"title": title, "sentence": sentence, "login": login}
    return render(request, "pages/message.html", context, status=status)
