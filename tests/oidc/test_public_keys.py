"""What an event under a public write key says about a customer is in no ID token and in no answer of /userinfo."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from regulars.events.models import InboxItem, Source
from regulars.rules.save import save_rule
from regulars.usecases.process_event import process_inbox
from tests.oidc.app import id_claims

pytestmark = pytest.mark.django_db
COPY = "function (user, context, callback) { context.idToken['https://shop.example/user'] = user; callback(null, user, context); }"


def identify(customer, kind: str) -> None:
    body = {"userId": customer.user_id, "traits": {"firstName": "Mallory", "gender": "male", "birthday": "1970-01-01"}}
    InboxItem.objects.create(
        source=Source.objects.create(name="Shop", slug="shop", kind=kind),
        message_id="m-1",
        type="identify",
        body=json.dumps(body),
        received_at=timezone.now(),
    )
    while process_inbox():
        pass


@pytest.mark.parametrize(("kind", "reaches"), [("public", False), ("server", True)])
def test_traits_reach_tokens_and_userinfo_by_a_servers_key_only(signed_in, customer, kind, reaches):
    save_rule(name="Copy", language="javascript", script=COPY)
    identify(customer, kind)
    tokens = signed_in.tokens(scope="openid profile email")
    userinfo = signed_in.browser.get("/userinfo", HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}").json()
    claims = id_claims(tokens)

    for found in (claims, userinfo, claims["https://shop.example/user"]):
        assert ("Mallory" in str(found), "male" in str(found.get("gender")), "birthdate" in found) == (reaches,) * 3
        assert found["name"] == "Chika Okafor"
