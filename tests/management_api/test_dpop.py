"""Tokens bound to a key are accepted by the Management API only with a proof of that key."""

from __future__ import annotations

import pytest
from django.conf import settings

from regulars.clients.models import ClientGrant, ResourceServer
from tests.oidc.app import App, make_client
from tests.oidc.test_dpop import KEY, OTHER, ath, proof, sent_with

from .conftest import make_token

USERS = settings.ISSUER + "api/v2/users"
BOUND = {"cnf": {"jkt": KEY.thumbprint()}}


@pytest.fixture
def token(standard_setup) -> str:
    return make_token(**BOUND)


def users(client, token, proof_="", kind="DPoP", path="/api/v2/users"):
    headers = {"Authorization": f"{kind} {token}", **({"DPoP": proof_} if proof_ else {})}
    return client.get(path, headers=headers)


def made(token, url=USERS, method="GET", **more):
    return proof(url=url, method=method, **{"ath": ath(token), **more})


def test_bound_token_is_accepted_once_per_proof(client, token):
    signed = made(token)
    first, again = users(client, token, signed), users(client, token, signed)

    assert first.status_code == 200
    assert (again.status_code, again.json()["errorCode"]) == (401, "invalid_dpop_proof")
    assert again["WWW-Authenticate"].startswith('DPoP error="invalid_dpop_proof"')


def test_bound_token_as_bearer_is_refused_by_name(client, token):
    answer = users(client, token, kind="Bearer")

    assert (answer.status_code, answer.json()["errorCode"]) == (401, "dpop_proof_required")
    assert answer["WWW-Authenticate"].startswith('DPoP error="invalid_token"')


def test_proof_beside_a_bearer_token_does_not_make_it_dpop(client, token):
    assert users(client, token, made(token), kind="Bearer").json()["errorCode"] == "dpop_proof_required"


@pytest.mark.parametrize(
    ("proof_", "error"),
    [
        (lambda token: "", "invalid_token"),
        (lambda token: made(token, key=OTHER), "invalid_token"),
        (lambda token: made(token, ath=ath("another")), "invalid_dpop_proof"),
        (lambda token: made(token, ath=None), "invalid_dpop_proof"),
        (lambda token: made(token, method="DELETE"), "invalid_dpop_proof"),
        (lambda token: made(token, url=f"{settings.ISSUER}api/v2/clients"), "invalid_dpop_proof"),
        (lambda token: made(token, nonce="made up"), "use_dpop_nonce"),
        (lambda token: "nonsense", "invalid_dpop_proof"),
    ],
)
def test_every_other_proof_is_refused(client, token, proof_, error):
    answer = users(client, token, proof_(token))

    assert (answer.status_code, answer.json()["errorCode"]) == (401, error)
    assert ("DPoP-Nonce" in answer) == (error == "use_dpop_nonce")


def test_unbound_token_is_not_accepted_as_dpop(client, standard_setup):
    free = make_token()

    assert users(client, free, made(free)).json()["errorCode"] == "invalid_token"
    assert users(client, free, kind="Bearer").status_code == 200


def test_proof_covers_the_address_as_it_was_sent(client, token, chika):
    """Customers' ids have a bar in them, which travels as %7C; what follows the question mark is not signed."""
    path = f"/api/v2/users/{chika.user_id.replace('|', '%7C')}"
    answer = users(client, token, made(token, settings.ISSUER.rstrip("/") + path), path=f"{path}?fields=user_id")

    assert answer.json() == {"user_id": chika.user_id}


def test_machine_obtains_and_uses_a_bound_token(client, standard_setup):
    bot = make_client("bot", grant_types=["client_credentials"])
    audience = f"{settings.ISSUER}api/v2/"
    api, _ = ResourceServer.objects.get_or_create(
        identifier=audience, defaults={"name": "API", "scopes": ["read:users"]}
    )
    ClientGrant.objects.create(client=bot, resource_server=api, scopes=["read:users"])
    app = App(client, "bot")
    got = sent_with(app, proof(), app.token, grant_type="client_credentials", audience=audience).json()

    assert got["token_type"] == "DPoP"
    assert users(client, got["access_token"], made(got["access_token"])).status_code == 200
