"""Restriction of processing (Art. 18 GDPR): what is known is stored, and used for the login only; and the customer is informed before it is lifted."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core import mail
from tests.console.conftest import ana, console
from tests.login.conftest import PASSWORD, dina, last_link, passwords
from tests.management_api.conftest import api_client, make_token

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.models import PermittedView, Purpose, Restriction
from regulars.consent.record import Decision
from regulars.consent.status import purposes_closed_to_questions
from regulars.consent.view import may, served_user, uses_of_facts, view
from regulars.destinations.disclosures import record_attempt
from regulars.destinations.kind import KINDS
from regulars.destinations.message import MessageDropped, MessageSubject, compose
from regulars.destinations.save import save_destination
from regulars.profiles.assertions import Place
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, Profile
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.merge import merge
from regulars.usecases.process_event import process_inbox
from regulars.usecases.restrict import announce_lifting, lift, lift_due, restrict
from regulars.usecases.retention import apply_retention
from regulars.usecases.unit_of_work import changes

__all__ = ["ana", "api_client", "console", "dina", "last_link", "passwords"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]


@pytest.fixture
def profile(dina) -> Profile:
    """Dina allows everything, and is in a segment."""
    found = Profile.objects.get(account=dina)
    with changes(found, "test") as c:
        consents = [c.decide(Decision(key, "given", "profile")).pk for key in ("personalise", "message")]
        c.learn(
            [
                NewFact("country", "FR", "declared", "test", purpose="measure", basis="legitimate_interest"),
                NewFact("name", "Dina", "declared", "test"),
                NewFact("gender", "female", "declared", "test", basis="consent", consents=consents[:1]),
            ]
        )
    return found


@pytest.fixture
def signed_in(profile, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return client


def test_customer_restricts_and_every_use_stops(signed_in, profile):
    segment = save_segment("French", "country:FR", "measure")
    with changes(profile, "test") as c:
        c.refresh()
    assert Membership.objects.get(profile=profile, segment=segment).state == "in"
    assert "Restrict the use of your data" in signed_in.get("/me").content.decode()
    page = signed_in.post("/me/restriction", {"action": "restrict"}, follow=True).content.decode()

    assert "Your data is only stored" in page or "your data is only stored" in page
    profile.refresh_from_db()
    assert [key for key in Purpose.objects.values_list("key", flat=True) if may(profile, key)] == []
    assert Membership.objects.get(profile=profile, segment=segment).state != "in"
    for place in (Place.TOKEN, Place.USERINFO, Place.RULES):
        known = served_user(profile, place)
        assert known["email"] == "dina@example.com"
        assert not {"name", "gender", "country"}.intersection(known)
    assert set(PermittedView.objects.get(profile=profile, purpose="serve").traits) <= {"email", "email_verified"}
    assert PermittedView.objects.filter(profile=profile).exclude(purpose="serve").exclude(traits={}).count() == 0
    assert purposes_closed_to_questions(profile) == set(Purpose.objects.values_list("key", flat=True))
    assert Fact.objects.filter(profile=profile, attribute="gender", retracted_at=None).exists()


def test_what_stands_comes_back_when_the_customer_lifts_it(signed_in, profile):
    before = view(profile, "personalise")
    signed_in.post("/me/restriction", {"action": "restrict"})
    run_due()
    page = signed_in.post("/me/restriction", {"action": "lift"}, follow=True).content.decode()
    assert "The restriction is lifted." in page
    profile.refresh_from_db()
    assert {key: each.value for key, each in view(profile, "personalise").items()} == {
        key: each.value for key, each in before.items()
    }
    assert signed_in.post("/me/restriction", {"action": "lift"}).status_code == 409


def test_restricted_customer_still_signs_in(signed_in, profile, client):
    restrict(profile, "profile")
    client.logout()
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    assert client.get("/me").status_code == 200


def test_message_that_is_on_its_way_is_stopped(profile):
    url = {"url": "https://mails.example/in", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    destination = save_destination("Mails", "webhook", url, purpose="message", segment_slugs=[])
    subject = MessageSubject("msg", clock.now(), "s", "S", entered=True)
    stale = Profile.objects.get(pk=profile.pk)
    composed = compose(destination, KINDS["webhook"], profile, subject, {})
    restrict(profile, "profile")
    with pytest.raises(MessageDropped):
        compose(destination, KINDS["webhook"], profile, subject, {})
    with pytest.raises(Exception, match="does not allow"):
        record_attempt(destination, stale, composed)


def test_staff_restrict_with_a_reason_and_lift_after_the_customer_was_informed(console, ana, profile):
    address = f"/console/customers/{profile.user_id.replace('|', '%7C')}/restriction"
    assert console.post(address, {"reason": " "}).status_code == 400
    assert console.post(address, {"reason": "Disputes the address."}).status_code == 302
    found = Restriction.objects.get(profile=profile)
    assert (found.method, found.actor, found.reason) == ("staff", f"staff:{ana.key}", "Disputes the address.")

    assert console.post(address, {"lift": "yes", "reason": "The address is corrected."}).status_code == 302
    assert lift_due() == 0
    run_due()
    sent = mail.outbox[-1]
    assert sent.to == ["dina@example.com"]
    assert "The address is corrected." in sent.body
    found.refresh_from_db()
    assert found.announced_how == "mail"
    assert found.lifts_at >= clock.now() + dt.timedelta(days=2)
    assert lift_due() == 0
    Restriction.objects.update(lifts_at=clock.now())
    assert lift_due() == 1
    profile.refresh_from_db()
    assert profile.restricted_at is None
    assert may(profile, "message")


def test_restriction_without_a_way_to_inform_is_not_lifted(profile, monkeypatch):
    restrict(profile, "staff", "staff:bo", "Disputes.")
    profile.account.email = ""
    Account.objects.update(email="")
    with pytest.raises(Exception, match="no address"):
        announce_lifting(profile, "staff:bo", "Done.", has_address=False)
    found = announce_lifting(profile, "staff:bo", "Done.", "By letter.", has_address=False)
    assert (found.announced_how, found.lifts_at is not None) == ("By letter.", True)


def test_customer_keeps_it_restricted_after_the_announcement(signed_in, profile):
    restrict(profile, "staff", "staff:bo", "Disputes.")
    announce_lifting(profile, "staff:bo", "Done.", "By letter.", has_address=True)
    page = signed_in.get("/me").content.decode()
    assert "Keep it restricted" in page
    assert "Done." in page
    signed_in.post("/me/restriction", {"action": "keep"})
    Restriction.objects.filter(lifts_at__isnull=False).update(lifts_at=clock.now())
    assert lift_due() == 0
    profile.refresh_from_db()
    assert profile.restricted_at


def test_api_restricts_and_lifts(api_client, profile):
    path, token = f"/regulars/v1/profiles/{profile.user_id.replace('|', '%7C')}/restriction", "update:restrictions"
    answer = api_client.call("PUT", path, {"reason": "Disputes."}, token=make_token(token))
    again = api_client.call("PUT", path, {"reason": "Disputes."}, token=make_token(token))
    assert (answer.status_code, again.json()) == (200, answer.json())
    assert answer.json()["lifts_at"] is None
    user = api_client.get(f"/v2/users/{profile.user_id.replace('|', '%7C')}")
    assert user["email"] == "dina@example.com"
    assert "name" not in user
    assert "gender" not in str(user)
    found = api_client.get("/v2/users", q="name:Dina")
    assert found == []
    lifting = api_client.call("POST", f"{path}/lifting", {"reason": "x", "informed": "Letter"}, token=make_token(token))
    assert lifting.json()["lifts_at"]
    assert api_client.call("PUT", path, {"reason": ""}, token=make_token(token)).status_code == 400
    assert api_client.call("PUT", path, {"reason": "x"}, token=make_token("read:users")).status_code == 403


def test_lifting_of_no_restriction_is_not_found(api_client, profile):
    path = f"/regulars/v1/profiles/{profile.user_id.replace('|', '%7C')}/restriction/lifting"
    assert api_client.call("POST", path, {"reason": "x"}, token=make_token("update:restrictions")).status_code == 404


def test_restriction_survives_a_merge(profile):
    other, _ = get_or_create_by_identity("external", "crm-1")
    restrict(other, "api", "app:crm", "Disputes.")
    merge(other, profile, "api:bot")
    profile.refresh_from_db()
    assert profile.restricted_at
    assert not may(profile, "message")
    lift(profile)
    assert may(profile, "message")


def test_what_is_restricted_is_kept_by_retention(profile):
    restrict(profile, "profile")
    Profile.objects.filter(pk=profile.pk).update(last_seen_at=clock.now() - dt.timedelta(days=3000))
    apply_retention()
    assert Profile.objects.filter(pk=profile.pk).exists()


def test_facts_of_a_restricted_customer_are_still_stored(profile):
    restrict(profile, "profile")
    with changes(profile, "test") as c:
        c.learn([NewFact("city", "Porto", "declared", "test")])
    process_inbox()
    assert Fact.objects.filter(profile=profile, attribute="city", retracted_at=None).exists()
    assert "city" not in served_user(profile, Place.TOKEN)


def test_staff_and_api_read_that_only_the_login_uses_a_restricted_customer(profile):
    with changes(profile, "test") as c:
        c.learn([NewFact("email", "dina@example.com", "verified", "test")])
    restrict(profile, "profile")

    uses = uses_of_facts(profile)
    found = {fact.attribute: uses[fact.pk] for fact in Fact.objects.filter(profile=profile)}

    assert (found["email"].purposes, found["email"].why_not) == (("serve",), "")
    assert (found["name"].purposes, found["name"].why_not) == ((), "restricted")


def test_page_of_a_restricted_customer_says_that_nothing_is_used(signed_in, profile):
    restrict(profile, "profile")
    page = signed_in.get("/me").content.decode()

    assert "May be used for" not in page
    assert "On, unless you object" not in page
    assert page.count("Off while the use of your data is restricted") == 3  # personalise, message and measure
    assert (page.count('value="withdraw"'), page.count('value="object"'), page.count('value="lift"')) == (2, 1, 1)


@pytest.mark.parametrize("language", ["de", "es", "fr", "pt-br", "ja", "ar"])
def test_page_and_mail_speak_every_language(signed_in, profile, language):
    restrict(profile, "staff", "staff:bo", "Disputes.")
    page = signed_in.get(f"/me?ui_locales={language}").content.decode()
    assert "your data is only stored" not in page
    assert "Lift the restriction" not in page
