"""No value that anyone made long makes a token that servers refuse to read: what does not fit is left out by name."""

from __future__ import annotations

import json

import pytest

from regulars.consent.refresh import refresh_views
from regulars.events.models import InboxItem, Source
from regulars.oauth.claims import LARGEST, claims_of, fitting
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import RefusedGuess
from regulars.rules.save import save_rule
from regulars.usecases.process_event import process_inbox
from tests.oidc.app import id_claims

HEADER = 8192  # bytes of headers that the strictest of the common servers reads
LONG = "x" * 30_000
TRAITS = ("firstName", "lastName", "name", "avatar", "phone", "address.city")

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("kind", [Source.Kind.PUBLIC, Source.Kind.SERVER])
def test_long_traits_of_events_lengthen_no_token(signed_in, customer, kind):
    source = Source.objects.create(name="Shop", slug="shop", kind=kind)
    for number, trait in enumerate(TRAITS):
        head, _, rest = trait.partition(".")
        body = {"userId": customer.user_id, "traits": {head: {rest: LONG} if rest else LONG}}
        InboxItem.objects.create(
            source=source,
            message_id=f"m-{number}",
            type="identify",
            body=json.dumps(body),
            received_at=customer.created_at,
        )
    while process_inbox():
        pass
    tokens = signed_in.tokens(scope="openid profile email phone")

    assert len(tokens["id_token"]) < HEADER
    assert "too_long" in set(RefusedGuess.objects.values_list("why", flat=True))


def test_every_long_claim_together_fits_a_header(signed_in, customer, caplog):
    names = {"name": 300, "given_name": 150, "family_name": 150, "nickname": 300}
    facts = [NewFact(key, "猫" * size, "declared", "app:crm") for key, size in names.items()]
    picture = "https://pictures.example/" + "p" * 475
    learn(customer, [*facts, NewFact("picture", picture, "declared", "app:crm")])
    refresh_views(customer)
    tokens = signed_in.tokens(scope="openid profile email")

    assert len(tokens["id_token"]) < HEADER


def test_claims_of_rules_beyond_the_limit_are_left_out_by_name(signed_in, caplog):
    text = "function (user, context, callback) { context.idToken['https://shop.example/big'] = 'x'.repeat(20000); "
    text += "context.idToken['https://shop.example/plan'] = 'gold'; "
    text += "context.accessToken['https://shop.example/big'] = 'x'.repeat(20000); callback(null, user, context); }"
    save_rule(name="Big", language="javascript", script=text)
    tokens = signed_in.tokens(scope="openid profile email")
    claims = id_claims(tokens)

    assert claims["https://shop.example/plan"] == "gold"
    assert "https://shop.example/big" not in claims
    assert claims["name"] == "Chika Okafor"
    assert len(tokens["access_token"]) < HEADER
    assert "https://shop.example/big" in caplog.text


def test_claims_fit_up_to_the_limit_exactly():
    space = LARGEST - len('"a":"",')

    assert fitting({"a": "x" * space}, {}, "shop") == {"a": "x" * space}
    assert fitting({"a": "x" * (space + 1), "b": 1}, {}, "shop") == {"b": 1}


def test_a_longer_value_of_earlier_versions_is_no_claim(caplog):
    assert claims_of({"name": "x" * 501, "nickname": "x" * 500}, ["profile"]) == {"nickname": "x" * 500}
    assert "name" in caplog.text
