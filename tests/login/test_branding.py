"""Whoever comes from an app sees its colours and its words on every page, and nothing an app says can break the page."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from regulars.clients.branding import save_branding
from regulars.clients.models import Client

FROM_SHOP = urlencode({"next": "/authorize?client_id=shop&state=x"})
PAGES = ("/login", "/signup", "/password/reset", "/")


@pytest.fixture
def shop(standard_setup) -> Client:
    client = Client.objects.create(client_id="shop", name="Shop", redirect_uris=["https://shop.example/callback"])
    look = {
        "title": "Harbour & Pine",
        "greeting": "Good to see you.",
        "logo": "https://shop.example/logo.svg",
        "favicon": "https://shop.example/icon.svg",
        "terms": "https://shop.example/terms",
        "privacy": "https://shop.example/privacy",
        "accent": "#0f5132",
    }
    save_branding(client, look)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_every_page_looks_like_the_app_she_comes_from(client, passwords, shop, page):
    said = client.get(f"{page}?{FROM_SHOP}").content.decode()

    assert 'href="/brand/shop.css?v=' in said
    assert 'src="https://shop.example/logo.svg" alt="Harbour &amp; Pine"' in said
    assert "· Harbour &amp; Pine</title>" in said
    for link in ("icon.svg", "terms", "privacy"):
        assert f'href="https://shop.example/{link}"' in said


def test_the_question_page_does_too(client, dina, shop):
    client.force_login(dina, backend="allauth.account.auth_backends.AuthenticationBackend")

    assert "/brand/shop.css" in client.get(f"/question?{FROM_SHOP}").content.decode()


def test_the_greeting_is_on_the_sign_in_page(client, passwords, shop):
    assert "Good to see you." in client.get(f"/login?{FROM_SHOP}").content.decode()


def test_a_page_whose_address_names_no_app_looks_like_the_one_before(client, passwords, shop):
    client.get(f"/login?{FROM_SHOP}")

    assert "/brand/shop.css" in client.get("/password/reset").content.decode()


def test_the_providers_own_pages_are_branded_too(client, shop):
    said = client.get("/authorize?client_id=shop&redirect_uri=https://elsewhere.example/")

    assert said.status_code == 400
    assert "/brand/shop.css" in said.content.decode()
    assert "img-src 'self' data: https:" in said["Content-Security-Policy"]


def test_the_stylesheet_is_served_by_us_and_may_be_kept_for_ever(client, shop):
    page = client.get(f"/login?{FROM_SHOP}").content.decode()
    css = client.get(page.partition('href="/brand/')[2].partition('"')[0].join(["/brand/", ""]))

    assert "--accent: #0f5132" in css.content.decode()
    assert "immutable" in css["Cache-Control"]


def test_another_colour_has_another_address(client, passwords, shop):
    before = client.get(f"/login?{FROM_SHOP}").content.decode()
    save_branding(shop, {"accent": "#7a1f3d"})
    after = client.get(f"/login?{FROM_SHOP}").content.decode()

    assert before.partition("/brand/")[2][:30] != after.partition("/brand/")[2][:30]


@pytest.mark.parametrize(
    "next_", ["/authorize?client_id=nobody", "/authorize?client_id=%00", "//[", "/elsewhere?client_id=shop"]
)
def test_an_app_that_is_none_leaves_the_houses_own_look(client, passwords, shop, next_):
    said = client.get("/login", {"next": next_})

    assert said.status_code == 200
    assert "/brand/" not in said.content.decode()
    assert "regulars_app" not in said.cookies


def test_no_page_has_style_or_script_of_its_own(client, passwords, shop):
    said = client.get(f"/login?{FROM_SHOP}")

    assert "style=" not in said.content.decode()
    assert "<style" not in said.content.decode()
    assert "'unsafe-inline'" not in said["Content-Security-Policy"]
