"""Branding of an application's sign-in pages, in the console."""

from __future__ import annotations

import re
from html import unescape

import pytest

from regulars.clients.branding import branding_of
from regulars.clients.models import Client

LOOK = {
    "title": "Harbour & Pine",
    "greeting": "Good to see you.",
    "accent": "#0f5132",
    "terms": "https://shop.example/terms",
}


@pytest.fixture
def shop(standard_setup) -> Client:
    return Client.objects.create(client_id="shop", name="Shop", grant_types=["authorization_code"])


def test_ana_brands_the_pages_of_an_app_and_finds_it_written(console, shop):
    response = console.post("/console/applications/shop/branding", LOOK)
    shop.refresh_from_db()
    page = console.get(response["Location"]).content.decode()

    assert branding_of(shop).accent == "#0f5132"
    assert 'value="Good to see you."' in page
    assert "/console/applications/shop/branding" in console.get("/console/applications/shop").content.decode()


def test_an_unreadable_colour_is_refused_with_its_figure_and_nothing_is_saved(console, shop):
    response = console.post("/console/applications/shop/branding", {**LOOK, "accent": "#ffcc00"})
    shop.refresh_from_db()

    assert response.status_code == 400
    assert response.context["problem"].field == "accent"
    assert "1.51:1" in response.content.decode()
    assert branding_of(shop).title == ""


def test_the_preview_follows_what_is_written_and_saves_nothing(console, shop):
    written = {**LOOK, "do": "preview"}
    part = console.post("/console/applications/shop/branding", written, headers={"HX-Request": "true"})
    css = console.get(unescape(re.search(r'href="(/console/branding.css[^"]+)"', part.content.decode())[1]))
    shop.refresh_from_db()

    assert "<html" not in part.content.decode()
    assert "Harbour &amp; Pine" in part.content.decode()
    assert css["Content-Type"].startswith("text/css")
    assert ".look-light { --accent: #0f5132;" in css.content.decode()
    assert branding_of(shop).title == ""


def test_the_branding_preview_shows_errors_while_typing(console, shop):
    written = {**LOOK, "accent": "#ff", "do": "preview"}
    part = console.post("/console/applications/shop/branding", written, headers={"HX-Request": "true"})

    assert part.status_code == 200
    assert "is not a colour" in part.content.decode()


def test_the_previews_stylesheet_holds_nothing_but_colours(console):
    css = console.get("/console/branding.css", {"accent": "red} body{display:none"}).content.decode()

    assert "display" not in css


def test_a_viewer_cannot_change_branding(bruno_console, shop):
    assert bruno_console.get("/console/applications/shop/branding").status_code == 403
    assert bruno_console.post("/console/applications/shop/branding", LOOK).status_code == 403
