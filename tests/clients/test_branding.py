"""How an app's pages look: readable or refused, and nothing in it is more than a colour, a word or an address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.base.errors import DomainError
from regulars.clients import branding
from regulars.clients.branding import Branding, branding_of, checked, contrast, dark, light, save_branding, stylesheet
from regulars.clients.models import Client

CSS = Path(branding.__file__).parents[1] / "interfaces/pages/static/pages/pages.css"
colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_wcags(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)


def test_a_colour_that_cannot_be_read_is_refused_with_the_figure():
    with pytest.raises(DomainError, match=r"#ffcc00 on #ffffff.* 1\.51:1.*4\.5:1") as refused:
        checked({"accent": "#FFCC00"})

    assert (refused.value.code, refused.value.field) == ("low_contrast", "accent")


def test_a_bright_colour_is_taken_for_buttons_with_another_for_links():
    chosen = light(checked({"accent": "#fc0", "link": "#7a5200"}))

    assert (chosen.accent, chosen.on_accent, chosen.link) == ("#ffcc00", branding.BLACK, "#7a5200")


@pytest.mark.parametrize(
    ("given", "about"),
    [
        ({"accent": "#4338ca", "on_accent": "#4d42d1"}, "on_accent"),
        ({"accent": "#4338ca", "link": "#9aa0ff"}, "link"),
        ({"accent_dark": "#1a2438"}, "accent_dark"),
    ],
)
def test_each_pair_is_checked_and_the_field_that_can_mend_it_is_named(given, about):
    with pytest.raises(DomainError) as refused:
        checked(given)

    assert (refused.value.code, refused.value.field) == ("low_contrast", about)


@given(accent=colours, link=colours, page=colours)
def test_whatever_is_taken_can_be_read_by_day_and_by_night(accent, link, page):
    try:
        taken = checked({"accent": accent, "link": link, "page": page})
    except DomainError:
        return

    for palette, card in ((light(taken), branding.CARD), (dark(taken), branding.CARD_DARK)):
        assert contrast(palette.link, card) >= branding.READABLE
        assert contrast(palette.on_accent, palette.accent) >= branding.READABLE


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("accent", "red; } body { display: none", "bad_colour"),
        ("page", "url(https://evil.example)", "bad_colour"),
        ("logo", "javascript:alert(1)", "bad_address"),
        ("logo", "http://shop.example/logo.svg", "bad_address"),
        ("terms", "//evil.example", "bad_address"),
        ("privacy", "https://[::1", "bad_address"),
        ("favicon", "https://shop.example/a b", "bad_address"),
        ("title", "x" * 61, "too_long"),
        ("greeting", "x" * 201, "too_long"),
    ],
)
def test_whatever_is_something_else_is_refused(field, value, name):
    with pytest.raises(DomainError) as refused:
        checked({field: value})

    assert (refused.value.code, refused.value.field) == (name, field)


def test_the_defaults_are_the_stylesheets_own():
    by_day, by_night = CSS.read_text().split("@media (prefers-color-scheme: dark)")[:2]

    def variable(css: str, name: str) -> str:
        return re.search(rf"--{name}: (#\w+)", css)[1]

    assert (variable(by_day, "card"), variable(by_day, "accent")) == (branding.CARD, branding.ACCENT)
    assert (variable(by_night, "card"), variable(by_night, "accent")) == (branding.CARD_DARK, branding.ACCENT_DARK)
    assert dark(Branding()).on_accent == variable(by_night, "on-accent")


def test_the_stylesheet_sets_variables_for_light_and_dark():
    css = stylesheet(checked({"accent": "#0f5132", "page": "#eef5f0"}))

    assert ":root { --accent: #0f5132; --on-accent: #ffffff; --link: #0f5132; --page: #eef5f0 }" in css
    assert "@media (prefers-color-scheme: dark)" in css


def test_what_was_saved_is_found_again(db):
    client = Client.objects.create(client_id="shop", name="Shop", metadata={"made_by": "setup"})
    saved = save_branding(client, {"title": "Harbour & Pine", "accent": "#0f5132"})
    client.refresh_from_db()

    assert branding_of(client) == saved
    assert client.metadata["made_by"] == "setup"


def test_a_look_that_the_rules_of_today_refuse_is_the_houses_own():
    assert branding_of(Client(branding={"accent": "red"})) == Branding()
