"""Authlib's client, unmodified, with a plain HTTP client as the browser."""

from __future__ import annotations

import re

import httpx2
import pytest
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from .conftest import Town
from .furnish import PASSWORD

pytestmark = pytest.mark.browser


def walk(browser: httpx2.Client, town: Town, address: str, callback: str) -> str:
    """Sign in from /authorize and return the callback address of the app."""
    answer = browser.get(address, follow_redirects=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.text)[1]
    form = {"csrfmiddlewaretoken": token, "email": "chika@example.com", "password": PASSWORD}
    answer = browser.post(str(answer.url), data=form, headers={"Referer": str(answer.url)})
    while not answer.headers["location"].startswith(callback):
        answer = browser.get(httpx2.URL(town.url).join(answer.headers["location"]))
    return answer.headers["location"]


def test_authlib_signs_in_with_pkce_refreshes_and_revokes(town: Town):
    keys, callback = town.clients["authlib"], f"{town.origins['authlib']}/callback"
    with town.client() as browser:
        found = browser.get(f"{town.issuer}.well-known/openid-configuration").json()
        app = OAuth2Client(
            keys["client_id"],
            keys["client_secret"],
            scope="openid profile email offline_access",
            redirect_uri=callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic",
            verify=town.certificate.client_context(),
        )
        verifier, nonce = generate_token(48), generate_token()
        address, state = app.create_authorization_url(
            found["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        back = walk(browser, town, address, callback)
        tokens = app.fetch_token(
            found["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state
        )
        keyset = KeySet.import_key_set(browser.get(found["jwks_uri"]).json())
        claims = jwt.decode(tokens["id_token"], keyset).claims
        userinfo = app.get(found["userinfo_endpoint"]).json()
        renewed = app.refresh_token(found["token_endpoint"], refresh_token=tokens["refresh_token"])
        revoked = app.revoke_token(found["revocation_endpoint"], token=renewed["refresh_token"])
        app.close()

    assert claims["nonce"] == nonce
    assert type(claims["updated_at"]) is type(userinfo["updated_at"]) is int
    assert claims["email"] == userinfo["email"] == "chika@example.com"
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert revoked.status_code == 200
