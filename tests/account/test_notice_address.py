"""Notices about an account go to its own address or to one that a provider vouches for, and nowhere else."""

from __future__ import annotations

import pytest
from django.core import mail

from regulars.accounts.models import Account
from regulars.base.jobs.run_jobs import run_due
from regulars.profiles.find import add_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile
from regulars.usecases.account_mails import NOTICES, address_of, notify
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login
from regulars.usecases.users import link

ATTACKER, OWN = "attacker@example.com", "chika@example.com"


@pytest.fixture
def account(chika) -> Account:
    """Chika's account at a network that sent no address."""
    chika.account = Account.objects.create_user()
    chika.save()
    return chika.account


def provider_says(profile: Profile, email: str, kind: str, provider: str = "google-oauth2") -> None:
    identity = profile.identities.filter(provider=provider).first() or add_identity(profile, provider, "7")
    verified = kind == "verified"
    learn(
        profile,
        [
            NewFact("email", email, kind, provider, identity=identity.pk),
            NewFact("email_verified", verified, "verified", provider, identity=identity.pk),
        ],
    )


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("observed", "source:shop"),  # identify by a public key
        ("imported", "import:crm"),
        ("enriched", "source:fullcontact"),
        ("inferred", "rule:guess"),
        ("declared", "question:email@1"),
        ("social", "facebook"),
    ],
)
def test_address_that_others_assert_gets_no_notice(account, chika, kind, source):
    learn(chika, [NewFact("email", ATTACKER, kind, source)])
    for what in NOTICES:
        notify(account, what)
    run_due()

    assert mail.outbox == []


def test_asserted_address_does_not_replace_the_accounts_own(account, chika):
    account.email = OWN
    account.save()
    learn(chika, [NewFact("email", ATTACKER, "corrected", "source:shop")])

    assert address_of(account) == OWN


def test_vouched_address_is_used_and_an_unvouched_one_is_not(account, chika):
    provider_says(chika, ATTACKER, "social", "facebook")
    assert address_of(account) == ""
    provider_says(chika, OWN, "verified")
    learn(chika, [NewFact("email", ATTACKER, "observed", "source:shop")])

    assert address_of(account) == OWN


def test_providers_last_word_counts(account, chika):
    provider_says(chika, OWN, "verified")
    provider_says(chika, "changed@example.com", "social")

    assert address_of(account) == ""


def test_linked_accounts_address_serves_both(account, chika, make_customer):
    other = make_customer()
    other.account = Account.objects.create_user(OWN)
    other.save()
    link(chika, other, "customer")

    assert address_of(account) == OWN


def test_facebook_login_alone_names_no_address(standard_setup):
    """Facebook does not vouch for addresses."""
    from regulars.connections.provider import PROVIDERS

    raw = {"me": {"id": "7", "email": ATTACKER, "name": "Tom"}}
    claims = list(PROVIDERS["facebook"].read(raw, {}))
    account = complete_social_login(ProviderLogin("facebook", "7", "facebook", raw, [], [], claims))

    assert account.profile.document["email"] == ATTACKER
    assert address_of(account) == ""
