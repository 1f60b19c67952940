"""A sign-in that runs a rule, and calls with its tokens, beside an application that writes and beside an erasure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.oidc.app import CALLBACK, CHALLENGE, VERIFIER
from tests.races.conftest import Customer, Pair, Send

pytestmark = [pytest.mark.server, pytest.mark.long]
# An application, and a rule that runs at each of its sign-ins.
SET_UP = """
import django, json
django.setup()
from regulars.clients.register import ClientSpec, register
from regulars.rules.save import save_rule
app, secret = register(ClientSpec("Shop", "client_secret_post", redirect_uris=["https://shop.example/callback"],
                                  grant_types=["authorization_code", "refresh_token"]))
save_rule("Note", enabled=True, script='''function (user, context, callback) {
    auth0.users.updateAppMetadata(user.user_id, {signed_in: context.request.query.state})
        .then(() => callback(null, user, context));
}''')
print(json.dumps({"client_id": app.pk, "client_secret": secret}))
"""


class Shop:
    """The application."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.keys = pair, json.loads(pair.python(SET_UP))

    def authorize(self, who: Customer, state: str = "s") -> Send:
        """Return the request of a browser that is signed in."""
        params = {
            "client_id": self.keys["client_id"], "redirect_uri": CALLBACK, "response_type": "code", "state": state,
            "scope": "openid offline_access", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        }  # fmt: skip
        return self.pair.page(who, "/authorize?" + urlencode(params))

    def code(self, who: Customer) -> str:
        answer = self.pair.ask(self.authorize(who))
        assert answer.status_code == 302, answer.text
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    def token(self, **params: str) -> Send:
        return lambda client: client.post("/oauth/token", data={**self.keys, **params})

    def exchange(self, code: str) -> Send:
        return self.token(
            grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER
        )  # fmt: skip

    def refresh(self, token: str) -> Send:
        return self.token(grant_type="refresh_token", refresh_token=token)

    def userinfo(self, token: str) -> Send:
        return lambda client: client.get("/userinfo", headers={"Authorization": f"Bearer {token}"})

    def tokens(self, who: Customer) -> dict[str, Any]:
        answer = self.pair.ask(self.exchange(self.code(who)))
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def shop(pair: Pair) -> Shop:
    return Shop(pair)


def test_what_a_running_rule_and_two_applications_write_at_once_is_all_there(pair, shop, rounds):
    for number, late in enumerate(rounds):
        (who,) = pair.customers(1)
        signed_in, *patched = pair.at_once(
            shop.authorize(who, state=f"round-{number}"),
            pair.api("PATCH", who.path, {"app_metadata": {"plan": number}, "given_name": "Dov"}),
            pair.api("PATCH", who.path, {"user_metadata": {"shoe": number}}),
            late=late,
        )
        assert signed_in.status_code == 302, signed_in.text
        assert "code=" in signed_in.headers["location"]
        assert [each.status_code for each in patched] == [200, 200], [each.text for each in patched]

        user = pair.ask(pair.api("GET", who.path)).json()
        assert user["app_metadata"] == {"signed_in": f"round-{number}", "plan": number}
        assert user["user_metadata"] == {"shoe": number}
        assert user["given_name"] == "Dov"


def test_sign_ins_and_token_calls_beside_an_erasure_leave_no_customer_and_no_token(pair, shop, rounds):
    for late in rounds:
        (who,) = pair.customers(1)
        tokens, code = shop.tokens(who), shop.code(who)
        erased, signed_in, refreshed, claims, exchanged = answers = pair.at_once(
            pair.api("DELETE", who.path),
            shop.authorize(who),
            shop.refresh(tokens["refresh_token"]),
            shop.userinfo(tokens["access_token"]),
            shop.exchange(code),
            late=late,
        )
        assert [each.text for each in answers if each.status_code >= 500] == [], (pair.live.home / "log").read_text()[
            -6000:
        ]
        assert erased.status_code == 204
        assert signed_in.status_code == 302
        assert claims.status_code in (200, 401), claims.text
        issued = [tokens]
        for answer in (refreshed, exchanged):
            assert (answer.status_code, answer.json().get("error")) in ((200, None), (400, "invalid_grant"))
            issued += [answer.json()] if answer.status_code == 200 else []
        for each in issued:
            assert pair.ask(shop.userinfo(each["access_token"])).status_code == 401
            if "refresh_token" in each:
                assert pair.ask(shop.refresh(each["refresh_token"])).json()["error"] == "invalid_grant"
        for new in parse_qs(urlsplit(signed_in.headers["location"]).query).get("code", []):
            assert pair.ask(shop.exchange(new)).json()["error"] == "invalid_grant"
        assert pair.number_of(who) is None
