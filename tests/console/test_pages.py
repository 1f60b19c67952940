"""Pages of the console: login, customers, home, and errors."""

from __future__ import annotations

import pytest
from django.test import Client

from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.events.models import Source
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.usecases.decide_consent import decide
from regulars.usecases.find_customers import customer_name
from regulars.usecases.unit_of_work import changes

NASTY = "<script>alert(1)</script>"


def _sign_in(client: Client, password: str, email: str = "ana@shop.example", **more: str):
    return client.post("/console/login", {"email": email, "password": password, **more})


def _named(number: int, name: str, email: str = ""):
    profile, _ = get_or_create_by_identity("google-oauth2", str(number), connection="google-oauth2", is_social=True)
    facts = [NewFact("name", name, "social", "google-oauth2")]
    learn(profile, [*facts, *([NewFact("email", email, "social", "google-oauth2")] if email else [])])
    refresh_views(profile)
    return profile


@pytest.mark.parametrize("address", ["/console/", "/console/customers", "/console/customers/auth0%7Cx"])
def test_the_login_is_required_and_returns_to_the_page(client, standard_setup, address):
    response = client.get(address)

    assert response.status_code == 302
    assert response["Location"].startswith("/console/login?next=%2Fconsole%2F")


def test_chika_is_a_customer_and_not_staff(client, standard_setup, chika):
    from regulars.accounts.models import Account

    client.force_login(
        Account.objects.create_user("chika@mail.example", "pw"),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )

    assert client.get("/console/").status_code == 302


def test_ana_signs_in_and_it_is_written_down(client, ana):
    response = _sign_in(client, "a long password", next="/console/customers")

    assert response["Location"] == "/console/customers"
    assert AuditEntry.objects.get().what == "login.succeeded"


def test_the_login_never_redirects_to_another_host(client, ana):
    assert _sign_in(client, "a long password", next="https://evil.example/console/")["Location"] == "/console/"


def test_a_wrong_password_and_an_unknown_address_read_the_same(client, ana):
    wrong, unknown = _sign_in(client, "guess"), _sign_in(client, "guess", "who@shop.example")

    assert wrong.status_code == unknown.status_code == 401
    assert b"E-mail or password is not right" in wrong.content
    assert b"E-mail or password is not right" in unknown.content


def test_the_sixth_guess_is_not_even_looked_at(client, ana):
    for _ in range(5):
        _sign_in(client, "guess")

    assert _sign_in(client, "a long password").status_code == 429


def test_pages_forbid_inline_script(console):
    policy = console.get("/console/")["Content-Security-Policy"]

    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_home_counts_customers_and_not_nameless_visitors(console, chika):
    get_or_create_by_identity("anonymous", "a-1")

    assert console.get("/console/").context["figures"] == {"everybody": 1, "fresh": 1, "active": 0}


def test_home_costs_the_same_for_one_customer_as_for_many(console, chika, django_assert_max_num_queries):
    for number in range(20):
        _named(number, f"Customer {number}")

    with django_assert_max_num_queries(17):
        console.get("/console/")


@pytest.mark.parametrize(
    "search", ["chika", "Abe", "chika abe", "chika@mail", 'name:"Chika Abe"', "email:*@mail.example"]
)
def test_plain_words_and_the_search_language_find_a_customer(console, search):
    _named(1, "Chika Abe", "chika@mail.example")
    _named(2, "Dov Levi", "dov@else.example")

    found = console.get("/console/customers", {"q": search})

    assert [customer_name(each) for each in found.context["people"]] == ["Chika Abe"]


def test_a_search_error_shows_its_position(console):
    response = console.get("/console/customers", {"q": "name:(chika"})

    assert response.status_code == 400
    assert response.context["spot"] == ("name:(", "chika")
    assert 'role="alert"' in response.content.decode()


def test_a_search_is_text_and_never_sql_or_markup(console, chika):
    response = console.get("/console/customers", {"q": f'name:"{NASTY}\' OR 1=1 --"'})

    assert response.status_code == 200
    assert response.context["people"] == []
    assert NASTY not in response.content.decode()


def test_the_next_page_begins_where_the_first_ended(console, django_assert_max_num_queries):
    for number in range(60):
        _named(number, f"Customer {number}")

    with django_assert_max_num_queries(8):
        first = console.get("/console/customers").context
    second = console.get("/console/customers", {"after": first["next"]}).context

    assert (len(first["people"]), len(second["people"]), second["next"]) == (50, 10, 0)
    assert not {person.pk for person in first["people"]} & {person.pk for person in second["people"]}


def test_htmx_gets_the_found_part_only(console, chika):
    response = console.get("/console/customers", HTTP_HX_REQUEST="true")

    assert b"<table>" in response.content
    assert b"<html" not in response.content


def test_the_customer_page_shows_each_fact_with_its_source_escaped(console):
    chika = _named(1, NASTY)

    page = console.get("/console/customers/google-oauth2%7C1").content.decode()

    assert NASTY not in page
    assert "&lt;script&gt;" in page
    assert "Google" in page
    assert chika.user_id in page


def test_what_may_be_used_follows_the_consent(console):
    chika = _named(1, "Chika Abe")

    def values() -> dict[str, int]:
        uses = console.get("/console/customers/google-oauth2%7C1").context["uses"]
        return {use["purpose"].key: len(use["values"]) for use in uses}

    assert values()["personalise"] == 0
    record(chika, Decision("personalise", "given", "api"))
    assert values()["personalise"] == 1
    record(chika, Decision("personalise", "withdrawn", "api"))
    refresh_views(chika)
    assert values()["personalise"] == 0


def test_an_unknown_customer_id_is_not_found(console):
    response = console.get("/console/customers/auth0%7Cnobody")

    assert response.status_code == 404
    assert b"There is no such customer" in response.content


def test_the_customer_page_needs_few_queries(console, django_assert_max_num_queries):
    _named(1, "Chika Abe")

    with django_assert_max_num_queries(29):  # including the next question and the reasons of past decisions
        console.get("/console/customers/google-oauth2%7C1")


def test_the_theme_is_remembered_and_leads_back(console):
    response = console.post("/console/theme", {"theme": "dark", "next": "/console/customers"})

    assert response["Location"] == "/console/customers"
    assert b'data-theme="dark"' in console.get("/console/").content


@pytest.mark.parametrize(
    "address",
    [
        "/console/customers?q=%00",
        "/console/customers/auth0%7Cx%00",
        "/console/customers/auth0%7Cx/correct?attribute=%00",
        "/console/segments?%00=1",
        "/console/privacy?q=%00",
    ],
)
def test_a_character_that_no_text_may_hold_is_refused_in_words_on_either_database(console, address):
    answer = console.get(address)

    assert answer.status_code == 400
    assert "contains a NUL character" in answer.content.decode()
    assert console.post("/console/questions/settings", {"pace": "0\0"}).status_code == 400


def test_console_shows_no_event_that_the_customer_objected_to(console, chika):
    shop = Source.objects.create(name="Shop", slug="shop")
    with changes(chika, "test") as c:
        c.record_event("Signed In", {})
        c.record_message("Diapers Viewed", {}, source=shop)
    page, home = "/console/customers/google-oauth2%7C1001", "/console/"
    assert all("Diapers Viewed" in console.get(each).content.decode() for each in (page, home))
    decide(chika, Decision("measure", "objected", "profile"))

    assert not any("Diapers Viewed" in console.get(each).content.decode() for each in (page, home))
    assert all("Signed In" in console.get(each).content.decode() for each in (page, home))
    assert "stored and not shown" in console.get(page).content.decode()
