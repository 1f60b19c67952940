"""Two customers become one and, if that was wrong, two again; neither loses anything."""

from __future__ import annotations

import pytest
from django.utils import timezone

from regulars.accounts.models import Account
from regulars.base.errors import DomainError
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.lake.query import query
from regulars.consent.models import ConsentState
from regulars.consent.record import Decision, first_broken_link, record
from regulars.consent.refresh import refresh_views
from regulars.consent.view import view
from regulars.events.models import Event
from regulars.events.record import record as happened
from regulars.profiles.find import add_identity, find_by_user_id, get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Merge, Profile
from regulars.usecases.link_accounts import find_link_proposals
from regulars.usecases.merge import merge, split
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import account_of, link, unlink


@pytest.fixture
def person(standard_setup):
    """Make a customer of a network, with an account, facts, events and decisions."""

    def make(provider, number, *events, yes=(), no=(), **facts):
        profile, _ = get_or_create_by_identity(provider, number, connection=provider, is_social=True)
        profile.account = Account.objects.create_user()
        profile.save()
        given = [record(profile, Decision(purpose, "given", "login", words=f"Yes to {purpose}.")) for purpose in yes]
        for purpose in no:
            record(profile, Decision(purpose, "refused", "question"))
        consents = [event.pk for event in given]
        identity = profile.identities.get().pk
        news = [NewFact(k, v, "verified", provider, consents=consents, identity=identity) for k, v in facts.items()]
        learn(profile, news)
        for name in events:
            happened(profile.pk, name, {}, message_id=f"{name}-{profile.pk}")
        refresh_views(profile)
        return profile

    return make


@pytest.fixture
def two(person):
    """Chika at Google, with consent to personalising, and Chika at Facebook, with news refused."""
    google = person("google-oauth2", "1", "Page Viewed", yes=["personalise"], gender="female", name="Chika")
    facebook = person("facebook", "2", "Order Completed", yes=["measure"], no=["message"], city="Lagos")
    return google, facebook


def names_of(profile):
    return sorted(Event.objects.filter(profile_id=profile.pk).values_list("name", flat=True))


def stands(profile):
    return dict(ConsentState.objects.filter(profile=profile).values_list("purpose_id", "status"))


def everything(profile):
    profile = Profile.objects.get(pk=profile.pk)
    facts = sorted(profile.facts.values_list("attribute", "source", "identity__provider"), key=str)
    views = {purpose: view(profile, purpose).keys() for purpose in ("serve", "personalise", "message")}
    return {**profile.document, "updated_at": None}, facts, names_of(profile), views, stands(profile)


def test_linked_customer_has_the_data_of_both(two):
    google, facebook = two
    link(google, facebook, "customer")

    google.refresh_from_db()
    assert find_by_user_id(facebook.user_id) == google
    assert [each["provider"] for each in google.document["identities"]] == ["google-oauth2", "facebook"]
    assert (google.document["name"], google.document["city"]) == ("Chika", "Lagos")
    assert names_of(google) == ["Order Completed", "Page Viewed"]
    assert "city" in view(google, "serve")  # given under a yes that stands in the other ledger


def test_parted_both_are_as_they_were(two):
    google, facebook = two
    before = everything(google), everything(facebook)
    link(google, facebook, "customer")
    parted = unlink(google, google.identities.get(provider="facebook"), "customer")

    assert parted == facebook
    assert everything(facebook) == before[1]
    assert everything(google)[:4] == before[0][:4]
    assert Merge.objects.get().undone_why == "customer"


def test_claims_sent_after_a_merge_leave_with_their_identity(two):
    google, facebook = two
    link(google, facebook, "customer")
    identity = google.identities.get(provider="facebook")
    learn(google, [NewFact("country", "NG", "verified", "facebook", identity=identity.pk)])
    happened(google.pk, "Wishlist Opened", {}, message_id="w")
    unlink(google, identity, "customer")

    assert facebook.facts.filter(attribute__in=["country", "continent"]).count() == 2
    assert not google.facts.filter(attribute="country").exists()
    assert names_of(google) == ["Page Viewed", "Wishlist Opened"]


def test_the_stricter_word_wins_and_both_histories_stay(person):
    allowed = person("google-oauth2", "1", yes=["personalise", "message"])
    refused = person("facebook", "2", no=["personalise"], yes=["share"])
    link(allowed, refused, "customer")

    assert stands(allowed) == {"personalise": "refused", "message": "given", "share": "given"}
    assert view(allowed, "personalise") == {}
    assert allowed.consent_events.filter(action="given", purpose="personalise").exists()
    assert refused.consent_events.count() == 2
    assert first_broken_link(allowed) is first_broken_link(refused) is None


