"""A refused authorization request goes back to the app, in the response mode that it asked for."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.oidc.app import CALLBACK, App, came_back, form_of, fragment_of, make_client, message_of, query_of, sign_in

FOREIGN = ["https://shop.example/request.jwt", "urn:x", "urn:ietf:params:oauth:request", "x" * 500]
# A change to a good request, with the error that it gets.
REFUSED = [
    ({"request": "e30.e30."}, "request_not_supported"),
    ({"request": "not a token"}, "request_not_supported"),
    ({"request_uri": "https://shop.example/request.jwt"}, "request_uri_not_supported"),
    ({"organization": "org_1"}, "invalid_request"),
    ({"max_age": "yesterday"}, "invalid_request"),
    ({"prompt": "dance"}, "invalid_request"),
    ({"claims": "{"}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"response_type": "telepathy"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"response_type": "token"}, "unauthorized_client"),
    ({"audience": "https://nowhere.example/"}, "access_denied"),
    ({"nonce": "x" * 5000}, "invalid_request"),
]


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def request_object(**claims):
    """An unsigned request object (OpenID Connect Core 6.1)."""
    return f"{part({'alg': 'none'})}.{part(claims)}."


def read(response, mode):
    """The answer, where this mode puts it, and nowhere else."""
    if mode == "form_post":
        assert response.status_code == 200
        assert f'action="{CALLBACK}"' in response.content.decode()
        return form_of(response)
    if mode == "web_message":
        message, origin = message_of(response)
        assert origin == "https://shop.example"
        return message["response"]
    assert response.status_code == 302
    assert response["Location"].startswith(CALLBACK)
    query, fragment = query_of(response["Location"]), fragment_of(response["Location"])
    assert not (query and fragment)
    return query if mode == "query" else fragment


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post", "web_message"])
@pytest.mark.parametrize(("change", "error"), REFUSED)
def test_every_refusal_comes_in_the_mode_that_was_asked_for(signed_in, change, error, mode):
    mode_of_tokens = "fragment" if change.get("response_type") == "token" and mode == "query" else mode
    answer = read(signed_in.authorize(response_mode=mode, **change), mode_of_tokens)

    assert (answer["error"], answer["state"]) == (error, "s1")


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post", "web_message"])
def test_a_refusal_of_the_login_comes_in_that_mode_too(app, mode):
    answer = read(app.authorize(response_mode=mode, prompt="none"), mode)

    assert answer["error"] == "login_required"


@pytest.mark.parametrize("by_post", [False, True])
@pytest.mark.parametrize("reference", FOREIGN)
def test_a_request_uri_that_is_not_ours_goes_back_to_the_app(signed_in, reference, by_post):
    address = signed_in.address(request_uri=reference)
    response = signed_in.browser.post("/authorize", query_of(address)) if by_post else signed_in.browser.get(address)

    assert came_back(response)["error"] == "request_uri_not_supported"


@pytest.mark.parametrize("change", [{"client_id": "unknown"}, {"redirect_uri": "https://evil.example/"}])
@pytest.mark.parametrize("parameter", ["request", "request_uri"])
def test_a_refusal_never_goes_to_an_address_that_is_not_registered(signed_in, parameter, change):
    sent = request_object(redirect_uri=CALLBACK) if parameter == "request" else "https://shop.example/r.jwt"

    assert signed_in.authorize(**{parameter: sent}, **change).status_code == 400


@pytest.mark.parametrize("mode", ["fragment", "form_post", "web_message"])
def test_the_mode_and_state_inside_a_refused_request_object_count(signed_in, mode):
    sent = request_object(response_mode=mode, state="inside", nonce="n", redirect_uri="https://evil.example/")
    response = signed_in.authorize(request=sent, state=None)
    answer = read(response, mode)

    assert (answer["error"], answer["state"]) == ("request_not_supported", "inside")


@pytest.mark.parametrize(
    "claims",
    [{"response_mode": "pigeon"}, {"response_mode": 7, "state": ["a"]}, {"state": "nul\0"}, {"state": "x" * 5000}],
)
def test_an_odd_request_object_is_refused_in_the_ordinary_mode(signed_in, claims):
    answer = read(signed_in.authorize(request=request_object(**claims), state=None), "query")

    assert "error" in answer
    assert "state" not in answer


def test_tokens_of_a_refused_request_object_stay_out_of_the_query(signed_in):
    sent = request_object(response_mode="query")
    answer = read(signed_in.authorize(request=sent, response_type="id_token"), "fragment")

    assert answer["error"] == "request_not_supported"


def test_a_used_reference_of_ours_is_named_to_an_app_that_says_where_it_is(signed_in):
    gone = "urn:ietf:params:oauth:request_uri:" + "x" * 43
    answer = signed_in.answer(request_uri=gone)
    page = signed_in.browser.get(f"/authorize?client_id=shop&request_uri={quote(gone)}")

    assert (answer["error"], answer["state"]) == ("invalid_request_uri", "s1")
    assert page.status_code == 400


@pytest.mark.parametrize(
    "name", ["request", "request_uri", "response_mode", "prompt", "max_age", "claims", "acr_values"]
)
def test_a_parameter_without_a_value_is_as_if_it_was_not_sent(signed_in, name):
    assert "code" in signed_in.answer(**{name: ""})


def test_a_request_by_post_may_leave_parameters_empty(signed_in):
    sent = {**query_of(signed_in.address()), "response_mode": "", "request_uri": "", "id_token_hint": ""}

    assert "code" in came_back(signed_in.browser.post("/authorize", sent))


@pytest.mark.parametrize("name", ["request", "request_uri", "id_token_hint", "ui_locales"])
def test_no_parameter_of_the_protocol_may_be_sent_twice(signed_in, name):
    answer = came_back(signed_in.browser.get(signed_in.address() + f"&{name}=a&{name}=b"))

    assert (answer["error"], answer["state"]) == ("invalid_request", "s1")


def test_the_mode_is_kept_over_the_sign_in_page_and_the_consent_page(client, customer):
    make_client("bikes", first_party=False)
    bikes = App(client, "bikes")
    away = bikes.authorize(response_mode="form_post", prompt="login")
    sign_in(client, customer)
    asked = client.get(query_of(away["Location"])["next"])
    answer = read(client.post(asked["Location"], {"do": "deny"}), "form_post")

    assert (answer["error"], answer["state"]) == ("access_denied", "s1")
