"""`regulars start --https`: SDKs that require https get a certificate of this installation."""

from __future__ import annotations

import socket
import stat
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.live import ask, own_database, regulars
from tests.ports import reserve_ports

pytestmark = [pytest.mark.server, pytest.mark.any_database]


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    with (
        own_database() as database_url,
        regulars(tmp_path_factory.mktemp("home"), "--no-demo", "--https", database_url=database_url) as running,
    ):
        yield running


def plain(live) -> str:
    return live.url.replace("https://", "http://")


def test_client_that_trusts_the_authority_uses_https(secure):
    found = secure.get("/.well-known/openid-configuration").json()

    assert found["issuer"] == f"{secure.url}/"
    assert found["token_endpoint"].startswith("https://")


def test_client_without_the_authority_is_refused(secure):
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx2.get(f"{secure.url}/healthz")


def test_cookies_stay_on_https(secure):
    answer = secure.get("/console/login")
    [cookie] = answer.headers.get_list("set-cookie")

    assert "Secure" in cookie


def test_a_page_asked_for_by_http_is_found_by_https(secure):
    answer = ask("GET", f"{plain(secure)}/login?next=%2F")

    assert (answer.status_code, answer.headers["location"]) == (308, f"{secure.url}/login?next=%2F")


def test_a_secret_sent_by_http_is_refused_and_not_sent_on(secure):
    answer = ask("POST", f"{plain(secure)}/oauth/token", data={"client_secret": "in the open"})

    assert answer.status_code == 426
    assert "https_only" in answer.text


def test_connection_of_another_protocol_is_closed(secure):
    port = urlsplit(secure.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"x" * 50_000 + b"\r\n")

        assert connection.recv(100) == b""


def test_the_keys_are_private(secure):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in secure.authority.parent.glob("*.key")}

    assert modes == {"authority.key": 0o600, "localhost.key": 0o600}


def test_output_names_the_authority_to_trust(secure):
    assert f"NODE_EXTRA_CA_CERTS={secure.authority}" in (secure.home / "log").read_text()


def test_a_public_address_without_https_is_refused_by_name(secure, tmp_path):
    secure.environment["REGULARS_URL"] = "http://shop.example"
    result = secure.run("start", "--https", "--no-demo", "--port", str(reserve_ports(3)), "--home", str(tmp_path))
    del secure.environment["REGULARS_URL"]

    assert result.returncode != 0
    assert "url_is_not_https" in result.stderr
