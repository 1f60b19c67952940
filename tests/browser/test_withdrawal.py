"""A customer of the demo takes a yes back on `/me`, and every place of README's walk knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.live import ask

from .conftest import Demo
from .journey import claims, eventually, open_console, sign_in_with_google, sign_out

pytestmark = pytest.mark.browser

INES = "google-oauth2|110248495921238986406"
SEGMENT = "Women 25–34 in Europe who looked at jackets"
RECEIVER = "Harbour & Pine's own system"
PURPOSE = "A shop that fits you"
CONFIRMED = "Has confirmed that it does not use it any more"
SHARED = {"gender": "female", "birthdate": "1999-04-18"}


@dataclass
class Places:
    """Where the demo shows what it knows of the customer, beside the pages of the shop and of the customer."""

    demo: Demo
    console: Page
    access_token: str

    def userinfo(self) -> dict[str, str]:
        return self.demo.live.get("/userinfo", headers={"Authorization": f"Bearer {self.access_token}"}).json()

    def user(self) -> dict[str, str]:
        """Return the user of the Management API."""
        keys = self.demo.live.credentials["management"]
        token = self.demo.live.post("/oauth/token", json={**keys, "grant_type": "client_credentials"}).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        return self.demo.live.get(f"/api/v2/users/{INES}", headers=headers).json()

    def members(self) -> str:
        self.console.goto(f"{self.demo.regulars}/console/segments/jackets")
        return self.console.get_by_role("region", name="Members", exact=True).inner_text()

    def webhooks(self) -> list[str]:
        """Return the types of the messages about the customer, oldest first."""
        received = ask("GET", f"{self.demo.mock_services}/webhooks/received").json()
        bodies = [json.loads(each["body"]) for each in reversed(received)]
        return [each["type"] for each in bodies if each["data"].get("user_id") == INES]


@pytest.fixture
def console(chromium: Browser, demo: Demo):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    open_console(page, demo)
    yield page
    context.close()


def access_token(page: Page, demo: Demo) -> str:
    """Return a token of the shop for the customer of this browser, who is signed in."""
    keys = demo.live.credentials["shop"]
    asked = {
        "client_id": keys["client_id"],
        "redirect_uri": keys["callback"],
        "response_type": "code",
        "scope": "openid profile email",
        "prompt": "none",
        "state": "s",
    }
    answer = page.request.get(f"{demo.regulars}/authorize?{urlencode(asked)}", max_redirects=0)
    [code] = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    exchange = {"grant_type": "authorization_code", "code": code, "redirect_uri": keys["callback"]}
    secret = {name: keys[name] for name in ("client_id", "client_secret")}
    return str(demo.live.post("/oauth/token", data={**exchange, **secret}).json()["access_token"])


def region_again(page: Page, name: str) -> str:
    page.reload()
    return page.get_by_role("region", name=name).inner_text()


def test_yes_that_is_taken_back_is_gone_everywhere(page: Page, console: Page, demo: Demo):
    page.goto(f"{demo.shop}/products/harbour-jacket")
    sign_in_with_google(page, demo, "Ines Duarte", "date of birth", "gender", "address", PURPOSE)
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("heading", name="Hello, Ines")).to_be_visible()
    places = Places(demo, console, access_token(page, demo))

    assert SHARED.items() <= claims(page).items()
    assert SHARED.items() <= places.userinfo().items()
    assert SHARED.items() <= places.user().items()
    assert eventually(places.webhooks) == ["segment.entered"]
    assert "Ines Duarte" in places.members()
    page.goto(f"{demo.regulars}/me")
    disclosed = page.get_by_role("region", name="Disclosed to")
    expect(disclosed).to_contain_text(RECEIVER)
    expect(page.get_by_role("region", name="Groups you are in")).to_contain_text(SEGMENT)

    page.get_by_role("button", name=f"Take back {PURPOSE}").click()
    expect(page.get_by_role("button", name=f"Allow {PURPOSE}")).to_be_visible()

    assert not SHARED.keys() & places.userinfo().keys()
    assert not SHARED.keys() & places.user().keys()
    assert "Ines Duarte" not in places.members()
    assert eventually(lambda: len(places.webhooks()) > 1 and places.webhooks()) == [
        "segment.entered",
        "customer.removed",
    ]
    expect(page.get_by_role("region", name="Groups you are in")).to_contain_text("None.")
    expect(page.get_by_role("region", name="What you allow")).to_contain_text("Off: you took your yes back")
    eventually(lambda: CONFIRMED in region_again(page, "Disclosed to"))

    sign_out(page, demo)
    sign_in_with_google(page, demo, "Ines Duarte")
    expect(page.get_by_role("heading", name="Hello, Ines")).to_be_visible()
    assert not SHARED.keys() & claims(page).keys()
