"""A generic OpenID Connect provider is asked only for what is on, and what it sends beside that is dropped unread."""

from __future__ import annotations

import json
import logging
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.notices import send_page
from tests.openid import CALLBACK, openid_provider

from regulars.connections.models import Connection
from regulars.consent.models import ConsentEvent
from regulars.profiles.models import Fact, Profile, ProviderAnswer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]
SINGLY = {"claims_parameter_supported": True}
LOGIN = ["email", "email_verified", "family_name", "given_name", "locale", "name", "nickname", "picture"]
EVERYTHING = {
    "name": "Lena Vogt",
    "email": "lena@example.com",
    "email_verified": True,
    "gender": "female",
    "birthdate": "1997-03-07",
    "phone_number": "+4915112345678",
    "address": {"locality": "Berlin", "postal_code": "10437", "country": "DE"},
    "zoneinfo": "Europe/Berlin",
    "picture": ["no text"],
}
PIECES = ["address", "phone", "gender", "birthday"]
ATTRIBUTES = {
    "address": {"city", "postal_code", "country"},
    "phone": {"phone_number"},
    "gender": {"gender"},
    "birthday": {"birthdate"},
}
OPTIONAL = set().union(*ATTRIBUTES.values())


def connect(provider, scopes=(), pieces=PIECES):
    return Connection.objects.create(
        name="way",
        strategy="oidc",
        client_id="shop",
        secret="s",
        urls={"issuer": provider.url},
        scopes=list(scopes),
        requested_claims=list(pieces),
    )


def leave(client, *chosen):
    """Choose what to share. Returns what the provider is asked."""
    away = send_page(client, "/login/way", {"claim": list(chosen)})
    assert away.status_code == 302, away.content.decode()
    return {name: values[0] for name, values in parse_qs(urlsplit(away["Location"]).query).items()}


def come_back(client, provider, asked, **token):
    provider.answer("/token", {"access_token": "t", "id_token": provider.id_token(asked["nonce"], "7"), **token})
    provider.answer("/userinfo", {"sub": "7", **EVERYTHING})
    return client.get(CALLBACK, {"state": asked["state"], "code": "c"})


def known() -> set[str]:
    return set(Fact.objects.filter(retracted_at=None).values_list("attribute", flat=True))


@pytest.mark.parametrize("chosen", [[], ["gender"], ["birthday"], ["address", "phone"], PIECES])
def test_single_claims_are_asked_for_where_discovery_announces_it(client, chosen):
    with openid_provider(discovery=SINGLY) as provider:
        connect(provider)
        asked = leave(client, *chosen)
        come_back(client, provider, asked, scope="openid email")

    names = {"address": "address", "phone": "phone_number", "gender": "gender", "birthday": "birthdate"}
    assert asked["scope"] == "openid email"
    assert json.loads(asked["claims"]) == {
        "userinfo": dict.fromkeys(sorted([*LOGIN, *(names[each] for each in chosen)]))
    }
    assert known() & OPTIONAL == set().union(*(ATTRIBUTES[each] for each in chosen))
    assert {"name", "email"} <= known()


@pytest.mark.parametrize(
    ("chosen", "scopes"),
    [
        ([], {"openid", "email"}),
        (["gender"], {"openid", "email", "profile"}),
        (["birthday"], {"openid", "email", "profile"}),
        (["address"], {"openid", "email", "address"}),
        (["phone", "address"], {"openid", "email", "address", "phone"}),
    ],
)
def test_fewest_scopes_are_asked_for_elsewhere(client, chosen, scopes):
    with openid_provider() as provider:
        connect(provider)
        asked = leave(client, *chosen)
        come_back(client, provider, asked)

    assert set(asked["scope"].split()) == scopes
    assert "claims" not in asked
    assert known() & OPTIONAL == set().union(*(ATTRIBUTES[each] for each in chosen))
    assert (Profile.objects.get().document.get("name") == "Lena Vogt") is ("profile" in scopes)


@pytest.mark.parametrize("announced", [False, None, "true", 1])
def test_only_a_clear_announcement_counts(client, announced):
    with openid_provider(discovery={"claims_parameter_supported": announced}) as provider:
        connect(provider)

        assert "claims" not in leave(client, "gender")


@pytest.mark.parametrize("discovery", [{}, SINGLY])
@pytest.mark.parametrize("piece", PIECES)
def test_piece_that_was_not_ticked_is_stored_nowhere(client, piece, discovery, caplog):
    caplog.set_level(logging.DEBUG)
    with openid_provider(discovery=discovery) as provider:
        connect(provider, scopes=["openid", "email", "profile", "address", "phone"])
        come_back(client, provider, leave(client, *(each for each in PIECES if each != piece)))

    assert known() & OPTIONAL == OPTIONAL - ATTRIBUTES[piece]
    values = {"address": "10437", "phone": "15112345678", "gender": "female", "birthday": "1997-03-07"}
    stored = json.dumps([*ProviderAnswer.objects.values_list("raw", flat=True)]) + str(list(Fact.objects.values()))
    assert values[piece] not in stored + caplog.text
    assert "Europe/Berlin" not in stored


def test_refused_scope_of_a_piece_shares_nothing_of_it(client):
    with openid_provider() as provider:
        connect(provider)
        come_back(client, provider, leave(client, "gender", "address"), scope="openid email address")

    assert known() & OPTIONAL == ATTRIBUTES["address"]
    assert [event.evidence["claim"] for event in ConsentEvent.objects.all()] == ["address"]


def test_scope_of_the_providers_own_may_bring_the_names(client):
    with openid_provider() as provider:
        connect(provider, scopes=["openid", "members"])
        come_back(client, provider, leave(client))

    assert Profile.objects.get().document["name"] == "Lena Vogt"
    assert not known() & OPTIONAL


def test_claims_are_asked_for_in_the_id_token_without_userinfo(client):
    with openid_provider(discovery={**SINGLY, "userinfo_endpoint": None}) as provider:
        connect(provider, pieces=["gender"])
        provider.claims = {"gender": "female", "birthdate": "1997-03-07", "name": "Lena Vogt"}
        asked = leave(client, "gender")
        come_back(client, provider, asked)

    assert json.loads(asked["claims"]) == {"id_token": dict.fromkeys(sorted([*LOGIN, "gender"]))}
    assert known() & OPTIONAL == {"gender"}


def test_sign_in_that_began_before_an_upgrade_is_finished(client):
    with openid_provider() as provider:
        connect(provider)
        asked = leave(client, "gender")
        session = client.session
        [pending] = session["provider_logins"].values()
        del pending["claims"]
        session.save()

        assert come_back(client, provider, asked).status_code == 302

    assert known() & OPTIONAL == {"gender"}