def test_the_no_of_the_account_that_stays_is_not_softened(person):
    refused = person("google-oauth2", "1", no=["personalise"])
    allowed = person("facebook", "2", yes=["personalise"])
    link(refused, allowed, "customer")

    assert stands(refused) == {"personalise": "refused"}


def test_split_takes_decisions_back_with_the_profile_unless_repeated(person):
    google = person("google-oauth2", "1", yes=["personalise"])
    facebook = person("facebook", "2", no=["personalise"], yes=["share", "message"])
    link(google, facebook, "customer")
    record(google, Decision("message", "given", "profile"))
    unlink(google, google.identities.get(provider="facebook"), "customer")

    assert stands(google) == {"personalise": "given", "message": "given"}
    assert stands(facebook) == {"personalise": "refused", "share": "given", "message": "given"}


def test_a_chain_of_merges_comes_apart_link_by_link(person):
    visitor, _ = get_or_create_by_identity("anonymous", "v")
    happened(visitor.pk, "Page Viewed", {}, message_id="v")
    first, second = person("google-oauth2", "1", "Bought A"), person("facebook", "2", "Bought B")
    merge(visitor, first)
    link(second, first, "customer")
    assert names_of(second) == ["Bought A", "Bought B", "Page Viewed"]

    unlink(second, second.identities.get(provider="google-oauth2"), "customer")

    visitor.refresh_from_db()
    assert (names_of(first), names_of(second)) == (["Bought A", "Page Viewed"], ["Bought B"])
    assert visitor.merged_into == first


def test_an_identity_without_a_past_gets_a_profile_of_its_own(two):
    google, _ = two
    identity = add_identity(google, "github", "7", connection="github", is_social=True)
    learn(google, [NewFact("employer", "norte", "social", "github", identity=identity.pk)])
    alone = unlink(google, identity, "customer")

    assert alone.user_id == "github|7"
    assert alone.document["employer"] == "norte"
    assert "employer" not in Profile.objects.get(pk=google.pk).document


def test_the_main_way_in_and_the_last_one_stay(two):
    google, facebook = two
    with pytest.raises(DomainError) as last:
        unlink(google, google.identities.get(), "customer")
    link(google, facebook, "customer")
    with pytest.raises(DomainError) as main:
        split(google.identities.get(provider="google-oauth2"), "customer")

    assert (last.value.code, main.value.code) == ("last_login_method", "main_identity")


def test_linking_twice_or_to_oneself_changes_nothing(two):
    google, facebook = two
    link(google, facebook, "customer")
    merge(facebook, google, "customer")
    with pytest.raises(DomainError, match="one account already"):
        link(google, google, "customer")

    assert Merge.objects.count() == 1


def test_a_closed_account_is_not_linked(two):
    google, facebook = two
    facebook.blocked = True
    facebook.save()

    with pytest.raises(DomainError) as no:
        link(google, facebook, "customer")
    assert no.value.code == "account_blocked"


def test_the_linked_account_signs_in_as_the_other_one(two):
    google, facebook = two
    link(google, facebook, "customer")
    assert account_of(facebook.account) == google.account

    unlink(google, google.identities.get(provider="facebook"), "customer")
    facebook.refresh_from_db()
    assert account_of(facebook.account) == facebook.account


def test_the_same_proved_address_is_an_offer_and_no_more(person):
    mail = {"email": "chika@example.com"}
    google = person("google-oauth2", "1", email_verified=True, **mail)
    proved = person("twitter", "2", email_verified=True, **mail)
    person("facebook", "3", email_verified=False, **mail)
    with changes([google, proved], "test") as c:
        for each in c.profiles:
            c.refresh(each)

    assert [offer.profile for offer in find_link_proposals(google)] == [proved]
    assert Profile.objects.filter(merged_into=None).count() == 3
    assert find_link_proposals(Profile.objects.get(user_id="facebook|3")) == []


def test_the_lake_follows_both_ways(two, lake):
    google, facebook = two
    link(google, facebook, "customer")
    write_the_lake()
    assert query("SELECT DISTINCT profile_id FROM events") == [(google.pk,)]

    unlink(google, google.identities.get(provider="facebook"), "customer")
    write_the_lake()

    found = sorted(query("SELECT profile_id, name FROM events"))
    assert found == sorted([(google.pk, "Page Viewed"), (facebook.pk, "Order Completed")])


def write_the_lake() -> None:
    """What gathers for a moment is due now."""
    Job.objects.update(due_at=timezone.now())
    run_due()
