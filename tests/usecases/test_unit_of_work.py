"""A unit of work: what follows from a change happens once, for one profile or many, whatever was merged meanwhile."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction

from regulars.base.errors import NotFound
from regulars.base.jobs.models import Job
from regulars.clients.models import Client
from regulars.connections.provider import ProviderClaim
from regulars.consent.models import PermittedView
from regulars.consent.record import Decision, record
from regulars.events.models import Event, InboxItem, Source
from regulars.oauth.grant import TokenDecision
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Profile
from regulars.rules.save import save_rule
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases import unit_of_work
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login, sign_up
from regulars.usecases.link_accounts import link_social_login
from regulars.usecases.login import Login, LoginContext, log_in
from regulars.usecases.merge import merge
from regulars.usecases.process_event import process_inbox
from regulars.usecases.unit_of_work import changes

FRENCH = NewFact("country", "FR", "declared", "app:shop", basis="legitimate_interest", purpose="measure")


@pytest.fixture
def dov(standard_setup):
    return get_or_create_by_identity("google-oauth2", "1002", connection="google-oauth2", is_social=True)[0]


@pytest.fixture
def french(standard_setup):
    return save_segment("French", "country:FR", "measure")


@pytest.fixture
def evaluations(monkeypatch):
    """The profiles of every evaluation of all segments, one list per evaluation."""
    counted: list[list[int]] = []
    evaluate_all = unit_of_work.evaluate_all

    def count(profiles):
        counted.append([profile.pk for profile in profiles])
        return evaluate_all(profiles)

    monkeypatch.setattr(unit_of_work, "evaluate_all", count)
    return counted


def social_login(number="1003", **more):
    claims = [ProviderClaim("country", "FR", "social")]
    raw = {"sub": number}
    return ProviderLogin("google-oauth2", number, "google-oauth2", raw, ["openid"], ["openid"], claims, **more)


def is_evaluated(profile):
    return Membership.objects.filter(profile=profile).exists()


def is_in(profile):
    return Membership.objects.filter(profile=profile, state=Membership.State.IN).exists()


def test_everything_follows_once_at_the_end(chika, french, evaluations):
    with changes(chika, "test") as c:
        c.learn([FRENCH])
        c.record_event("Order Completed", {"total": 3})
        c.decide(Decision("personalise", "given", "profile"))
        c.learn([NewFact("city", "Paris", "declared", "app:shop")])
        assert not is_in(chika)

    assert evaluations == [[chika.pk]]
    assert is_in(chika)
    assert PermittedView.objects.get(profile=chika, purpose="personalise").traits["city"] == "Paris"
    assert chika.document["city"] == "Paris"
    assert Job.objects.filter(kind="lake.fill").count() == 1


def test_unit_without_a_change_evaluates_nothing(chika, french, evaluations):
    with changes(chika, "test") as c:
        c.learn([FRENCH])
    with changes(chika, "test") as c:
        c.learn([FRENCH])

    assert evaluations == [[chika.pk], []]


def test_many_profiles_are_evaluated_together(chika, dov, french, evaluations):
    with changes([dov, chika], "import") as c:
        c.learn_all([(chika, [FRENCH]), (dov, [FRENCH])])
        c.record_event("Imported", of=dov)

    assert evaluations == [[chika.pk, dov.pk]]
    assert is_in(chika)
    assert is_in(dov)


def test_inner_unit_joins_the_outer_one(chika, french, evaluations):
    with changes(chika, "outer") as c:
        with changes(Profile.objects.get(pk=chika.pk), "inner") as inner:
            inner.learn([FRENCH])
        assert inner.profile is c.profile is chika
        assert not is_in(chika)

    assert evaluations == [[chika.pk]]
    assert is_in(chika)


def test_unit_of_another_profile_inside_one_is_its_own(chika, dov, french, evaluations):
    with changes(chika, "outer") as c:
        c.learn([FRENCH])
        with changes(dov, "inner") as inner:
            inner.learn([FRENCH])
        assert is_in(dov)

    assert evaluations == [[dov.pk], [chika.pk]]


def test_failed_inner_unit_leaves_the_outer_one(chika, dov, french, evaluations):
    def fail():
        with changes([chika, dov], "inner") as inner:
            inner.learn([FRENCH], of=dov)
            raise RuntimeError

    with changes(chika, "outer") as c:
        with pytest.raises(RuntimeError):
            fail()
        c.learn([FRENCH])

    assert evaluations == [[chika.pk]]
    assert not dov.facts.exists()


def test_failed_unit_writes_nothing(chika, french, evaluations):
    def fail():
        with changes(chika, "test") as c:
            c.learn([FRENCH])
            c.record_event("Order Completed")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert evaluations == []
    assert not chika.facts.exists()
    assert not Event.objects.exists()


def test_facts_of_a_merged_profile_reach_the_customer(chika, dov, french):
    stale = Profile.objects.get(pk=dov.pk)
    merge(dov, chika, "customer")
    with changes(stale, "test") as c:
        assert c.profile == chika
        c.learn([FRENCH])
        c.record_event("Order Completed")

    assert is_in(chika)
    assert list(chika.facts.values_list("attribute", flat=True).order_by("pk")) == ["country", "continent"]
    assert Event.objects.get().profile_id == chika.pk
    assert not PermittedView.objects.filter(profile=dov).exists()


def test_profile_that_is_merged_within_a_unit_goes_on_as_the_customer(chika, dov, french, evaluations):
    with changes([chika, dov], "test") as c:
        c.learn([FRENCH], of=dov)
        merge(dov, chika, "customer")
        assert c.profiles == [chika]

    assert evaluations == [[chika.pk]]
    assert is_in(chika)
    assert not Membership.objects.filter(profile=dov).exists()


def test_erased_customer_is_named_and_left_out_of_many(chika, dov):
    erased = dov.pk
    dov.delete()

    with pytest.raises(NotFound) as missing, changes(erased, "test"):
        pass
    assert missing.value.code == "customer_erased"
    with changes([chika, erased], "test") as c:
        assert c.profiles == [chika]


def test_first_social_login_evaluates_once(french, evaluations):
    account = complete_social_login(social_login())

    assert evaluations == [[account.profile.pk]]
    assert is_evaluated(account.profile)


def test_sign_up_evaluates_once(french, evaluations):
    account = sign_up("chika@example.com", "hash", "Username-Password-Authentication")

    assert evaluations == [[account.profile.pk]]


def test_linking_by_a_second_social_login_evaluates_once(chika, french, evaluations):
    complete_social_login(social_login())
    evaluations.clear()
    link_social_login(chika, social_login())

    assert evaluations == [[chika.pk]]
    assert is_evaluated(chika)


def test_event_of_a_visitor_who_is_known_now_evaluates_once(chika, standard_setup, evaluations):
    source = Source.objects.create(name="Shop", slug="shop")
    for number, body in enumerate(
        [
            '{"anonymousId": "a-1", "event": "Seen"}',
            f'{{"anonymousId": "a-1", "userId": "{chika.user_id}", "event": "Bought"}}',
        ]
    ):
        InboxItem.objects.create(
            source=source, message_id=f"m-{number}", type="track", body=body, received_at=chika.created_at
        )
    while process_inbox():
        pass

    assert evaluations[1:] == [[chika.pk]]
    assert Event.objects.filter(profile_id=chika.pk).count() == 2


class TestRulesThatWrite:
    SCRIPT = "function (u, c, cb) { u.user_metadata = {vip: true}; auth0.users.updateUserMetadata(u.user_id, u.user_metadata).then(() => cb(null, u, c)); }"

    @pytest.fixture
    def login(self, chika):
        save_rule("vip", script=self.SCRIPT)
        Attribute.objects.create(key="vip", label="VIP", purposes=["personalise"], metadata_path="user_metadata.vip")
        record(chika, Decision("personalise", "given", "profile"))
        save_segment("VIP", "vip:true", "personalise")
        save_segment("Seen", 'did("Signed In"):>=1', "measure")
        shop = Client.objects.create(client_id="shop", name="Shop")
        context = LoginContext("oidc-basic-profile", ip="127.0.0.1", connection="google-oauth2")
        return Login(chika, shop, context, ["openid"])

    def test_login_evaluates_once(self, login, chika, evaluations):
        assert isinstance(log_in(login, lambda decision: decision), TokenDecision)

        assert evaluations == [[chika.pk]]
        assert Membership.objects.filter(profile=chika, state="in").count() == 2

    def test_failing_segments_do_not_stop_the_login(self, login, chika, monkeypatch):
        def broken(profiles):
            raise RuntimeError("no segments today")

        monkeypatch.setattr(unit_of_work, "evaluate_all", broken)

        assert isinstance(log_in(login, lambda decision: decision), TokenDecision)
        assert not chika.facts.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer and no row locks")
def test_profile_merged_while_waiting_for_the_lock_is_followed(chika, dov, french):
    stale = Profile.objects.get(pk=dov.pk)
    reached = threading.Event()

    def write():
        try:
            reached.set()
            with changes(stale, "test") as c:
                c.learn([FRENCH])
        finally:
            connections.close_all()

    thread = threading.Thread(target=write)
    with transaction.atomic():
        list(Profile.objects.select_for_update().filter(pk__in=[chika.pk, dov.pk]).order_by("pk"))
        thread.start()
        reached.wait()
        merge(dov, chika, "customer")
    thread.join()

    assert is_in(chika)
    assert not dov.facts.exists()
