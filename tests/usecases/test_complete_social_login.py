"""A login at a provider finds or creates one customer, and records facts with source and consent."""

from __future__ import annotations

import threading

import pytest
from django.db import connections
from tests.notices import agreed

from regulars.accounts.models import Account
from regulars.base.errors import DomainError
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.view import view
from regulars.events.models import Event
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.models import Profile, ProviderAnswer
from regulars.usecases.complete_social_login import (
    ProviderClaim,
    ProviderLogin,
    complete_social_login,
    sign_up,
)
from regulars.usecases.unit_of_work import changes

GENDER = ProviderClaim("gender", "female", "social", "gender")
YES = agreed("gender")


def provider_login(**changes) -> ProviderLogin:
    given = {
        "strategy": "google-oauth2",
        "provider_user_id": "1001",
        "connection": "google-oauth2",
        "raw": {"userinfo": {"sub": "1001", "email": "chika@example.com"}},
        "asked": ["openid", "gender.read"],
        "granted": ["openid", "gender.read"],
        "claims": [ProviderClaim("email", "chika@example.com", "verified"), GENDER],
    }
    return ProviderLogin(**{**given, **changes})


def test_first_login_creates_a_profile_an_account_and_one_sign_up_event(standard_setup):
    account = complete_social_login(provider_login())

    assert account.profile.user_id == "google-oauth2|1001"
    assert not account.has_usable_password()
    assert account.email == ""  # an address from a provider is no login name
    assert account.profile.document["email"] == "chika@example.com"
    assert Event.objects.get().name == "Signed Up"
    assert complete_social_login(provider_login()) == account
    assert Event.objects.count() == 1


def test_known_contact_without_an_account_gets_one(chika):
    account = complete_social_login(provider_login())

    assert account.profile == chika
    assert Profile.objects.count() == 1


def test_claim_without_consent_is_stored_nowhere(standard_setup):
    """The provider may send more than was ticked: a scope of an earlier login, or a claim that was not asked for."""
    people = {"genders": [{"value": "female"}], "birthdays": [{"date": {"year": 1997, "month": 3, "day": 7}}]}
    userinfo = {"sub": "1001", "email": "chika@example.com", "hd": "example.com"}

    profile = complete_social_login(provider_login(raw={"userinfo": userinfo, "people": people})).profile

    assert not profile.facts.filter(attribute="gender").exists()
    assert ProviderAnswer.objects.get().raw == {"userinfo": {"sub": "1001", "email": "chika@example.com"}}
    assert not ConsentEvent.objects.exists()


def test_of_two_claims_only_the_ticked_one_is_stored(standard_setup):
    people = {"genders": [{"value": "female"}], "birthdays": [{"date": {"year": 1997, "month": 3, "day": 7}}]}

    complete_social_login(provider_login(raw={"userinfo": {"sub": "1001"}, "people": people}, shared=[YES]))

    assert ProviderAnswer.objects.get().raw["people"] == {"genders": [{"value": "female"}]}


def test_an_answer_of_a_kind_that_is_not_installed_is_not_stored(standard_setup):
    complete_social_login(provider_login(strategy="gone", connection="gone", raw={"sub": "1001", "gender": "female"}))

    assert ProviderAnswer.objects.get().raw == {}


def test_consent_is_recorded_as_shown_and_its_withdrawal_closes_the_fact(standard_setup):
    profile = complete_social_login(provider_login(shared=[YES])).profile

    given = ConsentEvent.objects.get()
    assert given.notice.body == YES.notice.words
    assert profile.facts.get(attribute="gender").consents == [given.pk]
    assert view(profile, "personalise")["gender"].value == "female"

    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "withdrawn", "profile"))

    assert "gender" not in view(profile, "measure")


@pytest.mark.parametrize("changed", [{"text": "To fit, and to sell it."}, {"version": 2}])
def test_claim_of_which_the_notice_changed_while_the_customer_was_away_is_not_taken(standard_setup, changed):
    Purpose.objects.filter(key="personalise").update(**changed)

    profile = complete_social_login(provider_login(shared=[YES])).profile

    assert not profile.facts.filter(attribute="gender").exists()
    assert not ConsentEvent.objects.exists()


def test_empty_box_at_a_later_login_withdraws_no_consent(standard_setup):
    profile = complete_social_login(provider_login(shared=[YES])).profile
    complete_social_login(provider_login(asked=["openid"], granted=["openid"], claims=[]))

    assert view(profile, "personalise")["gender"].value == "female"


def test_purpose_without_consent_basis_records_no_event(standard_setup):
    Purpose.objects.filter(key="personalise").update(basis="contract")
    phone = ProviderClaim("phone_number", "+4420", "social", "phone")
    profile = complete_social_login(provider_login(claims=[phone], shared=[agreed("phone")])).profile

    assert profile.facts.get().basis == "contract"
    assert not ConsentEvent.objects.exists()


def test_refused_scopes_are_recorded(standard_setup):
    complete_social_login(provider_login(granted=["openid"]))

    assert ProviderAnswer.objects.get().scopes_refused == ["gender.read"]


def test_blocked_customer_is_refused_and_nothing_is_stored(chika):
    Profile.objects.update(blocked=True)

    with pytest.raises(DomainError, match="closed"):
        complete_social_login(provider_login())
    assert not ProviderAnswer.objects.exists()


def test_characters_that_no_database_stores_are_removed(standard_setup):
    profile = complete_social_login(
        provider_login(raw={"userinfo": {"name": "a\x00b"}}, claims=[ProviderClaim("name", "a\x00b", "verified")])
    ).profile

    assert profile.document["name"] == "a\ufffdb"


def test_too_long_user_id_is_refused(standard_setup):
    with pytest.raises(DomainError) as refused:
        complete_social_login(provider_login(provider_user_id="1" * 250))
    assert refused.value.code == "id_too_long"


def test_same_address_at_another_provider_is_another_customer(standard_setup):
    mine = sign_up("chika@example.com", "!", "Username-Password-Authentication")
    theirs = complete_social_login(provider_login())

    assert mine.profile != theirs.profile
    assert Account.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_simultaneous_logins_are_one_customer(transactional_db):
    from regulars.consent.purposes import ensure_standard_purposes
    from regulars.profiles.attributes import ensure_standard_attributes

    ensure_standard_attributes()
    ensure_standard_purposes()
    faults: list[Exception] = []
    gate = threading.Barrier(4)

    def come() -> None:
        try:
            gate.wait(10)
            complete_social_login(provider_login(shared=[YES]))
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
    assert ProviderAnswer.objects.count() == ConsentEvent.objects.count() == 4
    assert profile.facts.filter(attribute="gender").count() == 1
    assert first_broken_link(profile) is None
    assert get_or_create_by_identity("google-oauth2", "1001") == (profile, False)
