"""Sign-in with a provider from the page before to the callback, against the mock service of Google."""

from __future__ import annotations

import time
from dataclasses import asdict
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils.html import strip_tags
from examples.mock_services.people import GOOGLE
from tests.notices import hidden_fields, send_page

from regulars.accounts.models import Account
from regulars.connections.models import Connection
from regulars.consent.models import ConsentEvent
from regulars.consent.purposes import PurposeText
from regulars.consent.view import EventUse, uses_of_events, view
from regulars.events.models import Event
from regulars.interfaces.login.social import LoginPurpose, PendingProviderLogin
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Profile, ProviderAnswer
from regulars.usecases.decide_consent import change_purpose

BIRTHDAY, GENDER = f"{GOOGLE}user.birthday.read", f"{GOOGLE}user.gender.read"
LENA, YUKI = "110248495921238986401", "110248495921238986404"


def begin(client, *requested_claims, path="/login/google-oauth2?next=/authorize%3Fa%3Db"):
    """Choose claims and return the address at the provider."""
    answer = send_page(client, path, {"claim": list(requested_claims)})
    assert answer.status_code == 302, answer.content.decode()
    return answer["Location"]


def query(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_page_before_lists_each_claim_unticked_with_reason_and_purpose_and_no_scope(client, google):
    page = client.get("/login/google-oauth2?next=/x").content.decode()

    assert page.count('type="checkbox" name="claim"') == 3
    assert page.count('type="checkbox" name="allow"') == 1
    assert " checked" not in page
    for words in (
        "<strong>Your date of birth.</strong>",
        "So that we show you",
        "To show you things that fit you.",
    ):
        assert words in page
    assert BIRTHDAY not in page
    assert "Continue with Google" in page
    assert "Your phone number" not in page  # this connection does not ask for it


def test_chosen_and_granted_claims_are_learned_with_source_and_consent(client, google, upstream):
    shown = strip_tags(client.get("/login/google-oauth2").content.decode())
    away = begin(client, "birthday", "gender")
    back = client.get(upstream.decide(away, BIRTHDAY, GENDER, person=LENA))

    lena = find_by_user_id(f"google-oauth2|{LENA}")
    gender = lena.facts.get(attribute="gender")
    assert (back.status_code, back["Location"]) == (302, "/authorize?a=b")
    assert client.session["_auth_user_id"] == str(lena.account.pk)
    assert (gender.value, gender.source_kind, gender.source, gender.basis) == (
        "female",
        "social",
        "google-oauth2",
        "consent",
    )
    assert lena.facts.get(attribute="email").source_kind == "verified"
    assert lena.document["birthdate"] == "1997-03-07"
    assert view(lena, "personalise")["gender"].value == "female"
    given = ConsentEvent.objects.get(pk=gender.consents[0])
    assert (given.action, given.method, given.purpose_id) == ("given", "login", "personalise")
    assert given.notice.body in shown
    assert Event.objects.filter(profile_id=lena.pk, name="Signed Up").count() == 1


def test_answer_of_another_issuer_is_refused(client, google, upstream):
    back = upstream.decide(begin(client), person=LENA)
    mixed_up = client.get(f"{back}&iss=https%3A%2F%2Fhonest.example")

    assert (mixed_up.status_code, Account.objects.count()) == (400, 0)
    assert client.get(f"{back}&iss={upstream.url}").status_code == 302


def test_session_records_the_login_method(client, google, upstream):
    client.get(upstream.decide(begin(client), person=LENA))

    record = client.session["account_authentication_methods"][-1]
    assert (record["method"], record["provider"], record["uid"]) == ("socialaccount", "google-oauth2", LENA)


def test_partial_grant_signs_in(client, google, upstream):
    back = client.get(upstream.decide(begin(client, "birthday", "gender"), GENDER, person=LENA))

    answer = ProviderAnswer.objects.get()
    lena = Profile.objects.get()
    assert back.status_code == 302
    assert answer.scopes_refused == [BIRTHDAY]
    assert GENDER in answer.scopes_granted
    assert not lena.facts.filter(attribute="birthdate").exists()
    assert [event.evidence["claim"] for event in ConsentEvent.objects.all()] == ["gender"]


def test_raw_answer_is_stored_as_far_as_it_was_shared(client, google, upstream):
    client.get(upstream.decide(begin(client, "gender"), GENDER, person=LENA))

    raw = ProviderAnswer.objects.get().raw
    assert raw["people"] == {"genders": [{"value": "female"}]}
    assert raw["userinfo"]["name"] == "Lena Vogt"
    assert raw["userinfo"]["sub"] == LENA
    assert set(raw) == {"people", "userinfo"}


def test_nothing_chosen_gives_a_login_and_no_consent(client, google, upstream):
    away = begin(client)
    client.get(upstream.decide(away, person=LENA))

    assert set(query(away)["scope"].split()) == {"openid", "email", "profile"}
    assert not ConsentEvent.objects.exists()
    assert view(Profile.objects.get(), "personalise") == {}


def test_second_login_is_the_same_customer_with_a_second_answer(client, google, upstream):
    for _ in range(2):
        client.get(upstream.decide(begin(client), person=LENA))

    assert Profile.objects.count() == Account.objects.count() == Event.objects.count() == 1
    assert ProviderAnswer.objects.count() == 2


def test_refusal_at_the_provider_returns_to_the_login_page(client, google, upstream):
    back = client.get(upstream.decide(begin(client), person=LENA, decision="deny"))
    page = client.get(back["Location"]).content.decode()

    assert query(back["Location"])["next"] == "/authorize?a=b"
    assert "You stopped at Google. Nothing was shared." in page
    assert not Profile.objects.exists()


def test_parameters_of_our_address_do_not_reach_the_provider(client, google):
    path = "/login/google-oauth2?scope=profile,admin&auth_params=prompt%3Dnone%26evil%3D1&next=https://evil.example"
    asked = query(begin(client, path=path))

    assert "admin" not in asked["scope"]
    assert "evil" not in asked
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://localhost:8000/login/callback"
    assert asked["nonce"]


@pytest.mark.parametrize("state", ["", "x", "google-oauth2.stolen", "unknown.x", "google-oauth2"])
def test_unknown_state_shows_an_error_page(client, google, state):
    answer = client.get("/login/callback", {"state": state, "code": "c"})

    assert answer.status_code == 400
    assert "This sign-in has run out" in answer.content.decode()


def test_state_belongs_to_one_browser_and_works_once(client, google, upstream):
    path = upstream.decide(begin(client), person=LENA)

    assert Client().get(path).status_code == 400
    assert client.get(path).status_code == 302
    assert client.get(path).status_code == 400


def test_expired_state_shows_an_error_page(client, google, upstream, monkeypatch):
    path = upstream.decide(begin(client), person=LENA)
    later = time.time() + 601
    monkeypatch.setattr("regulars.interfaces.login.social.time.time", lambda: later)

    assert client.get(path).status_code == 400
    assert not Profile.objects.exists()


def test_connection_without_requested_claims_redirects_at_once(client, google):
    Connection.objects.update(requested_claims=[])

    assert client.get("/login/google-oauth2").status_code == 302


@pytest.mark.parametrize("strategy", ["oidc", "google-oauth2"])
def test_two_connections_of_one_provider_keep_their_customers_apart(client, google, upstream, strategy):
    for name in ("club", "partner"):
        Connection.objects.create(
            name=name,
            strategy=strategy,
            display_name=name.title(),
            client_id=google.client_id,
            secret=google.secret,
            urls=google.urls,
        )
        client.get(upstream.decide(client.get(f"/login/{name}")["Location"], person=LENA))

    assert set(Profile.objects.values_list("user_id", flat=True)) == {
        f"{strategy}|{name}|{LENA}" for name in ("club", "partner")
    }
    assert Account.objects.count() == 2


def test_same_address_from_a_provider_takes_no_account_over(dina, client, google, upstream):
    Account.objects.filter(pk=dina.pk).update(email="lena.vogt@example.com")
    client.get(upstream.decide(begin(client), person=LENA))

    assert Profile.objects.count() == 2
    assert client.session["_auth_user_id"] != str(dina.pk)


def test_blocked_customer_is_refused_with_an_explanation(client, google, upstream):
    client.get(upstream.decide(begin(client), person=LENA))
    client.post("/logout")
    Profile.objects.update(blocked=True)

    answer = client.get(upstream.decide(begin(client), person=LENA))

    assert answer.status_code == 403
    assert "_auth_user_id" not in client.session


def test_unreachable_or_forbidden_provider_shows_an_error_page(client, google, settings):
    Connection.objects.update(urls={"issuer": "http://localhost:1/google"})
    assert client.post("/login/google-oauth2").status_code == 502

    settings.DEMO = False
    Connection.objects.update(urls={"issuer": "http://169.254.169.254/google"})
    assert client.post("/login/google-oauth2").status_code == 502


def test_wrong_secret_shows_an_error_page(client, google, upstream):
    path = upstream.decide(begin(client), person=LENA)
    Connection.objects.update(secret="wrong")

    assert client.get(path).status_code == 502


def test_customer_with_an_address_only_is_known_by_it(client, google, upstream):
    client.get(upstream.decide(begin(client), person=YUKI))

    yuki = Profile.objects.get()
    assert yuki.document["email"] == "yuki@example.com"
    assert yuki.document["email_verified"] is False
    assert yuki.facts.get(attribute="email").source_kind == "social"


def test_other_nonce_is_refused(client, google, upstream):
    path = upstream.decide(begin(client).replace("nonce=", "nonce=0"), person=LENA)

    assert client.get(path).status_code == 400
    assert not Profile.objects.exists()


def test_several_tabs_may_sign_in_at_once(client, google, upstream):
    first, second = begin(client), begin(client, "gender", path="/login/google-oauth2?next=/second")
    ahead = client.get(upstream.decide(second, GENDER, person=LENA))
    behind = client.get(upstream.decide(first, person=LENA))

    assert (ahead["Location"], behind["Location"]) == ("/second", "/authorize?a=b")
    assert ProviderAnswer.objects.count() == 2


def test_pending_login_of_a_later_version_is_read():
    stored = {
        "connection": "google-oauth2",
        "purpose": "link",
        "scopes": ["openid"],
        "chosen": [{"claim": "gender", "words": "Your gender."}],
        "resume_url": "/me",
        "nonce": "n",
        "code_verifier": "v",
        "profile": 7,
        "at": 1.5,
    }
    pending = PendingProviderLogin.from_json({**stored, "added_later": True})

    assert pending.purpose is LoginPurpose.LINK
    assert asdict(pending) == {**stored, "claims": None, "allowed": []}


def reworded():
    change_purpose("personalise", PurposeText("A shop that fits you", "To fit, and to sell it."), widened=False)


def test_choice_reworded_after_the_page_was_shown_is_shown_again_with_the_box_empty(client, google):
    form = hidden_fields(client.get("/login/google-oauth2?next=/x").content.decode())
    reworded()

    again = client.post("/login/google-oauth2?next=/x", {**form, "claim": ["gender"]})

    page = again.content.decode()
    assert (again.status_code, "provider_logins" in client.session) == (409, False)
    assert "This changed since you opened the page. Please read it again." in page
    assert "and to sell it" in page
    assert " checked" not in page
    assert client.post("/login/google-oauth2?next=/x", {**hidden_fields(page), "claim": ["gender"]}).status_code == 302


def test_login_without_a_choice_needs_no_notice(client, google):
    assert client.post("/login/google-oauth2?next=/x", {"claim": []}).status_code == 302


def test_choice_reworded_while_the_customer_is_away_signs_in_takes_nothing_and_asks_again(client, google, upstream):
    away = begin(client, "gender", path="/login/google-oauth2?next=/me")
    reworded()

    back = client.get(upstream.decide(away, GENDER, person=LENA))

    lena = find_by_user_id(f"google-oauth2|{LENA}")
    assert client.session["_auth_user_id"] == str(lena.account.pk)
    assert not lena.facts.filter(attribute="gender").exists()
    assert not ConsentEvent.objects.exists()
    page = client.get(back["Location"]).content.decode()
    assert "This changed since you opened the page. Please read it again." in page
    assert '<a href="/me">Go on without sharing it</a>' in page
    away = send_page(client, back["Location"], {"claim": ["gender"]})["Location"]
    assert client.get(upstream.decide(away, GENDER, person=LENA))["Location"] == "/me"
    assert "and to sell it" in ConsentEvent.objects.get().notice.body


def test_choice_is_recorded_in_the_language_of_its_page(client, google, upstream):
    german = hidden_fields(client.get("/login/google-oauth2?language=de").content.decode())
    client.get("/login/google-oauth2?language=fr")

    away = client.post("/login/google-oauth2", {**german, "claim": ["gender"]})["Location"]
    client.get(upstream.decide(away, GENDER, person=LENA))

    notice = ConsentEvent.objects.get().notice
    assert (notice.locale, "Ihr Geschlecht" in notice.body) == ("de", True)


@pytest.mark.parametrize("shown", ["", "xx", "../../etc", "d" * 300])
def test_damaged_language_of_a_choice_takes_nothing(client, google, shown):
    form = {**hidden_fields(client.get("/login/google-oauth2?language=de").content.decode()), "shown": shown}

    assert Client().post("/login/google-oauth2", {**form, "claim": ["gender"]}).status_code == 409


def test_purpose_is_allowed_as_a_whole_beside_the_claims(client, google, upstream):
    shown = strip_tags(client.get("/login/google-oauth2").content.decode())
    answer = send_page(client, "/login/google-oauth2", {"claim": ["gender"], "allow": ["personalise"]})
    client.get(upstream.decide(answer["Location"], GENDER, person=LENA))

    lena = find_by_user_id(f"google-oauth2|{LENA}")
    single, whole = ConsentEvent.objects.order_by("id")
    assert single.evidence["claim"] == "gender"
    assert (whole.action, whole.method, whole.purpose_id) == ("given", "login", "personalise")
    assert not whole.evidence.keys() & {"claim", "pieces"}
    label, _newline, text = whole.notice.body.partition("\n")
    assert f"{label}. {text}" in shown
    assert "visits and purchases" in text
    assert "Without this only the single things" in shown
    assert uses_of_events([lena], "personalise")[lena.pk] == EventUse(own=True, sent=True)
    assert lena.facts.get(attribute="gender").consents == [single.pk]


def test_claims_alone_allow_nothing_as_a_whole(client, google, upstream):
    client.get(upstream.decide(begin(client, "gender"), GENDER, person=LENA))

    lena = find_by_user_id(f"google-oauth2|{LENA}")
    assert uses_of_events([lena], "personalise")[lena.pk] == EventUse(own=False, sent=False)
    more = client.get("/login/google-oauth2?more=1").content.decode()
    assert 'name="allow"' in more


@pytest.mark.parametrize("hours", ["before", "meanwhile"])
def test_whole_purpose_reworded_takes_nothing_and_asks_again(client, google, upstream, hours):
    claims = {"claim": ["birthday", "gender", "address"], "allow": ["personalise"]}
    fields = {**hidden_fields(client.get("/login/google-oauth2?next=/x").content.decode()), **claims}
    if hours == "before":
        change_purpose("personalise", PurposeText("A shop that fits you", "To sell it."), widened=True)
        again = client.post("/login/google-oauth2?next=/x", fields)
        assert (again.status_code, b" checked" in again.content) == (409, False)
        return
    away = client.post("/login/google-oauth2?next=/x", fields)["Location"]
    change_purpose("personalise", PurposeText("A shop that fits you", "To sell it."), widened=True)
    back = client.get(upstream.decide(away, BIRTHDAY, GENDER, person=LENA))
    assert not ConsentEvent.objects.exists()
    assert "To sell it." in client.get(back["Location"]).content.decode()


def test_whole_purpose_alone_is_asked_again_where_it_was_reworded_meanwhile(client, google, upstream):
    Connection.objects.filter(name="google-oauth2").update(requested_claims=["gender"])
    client.get(upstream.decide(begin(client, "gender"), GENDER, person=LENA))
    client.logout()
    away = send_page(client, "/login/google-oauth2?next=/x", {"allow": ["personalise"]})["Location"]
    words = PurposeText("A shop that fits you", "To show you what fits.")
    change_purpose("personalise", words, widened=False)
    back = client.get(upstream.decide(away, person=LENA))

    assert ConsentEvent.objects.count() == 1
    page = client.get(back["Location"]).content.decode()
    assert "To show you what fits." in page
    assert page.count('type="checkbox"') == page.count('name="allow"') == 1


def test_whole_purpose_that_was_left_out_is_folded_away(client, google, upstream):
    client.get(upstream.decide(begin(client), person=LENA))
    page = client.get("/login/google-oauth2").content.decode()

    assert "<details>" in page.partition('name="allow"')[0]
    assert "You may also allow" not in page
