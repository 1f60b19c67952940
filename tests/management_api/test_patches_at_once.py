"""A PATCH beside another change of the same thing: what it does not name stays as the other one made it."""

from __future__ import annotations

import threading
import time
from urllib.parse import quote

import pytest
from django.db import connections, transaction
from django.test import Client as Browser

from regulars.clients.models import Client, ResourceServer
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.connections.save import ConnectionSpec, save_connection
from regulars.interfaces.management_api.connections import _id
from tests.management_api.conftest import make_token

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("standard_setup")]
GOOGLE = ConnectionSpec("google-oauth2", "google-oauth2", "Google", client_id="shop", secret="very-secret-4711")

SCOPES = "update:connections update:clients update:resource_servers"
CHANGES = {
    "connections": {"show_as_button": False},
    "clients": {"callbacks": ["https://shop.example/other"]},
    "resource-servers": {"token_lifetime": 3600},
}


def _connection() -> tuple[str, str, type[Connection], dict[str, str]]:
    return "connections", _id(save_connection(GOOGLE)), Connection, {"display_name": "Other"}


def _client() -> tuple[str, str, type[Client], dict[str, str]]:
    app, _ = register(ClientSpec("Shop", redirect_uris=["https://shop.example/cb"]))
    return "clients", app.pk, Client, {"name": "Other"}


def _api() -> tuple[str, str, type[ResourceServer], dict[str, str]]:
    api = ResourceServer.objects.create(identifier="https://api.example", name="API")
    return "resource-servers", quote(api.identifier, safe=""), ResourceServer, {"name": "Other"}


@pytest.mark.parametrize("make", [_connection, _client, _api])
def test_patch_keeps_what_another_change_made_meanwhile(make):
    path, number, model, other = make()
    headers = {"Authorization": f"Bearer {make_token(SCOPES)}"}
    statuses = []

    def patch() -> None:
        try:
            answer = Browser().patch(
                f"/api/v2/{path}/{number}", CHANGES[path], content_type="application/json", headers=headers
            )
            statuses.append(answer.status_code)
        finally:
            connections.close_all()

    thread = threading.Thread(target=patch)
    with transaction.atomic():
        model._default_manager.update(**other)
        thread.start()
        time.sleep(0.5)
    thread.join()

    assert statuses == [200]
    assert set(model._default_manager.values_list(*other)) == {("Other",)}
