"""The official auth0-python, unmodified, against a real server.

It always calls `https://{domain}`; the HTTP client that it takes as an argument is its seam, and ours leaves TLS out.
"""

from __future__ import annotations

import httpx
import pytest
from auth0.management import ManagementClient
from auth0.management.errors import NotFoundError

from regulars.profiles.learn import is_known
from regulars.profiles.models import Attribute, Connection
from tests.without_tls import WithoutTls

from .conftest import a_token


@pytest.fixture
def auth0(live_server, chika):
    with httpx.Client(transport=WithoutTls(), timeout=10) as client:
        domain = live_server.url.removeprefix("http://")
        yield ManagementClient(domain=domain, token=a_token(), httpx_client=client)


@pytest.mark.django_db(transaction=True)
def test_the_sdk_finds_changes_and_forgets_a_customer(auth0, chika):
    Attribute.objects.create(key="looking_for", label="Looking for", metadata_path="user_metadata.looking_for")
    changed = auth0.users.update(chika.user_id, name="Chika", user_metadata={"looking_for": "jackets"})

    assert changed.user_metadata == {"looking_for": "jackets"}
    assert is_known(chika, "looking_for")
    assert [user.user_id for user in auth0.users.list(q="name:chi*", per_page=1)] == [chika.user_id]
    assert auth0.users.get(chika.user_id).name == "Chika"

    auth0.users.delete(chika.user_id)
    with pytest.raises(NotFoundError):
        auth0.users.get(chika.user_id)


@pytest.mark.django_db(transaction=True)
def test_the_sdk_makes_a_customer_and_reads_what_is_set_up(auth0, passwords):
    made = auth0.users.create(connection=passwords.name, email="dov@example.org", password="correct horse 9")

    assert [user.user_id for user in auth0.users.list_users_by_email(email="dov@example.org")] == [made.user_id]
    google = Connection.objects.create(name="google-oauth2", strategy="google-oauth2", display_name="Google")
    assert [each.name for each in auth0.connections.list(take=1)] == [passwords.name, google.name]
    assert list(auth0.clients.list()) == []
