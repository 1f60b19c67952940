"""The answer to a window that Lock or auth0-js opened (`owp=true`). In a browser: tests/sdk/test_lock.py."""

from __future__ import annotations

import json
import re

import pytest

from regulars.base.tokens.jwt import verify
from tests.oidc.app import App, make_client, query_of, sign_in

ORIGIN = "https://shop.example"


@pytest.fixture
def lock(client, standard_setup) -> App:
    """An app that opted in, before any sign-in."""
    make_client("lock", grant_types=["authorization_code", "implicit"], web_origins=[ORIGIN])
    without = {"code_challenge": None, "code_challenge_method": None}
    return App(client, "lock", standard={"response_type": "token id_token", "owp": "true", **without})


def posted(response):
    """The answer that the page posts, and the origins that may get it."""
    page = response.content.decode()
    assert response.status_code == 200, page
    answer = re.search(r'post\(\{ a: "response", d: (.*) \}, event\.origin\);', page)
    origins = re.search(r"origins = (\[.*\]);", page)
    assert answer
    assert origins
    return json.loads(answer[1]), json.loads(origins[1])


def test_popup_posts_tokens_to_web_origins_and_puts_none_into_an_address(lock, customer):
    sign_in(lock.browser, customer)
    response = lock.authorize()
    answer, origins = posted(response)

    assert origins == [ORIGIN]
    assert verify(answer["id_token"], "lock") == answer["id_token_payload"]
    assert (answer["id_token_payload"]["sub"], answer["state"]) == (customer.user_id, "s1")
    assert answer["access_token"]
    assert "script-src 'self' 'nonce-" in response["Content-Security-Policy"]
    assert "Cross-Origin-Opener-Policy" not in response


def test_popup_posts_a_code(lock, customer):
    sign_in(lock.browser, customer)
    answer, _ = posted(lock.authorize(response_type="code", code_challenge=None))

    assert set(answer) == {"code", "state", "iss"}


def test_popup_posts_an_error(lock):
    answer, _ = posted(lock.authorize(prompt="none"))

    assert (answer["error"], answer["error_description"]) == ("login_required", "Login required")


def test_after_the_sign_in_page_it_is_still_a_popup(lock, customer):
    waiting = lock.authorize(prompt="login")
    sign_in(lock.browser, customer)
    answer, _ = posted(lock.browser.get(query_of(waiting["Location"])["next"]))

    assert answer["id_token_payload"]["email"] == "chika@example.com"


def test_popup_of_an_app_without_web_origins_posts_nothing(lock, customer):
    make_client("closed", grant_types=["authorization_code", "implicit"])
    sign_in(lock.browser, customer)
    _, origins = posted(lock.authorize(client_id="closed"))

    assert origins == []


def test_what_the_app_sent_ends_no_script(lock, customer):
    sign_in(lock.browser, customer)
    response = lock.authorize(state="</script><script>alert(1)//")

    assert "<script>alert" not in response.content.decode()
