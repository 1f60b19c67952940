"""The branding of an app is on every hosted page, and no value of it can break a page."""

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
    branding = {
        "title": "Harbour & Pine",
        "greeting": "Good to see you.",
        "logo": "https://shop.example/logo.svg",
        "favicon": "https://shop.example/icon.svg",
        "terms": "https://shop.example/terms",
        "privacy": "https://shop.example/privacy",
        "accent": "#0f5132",
    }
    save_branding(client, branding)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_page_has_the_branding_of_the_app(client, passwords, shop, page):
    html = client.get(f"{page}?{FROM_SHOP}").content.decode()

    assert 'href="/brand/shop.css?v=' in html
    assert 'src="https://shop.example/logo.svg" alt="Harbour &amp; Pine"' in html
    assert "· Harbour &amp; Pine</title>" in html
    for link in ("icon.svg", "terms", "privacy"):
        assert f'href="https://shop.example/{link}"' in html


def test_question_page_has_the_branding_of_the_app(client, dina, shop):
    client.force_login(dina, backend="allauth.account.auth_backends.AuthenticationBackend")

    assert "/brand/shop.css" in client.get(f"/question?{FROM_SHOP}").content.decode()


def test_greeting_is_on_the_login_page(client, passwords, shop):
    assert "Good to see you." in client.get(f"/login?{FROM_SHOP}").content.decode()


def test_page_without_an_app_in_its_address_keeps_the_last_branding(client, passwords, shop):
    client.get(f"/login?{FROM_SHOP}")

    assert "/brand/shop.css" in client.get("/password/reset").content.decode()


def test_error_page_of_authorize_has_the_branding_of_the_app(client, shop):
    response = client.get("/authorize?client_id=shop&redirect_uri=https://elsewhere.example/")

    assert response.status_code == 400
    assert "/brand/shop.css" in response.content.decode()
    assert "img-src 'self' data: https:" in response["Content-Security-Policy"]


def test_stylesheet_is_served_from_here_and_cached_for_ever(client, shop):
    page = client.get(f"/login?{FROM_SHOP}").content.decode()
    css = client.get(page.partition('href="/brand/')[2].partition('"')[0].join(["/brand/", ""]))

    assert "--accent: #0f5132" in css.content.decode()
    assert "immutable" in css["Cache-Control"]


def test_changed_colour_changes_the_stylesheet_address(client, passwords, shop):
    before = client.get(f"/login?{FROM_SHOP}").content.decode()
    save_branding(shop, {"accent": "#7a1f3d"})
    after = client.get(f"/login?{FROM_SHOP}").content.decode()

    assert before.partition("/brand/")[2][:30] != after.partition("/brand/")[2][:30]


@pytest.mark.parametrize(
    "next_", ["/authorize?client_id=unknown", "/authorize?client_id=%00", "//[", "/elsewhere?client_id=shop"]
)
def test_unknown_app_leaves_the_default_branding(client, passwords, shop, next_):
    response = client.get("/login", {"next": next_})

    assert response.status_code == 200
    assert "/brand/" not in response.content.decode()
    assert "regulars_app" not in response.cookies


def test_page_has_no_inline_style_or_script(client, passwords, shop):
    response = client.get(f"/login?{FROM_SHOP}")

    assert "style=" not in response.content.decode()
    assert "<style" not in response.content.decode()
    assert "'unsafe-inline'" not in response["Content-Security-Policy"]
