"""No cache keeps a response that may hold something of one person."""

from __future__ import annotations

import pytest
from django.urls import URLPattern, get_resolver
from tests.management_api.conftest import make_token

pytestmark = pytest.mark.django_db

# The same for everyone, and meant to be cached.
PUBLIC = {
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/webauthn",
}


def addresses() -> list[str]:
    """Return every address that has no parameter."""
    found = []

    def walk(patterns, before: str) -> None:
        for pattern in patterns:
            address = before + str(pattern.pattern).removeprefix("^").removesuffix("$")
            if "<" in address or "(" in address or "\\" in address:
                continue
            if isinstance(pattern, URLPattern):
                found.append(address)
            else:
                walk(pattern.url_patterns, address)

    walk(get_resolver().url_patterns, "/")
    return sorted(set(found) - PUBLIC)


def is_not_stored(response) -> bool:
    return "no-store" in response.headers["Cache-Control"]


def test_no_address_is_stored_unless_it_is_listed_as_public(client, standard_setup):
    stored = {
        (method, address)
        for address in addresses()
        for method in ("GET", "POST")
        if not is_not_stored(client.generic(method, address))
    }

    assert len(addresses()) > 80
    assert stored == set()


@pytest.mark.parametrize(
    "path", ["/api/v2/users", "/api/v2/users/unknown", "/api/v2/clients", "/api/regulars/v1/segments"]
)
def test_no_answer_of_the_api_is_stored(client, standard_setup, path):
    answer = client.get(path, headers={"Authorization": f"Bearer {make_token()}"})

    assert answer.status_code in (200, 404)
    assert is_not_stored(answer)


def test_a_page_that_does_not_exist_and_a_wrong_host_are_not_stored(client, standard_setup):
    assert is_not_stored(client.get("/nowhere"))
    assert is_not_stored(client.get("/login", headers={"host": "evil.example"}))


def test_what_is_for_everyone_may_be_kept(client, standard_setup):
    assert "max-age" in client.get("/.well-known/jwks.json").headers["Cache-Control"]
