"""Who arrives is found or made, once; what was said is kept with source and consent."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from regulars.accounts.models import Account
from regulars.base.errors import DomainError
from regulars.consent.models import ConsentEvent
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.view import view
from regulars.events.models import Event
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.models import Profile, ProviderAnswer
from regulars.usecases.complete_social_login import (
    ClaimConsent,
    ProviderClaim,
    ProviderLogin,
    complete_social_login,
    sign_up,
)
from regulars.usecases.unit_of_work import changes

GENDER = ProviderClaim("gender", "female", "social", "gender")
WORDS = "Your gender. So that we show you things in your cut first."
YES = ClaimConsent("gender", "personalise", WORDS)


def arrival(**changes) -> ProviderLogin:
    said = {
        "strategy": "google-oauth2",
        "provider_user_id": "1001",
        "connection": "google-oauth2",
        "raw": {"userinfo": {"sub": "1001", "email": "chika@example.com"}},
        "asked": ["openid", "gender.read"],
        "granted": ["openid", "gender.read"],
        "claims": [ProviderClaim("email", "chika@example.com", "verified"), GENDER],
    }
    return ProviderLogin(**{**said, **changes})


def test_whoever_arrives_first_gets_a_profile_an_account_without_password_and_one_sign_up(standard_setup):
    account = complete_social_login(arrival())

    assert account.profile.user_id == "google-oauth2|1001"
    assert not account.has_usable_password()
    assert account.email == ""  # nobody signs in with an address that a provider told
    assert account.profile.document["email"] == "chika@example.com"
    assert Event.objects.get().name == "Signed Up"
    assert complete_social_login(arrival()) == account
    assert Event.objects.count() == 1


def test_a_known_contact_without_an_account_gets_one(chika):
    account = complete_social_login(arrival())

    assert account.profile == chika
    assert Profile.objects.count() == 1


def test_without_her_yes_a_piece_stays_in_the_raw_answer(standard_setup):
    profile = complete_social_login(arrival(raw={"people": {"genders": ["female"]}})).profile

    assert not profile.facts.filter(attribute="gender").exists()
    assert ProviderAnswer.objects.get().raw == {"people": {"genders": ["female"]}}
    assert not ConsentEvent.objects.exists()


def test_her_yes_is_kept_in_the_words_she_saw_and_its_withdrawal_closes_the_fact(standard_setup):
    profile = complete_social_login(arrival(shared=[YES])).profile

    given = ConsentEvent.objects.get()
    assert given.notice.body == WORDS
    assert profile.facts.get(attribute="gender").consents == [given.pk]
    assert view(profile, "personalise")["gender"].value == "female"

    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "withdrawn", "profile"))

    assert "gender" not in view(profile, "measure")


def test_an_empty_box_at_a_later_login_takes_no_earlier_yes_back(standard_setup):
    profile = complete_social_login(arrival(shared=[YES])).profile
    complete_social_login(arrival(asked=["openid"], granted=["openid"], claims=[]))

    assert view(profile, "personalise")["gender"].value == "female"


def test_a_purpose_that_needs_no_consent_gets_no_event(standard_setup):
    phone = ProviderClaim("phone_number", "+4420", "social", "phone")
    profile = complete_social_login(
        arrival(claims=[phone], shared=[ClaimConsent("phone", "serve", "Your phone number.")])
    ).profile

    assert profile.facts.get().basis == "contract"
    assert not ConsentEvent.objects.exists()


def test_what_was_refused_is_recorded(standard_setup):
    complete_social_login(arrival(granted=["openid"]))

    assert ProviderAnswer.objects.get().scopes_refused == ["gender.read"]


def test_a_blocked_customer_does_not_come_in_and_nothing_is_kept(chika):
    Profile.objects.update(blocked=True)

    with pytest.raises(DomainError, match="closed"):
        complete_social_login(arrival())
    assert not ProviderAnswer.objects.exists()


def test_characters_that_no_database_stores_do_no_harm(standard_setup):
    profile = complete_social_login(
        arrival(raw={"userinfo": {"name": "a\x00b"}}, claims=[ProviderClaim("name", "a\x00b", "verified")])
    ).profile

    assert profile.document["name"] == "a\ufffdb"


def test_a_name_for_her_that_is_too_long_is_refused_by_name(standard_setup):
    with pytest.raises(DomainError) as refused:
        complete_social_login(arrival(provider_user_id="1" * 250))
    assert refused.value.code == "id_too_long"


def test_the_same_address_elsewhere_is_somebody_else(standard_setup):
    mine = sign_up("chika@example.com", "!", "Username-Password-Authentication")
    theirs = complete_social_login(arrival())

    assert mine.profile != theirs.profile
    assert Account.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_arrivals_at_once_are_one_customer(transactional_db):
    from regulars.consent.purposes import ensure_standard_purposes
    from regulars.profiles.attributes import ensure_standard_attributes

    ensure_standard_attributes()
    ensure_standard_purposes()
    faults: list[Exception] = []
    gate = threading.Barrier(4)

    def come() -> None:
        try:
            gate.wait(10)
            complete_social_login(arrival(shared=[YES]))
        except Exception as fault:
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    profile = Profile.objects.get()
    assert faults == []
    assert Account.objects.count() == Event.objects.count() == 1
    assert ProviderAnswer.objects.count() == 4
    assert first_broken_link(profile) is None
    assert get_or_create_by_identity("google-oauth2", "1001") == (profile, False)
