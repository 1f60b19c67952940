"""The main job through the real server with a real browser: a customer signs in and the shop learns their interests."""

from __future__ import annotations

import csv
import io
import json
import re

import httpx
import pytest
from auth0.authentication import GetToken
from auth0.management import ManagementClient
from playwright.sync_api import Page, expect
from tests.live import ANSWER_TIME, ask
from tests.without_tls import WithoutTls

from .conftest import Demo
from .journey import claims, eventually, open_console, sign_in_with_google, sign_out

pytestmark = pytest.mark.browser

PURPOSE = "A shop that fits you"
ASKED = "What are you looking for?"
LENA = "google-oauth2|110248495921238986401"
GRACE = "google-oauth2|110248495921238986402"
TOM = "google-oauth2|110248495921238986403"
PASSWORDS = "Username-Password-Authentication"
NADIA = "google-oauth2|110248495921238986405"


def facts_of(demo: Demo, user_id: str) -> dict[str, tuple[str, str]]:
    """Return (value, source) by attribute, of facts that are not retracted."""
    rows = demo.live.rows(
        "SELECT f.attribute, f.value, f.source FROM profiles_fact f JOIN profiles_profile p ON p.id = f.profile_id"
        " WHERE p.user_id = ? AND f.retracted_at IS NULL ORDER BY f.id",
        user_id,
    )
    return {attribute: (json.loads(value), source) for attribute, value, source in rows}


def happened(demo: Demo, user_id: str) -> list[str]:
    rows = demo.live.rows(
        "SELECT e.name FROM events_event e JOIN profiles_profile p ON p.id = e.profile_id WHERE p.user_id = ?", user_id
    )
    return [name for (name,) in rows]


def test_a_visitor_becomes_a_customer_whose_facts_know_their_source(page: Page, demo: Demo):
    received = lena_signs_in(page, demo)
    facts = facts_of(demo, LENA)
    [(raw, asked, granted)] = demo.live.rows(
        "SELECT a.raw, a.scopes_asked, a.scopes_granted FROM profiles_provideranswer a"
        " JOIN profiles_identity i ON i.id = a.identity_id WHERE i.provider_user_id = ?",
        LENA.partition("|")[2],
    )

    assert received["sub"] == LENA
    assert received["https://harbourandpine.example/tier"] == "bronze"
    assert facts["birthdate"] == ("1997-03-07", "google-oauth2")
    assert facts["continent"][0] == "Europe"
    assert facts["looking_for"] == ("jackets", "question:looking_for@1")
    assert "Lena" in raw
    assert sorted(json.loads(asked)) == sorted(json.loads(granted))


def lena_signs_in(page: Page, demo: Demo) -> dict[str, str]:
    """View a jacket, sign in, share everything, allow the purpose as a whole and answer. Returns the claims that the shop receives."""
    page.goto(f"{demo.shop}/products/harbour-jacket")
    sign_in_with_google(page, demo, "Lena Vogt", "date of birth", "gender", "address", PURPOSE)
    expect(page.get_by_role("heading", name=ASKED)).to_be_visible()
    page.get_by_role("radio", name="Jackets").check()
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("heading", name="Hello, Lena")).to_be_visible()
    return claims(page)


def test_events_before_the_login_belong_to_the_customer(page: Page, demo: Demo):
    page.goto(f"{demo.shop}/products/quay-parka")
    sign_in_with_google(page, demo, "Nadia Rahman")
    page.get_by_role("button", name="Not now").click()
    page.goto(f"{demo.shop}/products/ferry-bag")
    page.get_by_role("button", name="Add to basket").click()
    page.get_by_role("button", name="Place the order").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    names = eventually(lambda: {"Product Viewed", "Order Completed"} <= set(seen := happened(demo, NADIA)) and seen)

    assert {"Signed Up", "Signed In", "Page Viewed", "Product Added"} <= set(names)
    assert names.count("Product Viewed") == 2


def test_the_census_is_asked_after_the_login_and_never_during_it(page: Page, demo: Demo):
    sign_in_with_google(page, demo, "Grace Miller", "address")
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("heading", name="Hello, Grace")).to_be_visible()
    page.goto(f"{demo.regulars}/me")
    page.get_by_role("button", name="Allow Filling the gaps").click()
    expect(page.get_by_role("button", name="Take back Filling the gaps")).to_be_visible()
    assert "area_median_income" not in facts_of(demo, GRACE)
    page.goto(demo.shop)
    sign_out(page, demo)
    sign_in_with_google(page, demo, "Grace Miller", "address")
    expect(page.get_by_role("heading", name="Hello, Grace")).to_be_visible()
    income = eventually(lambda: facts_of(demo, GRACE).get("area_median_income"))

    assert income == (106509, "source:us-census-acs")


