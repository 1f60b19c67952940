"""Sources without a vendor: values read from an address, a number, a network or a local table."""

from __future__ import annotations

import json

import pytest

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import fill_settings
from regulars.consent.view import view
from regulars.enrichment import build_us_areas
from regulars.enrichment.look_up import look_up
from regulars.enrichment.save import save_source
from regulars.enrichment.source import SOURCES, LookupFailed
from regulars.profiles.learn import NewFact, learn
from tests.mmdb import write_database


def said(key, settings=None, **traits):
    source = SOURCES[key]
    question = source.question(traits)
    return None if question is None else dict(source.ask(question, fill_settings(source.fields, settings or {})))


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("ana@gmail.com", "free"),
        ("ana@norte-wool.example.org", "company"),
        ("ana@mailinator.com", "disposable"),
        ("ana@anything.mailinator.com", "disposable"),
    ],
)
def test_an_address_is_free_disposable_or_a_companys(address, kind):
    assert said("email", email=address)["email_kind"] == kind


@pytest.mark.parametrize("address", ["ana", "ana@", "@gmail.com", "a b@gmail.com", "ana@gmail..com"])
def test_what_is_no_address_is_no_question(address):
    assert said("email", email=address) is None


def test_number_without_country_code_is_of_the_customers_country():
    mobile = {"phone_country": "PT", "phone_kind": "mobile", "phone_e164": "+351912345678"}

    assert said("phone", phone_number="912 345 678", country="PT") == mobile
    assert said("phone", phone_number="+351 912 345 678", country="US") == mobile
    assert said("phone", phone_number="912 345 678") is None
    assert said("phone", phone_number="123", country="PT") is None


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "city.mmdb"
    record = {
        "country": {"iso_code": "PT"},
        "subdivisions": [{"iso_code": "13"}],
        "location": {"time_zone": "Europe/Lisbon"},
    }
    write_database(path, "85.240.0.0/13", record)
    return {"file": str(path)}


def test_a_network_has_a_country_a_region_and_a_time_zone(database):
    assert said("ip-location", database, last_ip="85.241.3.4") == {
        "network_country": "PT",
        "network_region": "13",
        "time_zone": "Europe/Lisbon",
    }


def test_a_flat_database_of_countries_is_read_too(tmp_path):
    write_database(tmp_path / "flat.mmdb", "85.240.0.0/13", {"country_code": "PT"})

    assert said("ip-location", {"file": str(tmp_path / "flat.mmdb")}, last_ip="85.241.3.4") == {"network_country": "PT"}


@pytest.mark.parametrize("address", ["", "10.0.0.1", "127.0.0.1", "100.64.0.1", "fd00::1", "not an address"])
def test_a_private_network_is_no_question(database, address):
    assert said("ip-location", database, last_ip=address) is None


def test_an_unknown_network_is_an_empty_answer(database):
    assert said("ip-location", database, last_ip="8.8.8.8") == {}


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path):
    (tmp_path / "no.mmdb").write_text("hello")
    for path, name in {tmp_path / "no.mmdb": "bad_database", tmp_path / "gone.mmdb": "no_such_file"}.items():
        with pytest.raises(DomainError) as refused:
            SOURCES["ip-location"].check({"file": str(path)})

        assert refused.value.code == name


def test_network_of_the_last_login_becomes_a_fact_with_an_expiry(chika, database):
    chika.last_ip = "85.241.3.4"
    chika.save()
    save_source("ip-location", database)
    news = {each.attribute: each for each in look_up(chika, "ip-location")}

    assert news["network_country"].value == "PT"
    assert (news["network_country"].source_kind, news["network_country"].confidence) == ("inferred", 0.5)
    assert news["network_country"].expires_at is not None


def test_a_postal_code_has_a_town_and_a_region():
    assert said("postal-places", postal_code="10001-1234", country="US") == {"city": "New York", "region": "New York"}
    assert said("postal-places", postal_code="10437", country="DE")["city"] == "Berlin"
    assert said("postal-places", postal_code="99999", country="DE") == {}
    assert said("postal-places", postal_code="10437") is None


def test_the_operators_own_table_is_read_as_geonames_writes_it(tmp_path):
    (tmp_path / "AT.txt").write_text("AT\t1010\tWien, Innere Stadt\tWien\t09\n")

    assert said("postal-places", {"file": str(tmp_path / "AT.txt")}, postal_code="1010", country="AT") == {
        "city": "Wien, Innere Stadt",
        "region": "Wien",
    }


def test_a_us_area_is_known_without_a_key_and_without_a_call():
    found = said("us-areas", postal_code="10001", country="US")

    assert found == {"area_median_income": 106509, "area_median_age": 36.8}
    assert said("us-areas", postal_code="73301", country="US") == {}
    assert said("us-areas", postal_code="10437", country="DE") is None


def test_the_table_of_areas_is_made_from_what_the_bureau_publishes(tmp_path, capsys):
    head = ["NAME", "B19013_001E", "B01002_001E", "zip code tabulation area"]
    rows = [["ZCTA5 60614", "118200", "32.9", "60614"], ["ZCTA5 00601", "-666666666", None, "00601"]]
    (tmp_path / "saved.json").write_text(json.dumps([head, *rows]))
    table = tmp_path / "areas.csv"

    assert build_us_areas.main([str(tmp_path / "saved.json"), str(table)]) == 0
    assert "2 areas" in capsys.readouterr().out
    assert table.read_text().splitlines()[1:] == ["zcta,income,age", "00601,,", "60614,118200,32.9"]
    found = said("us-areas", {"file": str(table)}, postal_code="60614", country="US")
    assert found == {"area_median_income": 118200, "area_median_age": 32.9}


@pytest.mark.parametrize("text", ["{}", "[]", '[["NAME"]]', "<html>", ""])
def test_what_is_no_such_table_is_refused_in_words(tmp_path, capsys, text):
    (tmp_path / "saved.json").write_text(text)

    assert build_us_areas.main([str(tmp_path / "saved.json"), str(tmp_path / "areas.csv")]) == 1
    assert capsys.readouterr().err
    assert not (tmp_path / "areas.csv").exists()


def test_a_table_that_is_gone_is_a_lasting_fault():
    with pytest.raises(LookupFailed) as failed:
        said("us-areas", {"file": "no/such/file"}, postal_code="10001", country="US")

    assert (failed.value.code, failed.value.permanent) == ("cannot_read", True)


def test_hints_give_way_to_any_other_source(chika):
    facts = {"locale": "pt-BR", "email": "ana.ruiz@example.com"}
    learn(chika, [NewFact(key, value, "social", "google-oauth2") for key, value in facts.items()])
    save_source("hints", {})
    learn(chika, look_up(chika, "hints"))
    guessed = view(chika, "serve")
    assert (guessed["country"].value, guessed["country"].confidence) == ("BR", 0.3)
    assert guessed["given_name"].value == "Ana"
    learn(chika, [NewFact("country", "PT", "imported", "list")])

    assert view(chika, "serve")["country"].value == "PT"


@pytest.mark.parametrize(
    ("traits", "found"),
    [
        ({"locale": "pt"}, {}),
        ({"locale": "nonsense-XX-yy"}, {}),
        ({"email": "info.sales@example.com"}, {}),
        ({"email": "ana@example.com"}, {}),
    ],
)
def test_where_there_is_no_hint_nothing_is_guessed(traits, found):
    assert said("hints", **traits) == found
