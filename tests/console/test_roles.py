"""Which role may read and write each page of the console. A new page without a row here fails."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from regulars.events.sources import make_source
from regulars.insights.charts.people_by_attribute import ALL_OTHERS
from regulars.interfaces.console.pages import ROLES
from regulars.interfaces.console.urls import urlpatterns
from regulars.segments.save import save_segment
from regulars.segments.small_groups import rounded_groups
from regulars.usecases.save_segment import evaluate_saved

# Role that GET needs, role that POST needs; empty: the page has no such method. A viewer sees numbers and no customer.
PAGES = {
    "": ("viewer", ""),
    "theme": ("", "viewer"),
    "customers": ("marketer", ""),
    "customers/review": ("marketer", ""),
    "customers/review/<int:number>": ("", "admin"),
    "customers/<path:user_id>": ("marketer", ""),
    "customers/<path:user_id>/decisions/<int:number>": ("marketer", ""),
    "customers/<path:user_id>/decisions/<int:number>/receipt.json": ("marketer", ""),
    "customers/<path:user_id>/correct": ("marketer", "marketer"),
    "customers/<path:user_id>/refusal": ("marketer", "marketer"),
    "customers/<path:user_id>/restriction": ("marketer", "marketer"),
    "questions": ("marketer", ""),
    "questions/new": ("marketer", "marketer"),
    "questions/settings": ("marketer", "admin"),
    "questions/<slug:key>": ("marketer", "marketer"),
    "questions/<slug:key>/switch": ("", "marketer"),
    "rules": ("marketer", ""),
    "rules/new": ("marketer", "admin"),
    "rules/order": ("", "admin"),
    "rules/settings": ("", "admin"),
    "rules/templates/<slug:key>": ("", "admin"),
    "rules/runs/<int:number>": ("marketer", "admin"),
    "rules/<slug:slug>": ("marketer", "admin"),
    "rules/<slug:slug>/switch": ("", "admin"),
    "rules/<slug:slug>/move": ("", "admin"),
    "connections": ("marketer", ""),
    "connections/new": ("marketer", "admin"),
    "connections/<slug:name>": ("marketer", "admin"),
    "connections/<slug:name>/switch": ("", "admin"),
    "connections/<slug:name>/passwords": ("marketer", "admin"),
    "applications": ("marketer", ""),
    "applications/new": ("marketer", "admin"),
    "applications/<slug:client_id>": ("marketer", "admin"),
    "applications/<slug:client_id>/rotate": ("", "admin"),
    "applications/<slug:client_id>/branding": ("marketer", "marketer"),
    "branding.css": ("marketer", ""),
    "segments": ("viewer", ""),
    "segments/new": ("viewer", ""),
    "segments/new/save": ("marketer", "marketer"),
    "segments/<slug:slug>": ("viewer", ""),
    "segments/<slug:slug>/edit": ("viewer", ""),
    "segments/<slug:slug>/edit/save": ("marketer", "marketer"),
    "segments/<slug:slug>/delete": ("", "admin"),
    "segments/<slug:slug>/ask": ("", "marketer"),
    "segments/<slug:slug>/export": ("marketer", ""),
    "segments/<slug:slug>/export.csv": ("marketer", ""),
    "sources": ("marketer", ""),
    "sources/events": ("", "admin"),
    "sources/events/<slug:slug>/switch": ("", "admin"),
    "sources/crowds/release": ("", "admin"),
    "sources/events/<slug:slug>": ("admin", ""),
    "sources/events/<slug:slug>/key": ("", "admin"),
    "sources/events/<slug:slug>/kind": ("", "admin"),
    "sources/events/<slug:slug>/secret": ("", "admin"),
    "sources/events/<slug:slug>/proof": ("", "admin"),
    "sources/<slug:key>": ("marketer", "admin"),
    "sources/<slug:key>/switch": ("", "admin"),
    "sources/<slug:key>/retry": ("", "marketer"),
    "privacy": ("marketer", ""),
    "privacy/attributes": ("marketer", ""),
    "privacy/attributes/<str:key>": ("marketer", "admin"),
    "privacy/record": ("marketer", ""),
    "privacy/requests/<int:number>/done": ("", "admin"),
    "privacy/record.json": ("marketer", ""),
    "privacy/consents/import": ("", "admin"),
    "privacy/retention": ("", "admin"),
    "privacy/purposes/<slug:key>": ("marketer", "admin"),
    "destinations": ("marketer", ""),
    "destinations/new": ("marketer", "admin"),
    "destinations/<slug:slug>": ("marketer", "admin"),
    "destinations/<slug:slug>/switch": ("", "admin"),
    "destinations/<slug:slug>/mapping": ("marketer", "admin"),
    "destinations/<slug:slug>/mapping/preview": ("", "marketer"),
    "destinations/<slug:slug>/deliveries": ("marketer", ""),
    "destinations/<slug:slug>/deliveries/replay": ("", "marketer"),
    "destinations/<slug:slug>/deliveries/backfill": ("", "marketer"),
    "destinations/<slug:slug>/deliveries/resume": ("", "marketer"),
    "destinations/<slug:slug>/deliveries/<int:number>/retry": ("", "marketer"),
    "destinations/<slug:slug>/deletion-requests": ("marketer", ""),
    "destinations/<slug:slug>/deletion-requests/retry": ("", "marketer"),
    "destinations/<slug:slug>/deletion-requests/<int:number>/retry": ("", "marketer"),
}
# Pages without a session of staff: the login and its steps.
PUBLIC = {"login", "login/second", "login/setup", "login/passkey", "login/codes", "logout"}
ROUTES = {str(each.pattern): each.callback for each in urlpatterns}
FEW = 7


@pytest.fixture
def browsers(console, mia_console, bruno_console) -> dict[str, Client]:
    return {"viewer": bruno_console, "marketer": mia_console, "admin": console}


def address(route: str) -> str:
    return "/console/" + re.sub(r"<(\w+):\w+>", lambda found: {"int": "1"}.get(found[1], "nothing"), route)


def test_every_page_has_a_row_and_every_row_a_page():
    assert ROUTES.keys() - PUBLIC == PAGES.keys()
    assert {route: view.roles for route, view in ROUTES.items() if route not in PUBLIC} == PAGES
    assert not [route for route in PUBLIC if hasattr(ROUTES[route], "roles")]


@pytest.mark.any_database
@pytest.mark.parametrize("route", PAGES)
def test_page_refuses_the_roles_below_its_own_before_it_looks_anything_up(browsers, route):
    for method, needed in zip(("GET", "POST"), PAGES[route], strict=True):
        for role in ROLES:
            status = browsers[role].generic(method, address(route)).status_code
            if not needed:
                assert status == 405, (method, role)
            else:
                assert (status == 403) == (ROLES.index(role) < ROLES.index(needed)), (method, role, status)


@pytest.mark.any_database
@pytest.mark.parametrize("role", ROLES)
def test_navigation_offers_only_pages_that_the_role_may_read(browsers, role):
    page = browsers[role].get("/console/").content.decode()
    offered = set(re.findall(r'<li><a href="(/console/\w*)"', page.partition("</nav>")[0]))

    assert {"/console/", "/console/segments"} <= offered
    assert all(browsers[role].get(each).status_code == 200 for each in offered)
    assert ("/console/customers" in offered) == (role != "viewer")


def test_viewer_reads_no_customer_no_key_and_no_number_below_ten(browsers, make_customer, fill_lake):
    source = make_source("Shop")
    for number in range(FEW):
        make_customer(("Signed In", {}), gender="female", city="Porto", name=f"Marked{number} Person")
    make_customer(gender="male", city="Braga")
    evaluate_saved(save_segment("Women", "gender:female", "personalise"))
    fill_lake()
    read = [route for route, (needed, _) in PAGES.items() if needed == "viewer"]
    seen = "".join(browsers["viewer"].get(address(each).replace("nothing", "women")).content.decode() for each in read)
    seen += (
        browsers["viewer"].get("/console/segments/new?for=personalise&as=text&text=gender%3Afemale").content.decode()
    )

    assert "fewer than 10" in seen
    assert "Marked" not in seen
    assert source.write_key not in seen
    numbers = re.findall(r'<d[dt][^>]*>([\d,]+)<|<td class="n">([\d,]+)<|known for (\d+)|\((\d+)\)', seen)
    assert [number for found in numbers for number in found if number and int(number.replace(",", "")) % 10] == []
    assert browsers["admin"].get("/console/segments").content.decode().count(f'<td class="n">{FEW}</td>') == 1


def test_write_key_is_for_admins(browsers):
    key = make_source("Shop").write_key

    assert {role: key in browsers[role].get("/console/sources").content.decode() for role in ROLES} == {
        "viewer": False,
        "marketer": False,
        "admin": True,
    }


def test_viewer_cannot_count_by_what_names_a_customer(browsers, make_customer, fill_lake):
    for _ in range(12):
        make_customer(gender="female", city="Porto", name="Chika Abe")
    fill_lake()

    def count(text: str, role: str = "viewer") -> str:
        found = browsers[role].get("/console/segments/new", {"for": "personalise", "as": "text", "text": text})
        return found.content.decode()

    assert "Only those who may see customers can count by name" in count("name:Chika*")
    assert "can count by email" in count("gender:female OR email:chika*")
    assert "can count by user_metadata.vip" in count("NOT user_metadata.vip:true")
    assert "can count by email" in count('did("Order Completed" where email:c*)')
    assert "<dd>10</dd>" in count("gender:female")
    assert "<dd>12</dd>" in count("gender:female", "marketer")
    assert "can count by" not in count("name:Chika*", "marketer")


def test_viewer_reads_no_condition_that_names_a_customer(browsers, make_customer, fill_lake):
    make_customer(email="lena@example.com")
    fill_lake()
    save_segment("Lena and others", "email:lena@example.com OR gender:female", "personalise")
    pages = ["", "/lena-and-others", "/lena-and-others/edit"]

    def read(role: str) -> list[bool]:
        found = [browsers[role].get(f"/console/segments{page}", follow=True) for page in pages]
        return ["lena@example.com" in each.content.decode() for each in found]

    assert (read("viewer"), read("marketer")) == ([False] * 3, [True] * 3)


def test_viewer_cannot_single_a_customer_out_by_the_difference_of_two_counts(browsers, make_customer, fill_lake):
    for number in range(21):
        make_customer(gender="female", city="Porto" if number else "Braga")
    fill_lake()

    page = browsers["viewer"].get(
        "/console/segments/new", {"for": "personalise", "as": "text", "text": "gender:female AND NOT city:Braga"}
    )

    assert "makes a difference of fewer than 10 customers" in page.content.decode()


def test_viewer_is_offered_no_event_property_or_value_of_a_few(browsers, make_customer, fill_lake):
    """Ten events of one customer are no group: their notes, their events and what they alone have stay unseen."""
    for name in ("Abe", "Silva"):
        make_customer(*[("Order Completed", {"note": f"for {name}"})] * 12, ("Viewed Clinic", {}), name=name)
    for number in range(24):
        make_customer(("Order Completed", {"size": "XL" if number % 2 else "S"}), city="Porto" if number else "Braga")
    fill_lake()

    def builder(role: str, query: str = "for=personalise") -> str:
        return browsers[role].get(f"/console/segments/new?{query}").content.decode()

    assert all(each in builder("marketer") for each in ("Viewed Clinic", "size is XL"))
    seen = builder("viewer")
    assert "size is XL" in seen
    assert not [each for each in ("for Abe", "Silva", "Viewed Clinic", "note") if each in seen]
    row = "for=personalise&g0=all&g0.0=did&g0.0.what=Viewed+Clinic"
    few = "Fewer than 10 customers did this in the last 90 days."
    assert few in builder("viewer", row)
    assert few in builder("viewer", row.replace("Viewed", "Never"))
    assert few not in builder("marketer", row)


def test_small_groups_of_a_chart_are_added_up_or_left_out():
    rows = [("Porto", 25), ("Braga", 9), ("Lisboa", 4), (ALL_OTHERS, 3)]

    assert rounded_groups(rows, ALL_OTHERS) == [("Porto", 20), (ALL_OTHERS, 10)]
    assert rounded_groups([("Porto", 9)], ALL_OTHERS) == []
