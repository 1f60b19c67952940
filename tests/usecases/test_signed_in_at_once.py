"""Sign-ins beside each other, beside an application and beside a rule: real transactions in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from tests.races.conftest import rounds
from tests.usecases.test_complete_social_login import provider_login

from regulars.accounts.models import Account
from regulars.connections.provider import ProviderClaim
from regulars.events.models import Event
from regulars.profiles.models import Fact, Profile
from regulars.usecases.complete_social_login import complete_social_login
from regulars.usecases.link_accounts import find_link_proposals
from regulars.usecases.users import MetadataWrite, UserPatch, update_metadata, update_user
from regulars.usecases.write_values import Authorship, by_app
from regulars.usecases.writers import Writer

__all__ = ["rounds"]  # a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("standard_setup", "lake")]
EMAIL = "chika@example.com"


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Call each in a thread and a transaction of its own. Returns their results, and raises the first error."""
    results: list[Any] = [None] * len(calls)
    faults: list[BaseException] = []
    gate = threading.Barrier(len(calls))

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            gate.wait(60)
            results[place] = call()
        except BaseException as fault:
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if faults:
        raise faults[0]
    return results


def vouched(strategy: str, name: str, email: str = EMAIL, **more: Any) -> Any:
    claims = [ProviderClaim("email", email, "verified"), ProviderClaim("email_verified", True, "verified")]
    return provider_login(strategy=strategy, connection=strategy, provider_user_id=name, claims=claims, **more)


def test_two_first_sign_ins_at_one_provider_make_one_customer(rounds):
    for number in range(len(rounds)):
        login = vouched("google-oauth2", f"100{number}", f"chika-{number}@example.com")
        first, second = at_once(*[lambda login=login: complete_social_login(login)] * 2)

        assert first == second
        assert Account.objects.count() == Profile.objects.count() == number + 1
        assert Profile.objects.get(account=first)
        assert Event.objects.filter(name="Signed Up").count() == number + 1


def test_first_sign_ins_at_two_providers_with_one_address_are_proposed_to_be_linked(rounds):
    for number in range(len(rounds)):
        email = f"chika-{number}@example.com"
        logins = [vouched("google-oauth2", f"100{number}", email), vouched("github", f"7{number}", email)]
        accounts = at_once(*[lambda login=login: complete_social_login(login) for login in logins])

        one, other = Profile.objects.filter(account__in=accounts).order_by("pk")
        assert Profile.objects.count() == 2 * (number + 1)
        assert one.document["email"] == other.document["email"] == email
        assert [each.profile for each in find_link_proposals(one)] == [other]
        assert [each.profile for each in find_link_proposals(other)] == [one]


def test_an_application_and_a_rule_write_beside_a_sign_in_and_nothing_is_lost():
    complete_social_login(vouched("google-oauth2", "1001"))
    named = [ProviderClaim("name", "Chika Okafor", "social"), ProviderClaim("email", EMAIL, "verified")]

    def sign_in() -> Account:
        return complete_social_login(provider_login(claims=named))

    def application(number: int) -> Callable[[], Any]:
        patch = UserPatch(metadata={"user_metadata": {f"app_{number}": number}})
        return lambda: update_user(Profile.objects.get(), patch, by_app("shop"))

    def rule(number: int) -> Callable[[], Any]:
        write = MetadataWrite(Authorship(Writer.RULE, "rule:1"), "app_metadata", {f"rule_{number}": number})
        return lambda: update_metadata(Profile.objects.get(), [write])

    at_once(sign_in, *[application(number) for number in range(3)], *[rule(number) for number in range(3)])

    profile = Profile.objects.get()
    assert profile.document["name"] == "Chika Okafor"
    assert profile.document["user_metadata"] == {f"app_{number}": number for number in range(3)}
    assert profile.document["app_metadata"] == {f"rule_{number}": number for number in range(3)}
    served = profile.permitted_views.get(purpose="serve").traits
    assert {f"user_metadata.app_{number}" for number in range(3)} <= served.keys()


def test_learning_without_a_unit_waits_for_the_customers_row():
    """Of two who learn at once the later one reads the facts of the earlier, from any caller."""
    from regulars.profiles.learn import NewFact, learn, retract

    complete_social_login(vouched("google-oauth2", "1001"))

    def learned(number: int) -> Callable[[], Any]:
        new = NewFact(f"user_metadata.key_{number}", number, "declared", f"app:{number}")
        return lambda: learn(Profile.objects.get(), [new])

    def retracted() -> None:
        profile = Profile.objects.get()
        retract(profile, list(Fact.objects.filter(profile=profile, attribute="email_verified")), "test")

    at_once(*[learned(number) for number in range(6)], retracted)

    document = Profile.objects.get().document
    assert document["user_metadata"] == {f"key_{number}": number for number in range(6)}
    assert "email_verified" not in document