def test_one_question_a_day_and_another_on_a_later_day(page: Page, demo: Demo):
    sign_in_with_google(page, demo, "Tom Okafor")
    expect(page.get_by_role("heading", name=ASKED)).to_be_visible()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("heading", name="Hello, Tom")).to_be_visible()
    sign_out(page, demo)

    sign_in_with_google(page, demo, "Tom Okafor")
    expect(page.get_by_role("heading", name="Hello, Tom")).to_be_visible()
    sign_out(page, demo)

    demo.later(days=1.5)
    sign_in_with_google(page, demo, "Tom Okafor")
    expect(page.get_by_role("button", name="Not now")).to_be_visible()
    expect(page.get_by_role("heading", name=ASKED)).not_to_be_visible()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("heading", name="Hello, Tom")).to_be_visible()


def test_a_marketer_builds_a_segment_that_a_webhook_receives(page: Page, demo: Demo):
    if not facts_of(demo, LENA):
        lena_signs_in(page, demo)
    eventually(lambda: "Product Viewed" in happened(demo, LENA))
    open_console(page, demo)
    page.get_by_role("link", name="Customers").click()
    page.get_by_role("searchbox").fill("lena.vogt@example.com")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Lena Vogt").click()
    expect(page.get_by_role("region", name="What we know")).to_contain_text("Google")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Product Viewed")

    page.get_by_role("link", name="Segments").click()
    page.get_by_role("link", name="New segment").click()
    page.locator("select[name=for]").select_option(label=PURPOSE)
    for attribute, choice in (("Gender", "Woman"), ("Age", "25 to 34"), ("Continent", "Europe")):
        add_condition(page, attribute)
        page.get_by_role("group", name=attribute).get_by_role("checkbox", name=choice).check()
    add_condition(page, "Product Viewed")
    viewed = page.get_by_role("group", name="Product Viewed")
    viewed.get_by_label("Where").select_option("category")
    viewed.get_by_label("is", exact=True).fill("jackets")
    expect(page.locator("#count")).to_contain_text("Product Viewed where category is jackets")
    page.get_by_role("link", name="Save …").click()
    page.get_by_label("Name").fill("Jacket viewers")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Jacket viewers", level=1)).to_be_visible()
    expect(page.locator(".drawing canvas")).to_be_visible()
    expect(page.get_by_role("region", name="Members", exact=True)).to_contain_text("Lena Vogt")

    page.get_by_role("link", name="Export CSV").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    exported = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))

    assert LENA in {row["user_id"] for row in exported}
    assert {row["gender"] for row in exported} == {"female"}
    assert webhook_types(demo, LENA) == ["segment.entered"]


def add_condition(page: Page, words: str) -> None:
    """Select an option of the list; its label begins with the name of the attribute or the event."""
    choices = page.locator("select[name=add0]")
    value = choices.locator("option", has_text=re.compile(f"^{words}\\b")).first.get_attribute("value")
    choices.select_option(value)


def webhook_types(demo: Demo, user_id: str) -> list[str]:
    """Return the types of the webhooks about the customer, oldest first; the seeded destination follows the same people."""

    def look() -> list[str]:
        received = [json.loads(each["body"]) for each in ask("GET", f"{demo.mock_services}/webhooks/received").json()]
        return [each["type"] for each in reversed(received) if each["data"]["user_id"] == user_id]

    return eventually(look)


def test_attribute_written_by_an_application_is_not_asked(page: Page, demo: Demo):
    """Use the unmodified SDK. It requires https, so a custom HTTP client removes TLS."""
    with httpx.Client(transport=WithoutTls(), timeout=ANSWER_TIME) as http:
        auth0 = management(demo, http)
        dov = auth0.users.create(connection=PASSWORDS, email="dov@example.org", password="correct horse 9")
        auth0.users.update(dov.user_id, user_metadata={"looking_for": "boots"})
        found = [user.user_id for user in auth0.users.list(q='email:"dov@example.org"')]
        known = auth0.users.get(dov.user_id).user_metadata
    page.goto(demo.shop)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("E-mail").fill("dov@example.org")
    page.get_by_label("Password").fill("correct horse 9")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name="Not now")).to_be_visible()

    assert found == [dov.user_id]
    assert known == {"looking_for": "boots"}
    assert facts_of(demo, dov.user_id)["looking_for"][0] == "boots"
    expect(page.get_by_role("heading", name=ASKED)).not_to_be_visible()


def management(demo: Demo, http: httpx.Client) -> ManagementClient:
    keys, domain = demo.live.credentials["management"], demo.regulars.removeprefix("http://")
    machine = GetToken(domain, keys["client_id"], client_secret=keys["client_secret"], protocol="http")
    token = machine.client_credentials(keys["audience"])["access_token"]
    return ManagementClient(domain=domain, token=token, httpx_client=http)
