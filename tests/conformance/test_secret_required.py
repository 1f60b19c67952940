"""A stored secret stays with the address that it was entered for, in every place that has both."""

from __future__ import annotations

import itertools

import pytest

from regulars.base.errors import DomainError, Invalid
from regulars.base.plugins.fields import HIDDEN, SettingField, fill_settings
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS
from regulars.connections.save import ConnectionSpec, save_connection, url_keys
from regulars.destinations.kind import KINDS
from regulars.enrichment.source import SOURCES
from tests.management_api.conftest import ApiClient, make_token

THERE, ELSEWHERE = "https://there.example/a", "https://attacker.example/a"
SECRET = "whsec_" + "QUFB" * 10
PLUGINS = {
    f"{kind}:{key}": each
    for kind, found in (("destination", KINDS), ("source", SOURCES))
    for key, each in found.items()
}


def addresses(fields) -> list[str]:
    return [field.key for field in fields if not field.secret and (field.key == "url" or "://" in field.default)]


MOVABLE = [
    (name, address, left)
    for name, plugin in PLUGINS.items()
    if any(field.secret for field in plugin.fields)
    for address, left in itertools.product(addresses(plugin.fields), ("", HIDDEN, None))
]


@pytest.mark.parametrize(("name", "address", "left"), MOVABLE)
def test_plugin_that_is_moved_asks_for_its_secrets(name, address, left):
    fields = PLUGINS[name].fields
    stored = {field.key: SECRET if field.secret else field.default or "x" for field in fields}
    secrets = [field.key for field in fields if field.secret]
    given = {key: value for key, value in stored.items() if key not in secrets}
    kept = {} if left is None else dict.fromkeys(secrets, left)

    assert fill_settings(fields, {**given, **kept}, stored) == stored
    with pytest.raises(Invalid) as refused:
        fill_settings(fields, {**given, address: ELSEWHERE, **kept}, stored)
    assert (refused.value.code, refused.value.field) == ("secret_required", secrets[0])
    assert SECRET not in refused.value.message
    again = dict.fromkeys(secrets, f"{SECRET}2")
    assert fill_settings(fields, {**given, address: ELSEWHERE, **again}, stored)[address] == ELSEWHERE


def test_every_kind_with_a_secret_and_an_address_is_covered():
    covered = {name for name, _, _ in MOVABLE}
    with_secret = {name for name, plugin in PLUGINS.items() if any(field.secret for field in plugin.fields)}

    assert len(covered) >= 11
    assert with_secret - covered == {"destination:slack"}  # its address is the secret


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("https://there.example/a", "https://there.example/b"),
        ("https://there.example", "http://there.example"),
        ("https://there.example", "https://there.example:8443"),
        ("https://there.example", "https://there.example@attacker.example"),
        ("there.example", "attacker.example"),
        ("there.example:9200", "there.example:9300"),
        ("", "attacker.example"),
        ("there.example", ""),
        ("localhost", "10.0.0.1:80"),
        ("[::1]:80", "[::2]:80"),
    ],
)
def test_host_of_a_plugin_of_a_third_party_counts_as_an_address(before, after):
    fields = (SettingField("host", "Host", required=False), SettingField("key", "Key", secret=True))

    with pytest.raises(Invalid, match="Host changes where Key is sent"):
        fill_settings(fields, {"host": after}, {"host": before, "key": "k"})


def test_address_that_a_new_version_changes_by_default_asks_too():
    fields = (SettingField("url", "Address", default=ELSEWHERE), SettingField("key", "Key", secret=True))

    assert fill_settings(fields, {}, {"url": THERE, "key": "k"}) == {"url": THERE, "key": "k"}
    with pytest.raises(Invalid):
        fill_settings(fields, {"url": THERE}, {"key": "k"})


def test_other_settings_change_without_the_secret():
    fields = (SettingField("list_id", "List"), SettingField("take", "Take"), SettingField("key", "Key", secret=True))
    stored = {"list_id": "7", "take": "employer = company.name", "key": "k"}

    assert fill_settings(fields, {"list_id": "8", "take": "a = b.c\nd = e"}, stored)["list_id"] == "8"


# connections


def spec(strategy: str, **changes) -> ConnectionSpec:
    urls = {"issuer": THERE} if PROVIDERS[strategy].openid else {
        key: THERE for key in url_keys(PROVIDERS[strategy]) if key != "site"
    }  # fmt: skip
    return ConnectionSpec(
        **{"name": "club", "strategy": strategy, "display_name": "Club", "client_id": "shop", "secret": SECRET,
           "urls": urls, "scopes": ["a"], **changes}
    )  # fmt: skip


MOVES = [
    (strategy, key)
    for strategy, provider in PROVIDERS.items()
    if strategy != "apple"
    for key in url_keys(provider)
    if key not in ("site", "people")
]


@pytest.mark.parametrize(("strategy", "key"), MOVES)
def test_connection_that_is_moved_asks_for_its_secret(db, strategy, key):
    row = save_connection(spec(strategy))
    with pytest.raises(DomainError) as refused:
        save_connection(spec(strategy, secret="", urls={key: ELSEWHERE}), row)
    row.refresh_from_db()

    assert (refused.value.code, refused.value.field) == ("secret_required", "secret")
    assert ELSEWHERE not in row.urls.values()
    assert save_connection(spec(strategy, secret="", display_name="The club"), row).display_name == "The club"
    assert save_connection(spec(strategy, secret="new", urls={key: ELSEWHERE}), row).urls[key] == ELSEWHERE


def test_tenant_that_is_part_of_an_address_asks_for_the_secret(db):
    row = save_connection(spec("windowslive", urls={}))

    with pytest.raises(DomainError) as refused:
        save_connection(spec("windowslive", urls={}, secret="", settings={"tenant": "attacker.example"}), row)
    assert refused.value.code == "secret_required"


def test_address_of_all_others_asks_for_the_secret(db):
    row = save_connection(spec("github", urls={}))

    with pytest.raises(DomainError) as refused:
        save_connection(spec("github", urls={"site": ELSEWHERE}, secret=""), row)
    assert refused.value.code == "secret_required"


# interfaces


def test_management_api_asks_for_the_secret(client, db):
    made = save_connection(spec("oidc"))
    api, token = ApiClient(client), make_token("read:connections update:connections")
    path = f"/v2/connections/con_{made.pk:016d}"
    for urls in ({"issuer": ELSEWHERE}, {"issuer": THERE, "revoke": ELSEWHERE}):
        answer = api.call("PATCH", path, {"options": {"client_id": "shop", "urls": urls}}, token=token)
        assert answer.status_code == 400
        if "revoke" not in urls:
            assert answer.json()["errorCode"] == "secret_required"
    read = api.call("GET", path, token=token).json()["options"]
    assert api.call("PATCH", path, {"options": read}, token=token).status_code == 200
    moved = {**read, "urls": {"issuer": ELSEWHERE}, "client_secret": "new"}
    assert api.call("PATCH", path, {"options": moved}, token=token).status_code == 200
    assert Connection.objects.get().secret == "new"
