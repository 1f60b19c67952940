"""Several connections of one customer: share more claims, stop sharing, link and unlink accounts."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail
from django.test import Client
from examples.mock_services.people import GOOGLE
from tests.login.device import code_of
from tests.notices import send_page

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.consent.view import view
from regulars.events.models import Event
from regulars.profiles.models import Profile, ProviderAnswer
from regulars.usecases.passwordless import passwordless_login
from regulars.usecases.users import link

from .conftest import PASSWORD

BIRTHDAY, GENDER = f"{GOOGLE}user.birthday.read", f"{GOOGLE}user.gender.read"
LENA, TOM = "110248495921238986401", "110248495921238986403"
HERE = "/me/accounts"


@pytest.fixture
def come(client, google, upstream):
    """Return a function that signs in by a connection and returns the response of the callback."""

    def go(*requested_claims, person=LENA, ticked=(BIRTHDAY, GENDER), name="google-oauth2", aim=""):
        away = send_page(client, f"/login/{name}?next={HERE}{aim}", {"claim": list(requested_claims)})
        return client.get(upstream.decide(away["Location"], *ticked, person=person))

    go.upstream = upstream
    return go


@pytest.fixture
def club(google):
    """A second connection to the same provider, with the same people."""
    return Connection.objects.create(
        name="club",
        strategy="oidc",
        display_name="The Club",
        client_id=google.client_id,
        secret=google.secret,
        scopes=["openid", "email", "profile"],
        urls=google.urls,
    )


def scopes_asked(address):
    return set(parse_qs(urlsplit(address).query)["scope"][0].split())


def test_declined_claims_are_collapsed_at_the_next_login_in_the_same_browser(client, come):
    come("birthday", ticked=[BIRTHDAY])
    client.post("/logout")
    page = client.get("/login/google-oauth2").content.decode()
    before, _, collapsed = page.partition("<details>")

    assert "Your date of birth" in before
    assert "Your gender" not in before
    assert "Your gender" in collapsed
    assert "Continue with Google" in collapsed


def test_sharing_more_later_requests_the_new_claims_only(client, come):
    come("birthday")
    page = client.get(f"/login/google-oauth2?more=1&next={HERE}").content.decode()
    away = send_page(client, f"/login/google-oauth2?more=1&next={HERE}", {"claim": ["gender"]})["Location"]

    assert 'value="birthday"' not in page
    assert 'value="gender"' in page
    assert scopes_asked(away) == {"openid", "email", "profile", GENDER}
    assert "include_granted_scopes=true" in away

    back = come("gender", aim="&more=1")

    lena = Profile.objects.get()
    assert back["Location"] == HERE
    assert {lena.document["gender"], lena.document["birthdate"]} == {"female", "1997-03-07"}
    assert ProviderAnswer.objects.count() == 2


def test_sharing_more_from_another_provider_account_is_refused(client, come):
    come("birthday")
    answer = come("gender", person=TOM, aim="&more=1")

    assert answer.status_code == 403
    assert "You chose another account there" in answer.content.decode()
    assert Profile.objects.count() == 1


def test_sharing_more_requires_a_session(client, google):
    answer = client.get("/login/google-oauth2?more=1")

    assert answer["Location"].startswith("/login?")
    assert "more%3D1" in answer["Location"]


def test_stopping_a_claim_revokes_the_grant_at_the_provider(client, come):
    come("birthday", "gender")
    lena = Profile.objects.get()
    page = client.get(HERE).content.decode()
    answer = client.post(f"{HERE}/{lena.identities.get().pk}/stop", {"claim": "birthday"})

    assert "Stop sharing: Your date of birth" in page
    assert answer["Location"] == f"{HERE}?done=stopped"
    assert "age_band" not in view(lena, "personalise")
    assert view(lena, "personalise")["gender"].value == "female"
    assert lena.facts.get(attribute="birthdate").retracted_why == "stopped_sharing"
    assert Job.objects.get(kind="upstream.revoke").payload["scopes"] == [BIRTHDAY]
    assert Event.objects.get(name="Stopped Sharing").properties["claim"] == "birthday"


def test_identity_of_another_customer_is_neither_stopped_nor_unlinked(client, come):
    come("birthday")
    other, _ = Profile.objects.get_or_create(user_id="auth0|x")
    number = other.identities.create(provider="auth0", provider_user_id="x").pk

    assert client.post(f"{HERE}/{number}/stop", {"claim": "birthday"}).status_code == 404
    assert client.post(f"{HERE}/{number}/part").status_code == 404
    assert client.post(f"{HERE}/{Profile.objects.first().identities.get().pk}/stop", {"claim": "x"}).status_code == 400


def test_added_connection_signs_in_the_same_customer(client, come, club):
    come()
    come(person=TOM, name="club", aim="&link=1", ticked=())
    run_due()
    client.post("/logout")
    come(person=TOM, name="club", ticked=())

    lena = Profile.objects.get()
    assert [(each.to, each.subject) for each in mail.outbox] == [
        (["lena.vogt@example.com"], "A login method was added")
    ]
    assert client.session["_auth_user_id"] == str(lena.account.pk)
    assert lena.identities.count() == 2


def test_proven_account_is_linked_and_unlinked(client, come, club):
    come(name="club", ticked=())
    client.post("/logout")
    come("gender")
    offered = client.get(HERE).content.decode()
    come(name="club", aim="&link=1", ticked=())

    assert "Another account with lena.vogt@example.com" in offered
    assert Profile.objects.filter(merged_into=None).count() == 1

    remaining = Profile.objects.get(merged_into=None)
    client.post(f"{HERE}/{remaining.identities.get(provider='oidc').pk}/part")

    assert Profile.objects.filter(merged_into=None).count() == 2


def test_unlinking_ends_the_other_sessions_of_the_account(client, come, club):
    """One of them may have begun with the login method that the customer removes, because it is not theirs."""
    come()
    come(person=TOM, name="club", aim="&link=1", ticked=())
    other = Client()
    away = other.post(f"/login/club?next={HERE}")["Location"]
    other.get(come.upstream.decide(away, person=TOM))
    assert other.get(HERE).status_code == 200
    lena = Profile.objects.get()
    client.post(f"{HERE}/{lena.identities.get(provider='oidc').pk}/part")

    assert client.get(HERE).status_code == 200
    assert other.get(HERE)["Location"].startswith("/login?")


def test_same_address_alone_links_nothing(client, come, club):
    come(name="club", ticked=())
    client.post("/logout")
    come()

    assert Profile.objects.filter(merged_into=None).count() == 2


def test_linking_requires_a_recent_login(client, come, club, monkeypatch):
    come()
    monkeypatch.setattr("regulars.interfaces.pages.signed_in.FRESH", 0)

    answer = client.get("/login/club?link=1")

    assert answer["Location"].startswith("/login?")
    assert "prompt=login" in answer["Location"]


def test_another_customer_who_signs_in_meanwhile_gains_no_link(client, come, club, upstream):
    come()
    away = client.post(f"/login/club?link=1&next={HERE}")["Location"]
    path = upstream.decide(away, person=TOM)
    come(person="110248495921238986402", ticked=())

    assert client.get(path).status_code == 400
    assert Profile.objects.count() == 2


def test_page_requires_a_session(client, standard_setup):
    assert client.get(HERE)["Location"].startswith("/login?")
    assert client.post(f"{HERE}/1/part")["Location"].startswith("/login?")


def test_account_with_a_second_factor_is_not_linked_by_the_first_factor_alone(client, come, club):
    """An attacker with the customer's social account, but without their phone, tries to link it to another account."""
    come(person=TOM, name="club", ticked=())
    tom = Account.objects.get()
    authenticator_codes.add_app(tom, secret := authenticator_codes.new_secret(), code_of(secret))
    client.post("/logout")
    come()
    answer = come(person=TOM, name="club", aim="&link=1", ticked=())

    assert answer.status_code == 403
    assert Profile.objects.filter(merged_into=None).count() == 2
    assert client.session["_auth_user_id"] != str(tom.pk)


def test_linked_password_account_still_signs_in_by_password_code_and_reset(client, come, dina, last_link):
    Connection.objects.create(name="email", strategy="email", display_name="E-mail code")
    come()
    lena = Profile.objects.get(user_id=f"google-oauth2|{LENA}")
    link(lena, dina.profile, "customer")
    client.post("/logout")

    assert passwordless_login("dina@example.com", "email").account == dina
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(lena.account.pk)
    client.post("/password/reset", {"email": "dina@example.com"})
    back = client.post(last_link(), {"password": "other words in a row"})
    assert back.status_code == 302
    assert "_auth_user_id" in client.session
    assert not dina.profile.facts.exists()
