"""One person, one word: what a customer decides holds for every profile with the address or number that they have proved."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.accounts.models import Account
from regulars.accounts.proofs.addresses import record_address
from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.models import ConsentState, Purpose, Suppression
from regulars.consent.record import Decision
from regulars.consent.status import ConsentStatus
from regulars.consent.view import may
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import create_database_profile, get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, Profile
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.decide_consent import apply_gpc, decide
from regulars.usecases.erase import erase_customer
from regulars.usecases.refuse_consent import PORTION, Refusal, refuse
from regulars.usecases.unit_of_work import changes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup")]
EMAIL, PHONE = "chika@example.com", "+351 912 345 678"


@pytest.fixture(autouse=True)
def _home(settings, tmp_path):
    settings.HOME = tmp_path


def customer(email: str = EMAIL, *, proved: bool = True, phone: str = "") -> Profile:
    profile = create_database_profile("Username-Password-Authentication")
    profile.account = Account.objects.create_user(email)
    profile.save()
    record_address(profile.account, proved=proved)
    facts = [NewFact("email", email, "declared", "app:signin"), NewFact("email_verified", proved, "declared", "signin")]
    if phone:
        facts += [
            NewFact("phone_number", phone, "declared", "signin"),
            NewFact("phone_verified", True, "verified", "sms"),
        ]
    with changes(profile, "test") as c:
        c.learn(facts)
    return profile


def contact(name: str, key: str = "email", value: str = EMAIL, asserter: Asserter = Asserter.IMPORT) -> Profile:
    """A contact of a list, with a yes to news that is proved."""
    profile, _ = get_or_create_by_identity("external", name, asserted_by=asserter)
    with changes(profile, "import") as c:
        c.learn(
            [
                NewFact(key, value, "imported", "import:fair", asserter=asserter),
                NewFact("country", "FR", "imported", "import:fair", asserter=asserter),
            ]
        )
        c.decide(Decision("message", "imported", "import", evidence={"list": "fair"}))
    return profile


def allow(profile: Profile, purpose: str = "message") -> None:
    decide(profile, Decision(purpose, "given", "profile"))


@pytest.mark.parametrize("spelling", [EMAIL, "Chika@Example.COM"])
@pytest.mark.parametrize("action", ["withdrawn", "objected"])
def test_no_of_a_customer_closes_the_imported_twin(action, spelling):
    everyone = save_segment("Reachable", 'consent:"message"', "message")
    chika, twin, dov = customer(), contact("crm-1", value=spelling), contact("crm-2", value="dov@example.com")
    allow(chika)
    with changes([twin, dov], "test") as c:
        c.conclude_again()
    assert may(twin, "message")
    assert Membership.objects.get(profile=twin, segment=everyone).state == "in"

    decide(chika, Decision("message", action, "profile"))

    assert not may(twin, "message")
    assert Membership.objects.get(profile=twin, segment=everyone).state == "out"
    assert may(dov, "message")
    copied = twin.consent_events.order_by("-id").first()
    assert (copied.action, copied.method, copied.evidence["same_person"]) == (action, "profile", True)
    assert EMAIL not in str(copied.evidence)


def test_no_reaches_the_twin_by_a_proved_phone_number_in_another_spelling():
    chika, twin = customer(phone=PHONE), contact("crm-1", "phone_number", "00351912345678")
    allow(chika)
    decide(chika, Decision("message", "withdrawn", "profile"))
    assert not may(twin, "message")


def test_address_that_is_not_proved_closes_no_one_else():
    chika, twin = customer(proved=False), contact("crm-1")
    allow(chika)
    decide(chika, Decision("message", "withdrawn", "profile"))
    assert may(twin, "message")


def test_word_of_a_public_key_does_not_let_an_account_be_closed():
    chika, dov = customer(), customer("dov@example.com")
    allow(dov)
    with changes(dov, "event") as c:
        c.learn([NewFact("email", EMAIL, "observed", "app:shop", asserter=Asserter.PUBLIC_KEY)])
    decide(chika, Decision("message", "objected", "profile"))
    assert may(dov, "message")


def test_list_that_comes_after_the_no_stays_closed():
    chika = customer()
    allow(chika)
    decide(chika, Decision("message", "withdrawn", "profile"))
    assert not may(contact("crm-9"), "message")


def test_list_whose_yes_is_recorded_before_its_address_stays_closed():
    chika = customer()
    decide(chika, Decision("message", "withdrawn", "profile"))
    late, _ = get_or_create_by_identity("external", "crm-9")
    with changes(late, "import") as c:
        c.decide(Decision("message", "imported", "import", evidence={"list": "fair"}))
        c.learn([NewFact("email", EMAIL, "imported", "import:fair")])
    assert not may(late, "message")


def test_legitimate_interest_is_closed_for_an_address_that_comes_later():
    Purpose.objects.create(key="post", label="Post", text="Letters.", basis="legitimate_interest", kind="message")
    chika = customer()
    refuse(chika, Refusal("profile", "customer"))
    late = contact("crm-9")
    assert not may(late, "post")
    assert may(contact("crm-10", value="dov@example.com"), "post")


def test_customer_who_allows_again_opens_it_for_later_lists_too():
    chika = customer()
    refuse(chika, Refusal("profile", "customer"))
    allow(chika)
    assert may(contact("crm-9"), "message")
    row = Suppression.objects.get()
    assert not row.advertising
    assert {"message", "share"}.intersection(row.purposes) == {"share"}


def test_no_with_thousands_of_twins_closes_them_by_a_job():
    chika = customer()
    twins = [contact(f"crm-{number}") for number in range(PORTION + 3)]
    decide(chika, Decision("message", "withdrawn", "profile"))
    run_due()
    assert not any(may(each, "message") for each in twins)


def test_browser_signal_of_a_customer_closes_the_twin():
    chika, twin = customer(), contact("crm-1")
    with changes(twin, "test") as c:
        c.decide(Decision("share", "imported", "import", evidence={"list": "fair"}))
    assert may(twin, "share")
    apply_gpc(chika)
    assert not may(twin, "share")


def test_erasure_erases_the_imported_twin_and_keeps_other_accounts():
    chika, twin, shared = customer(), contact("crm-1"), customer("dov@example.com")
    with changes(shared, "test") as c:
        c.learn([NewFact("email", EMAIL, "imported", "import:fair", asserter=Asserter.IMPORT)])
    erasure = erase_customer(chika, "customer")

    assert not Profile.objects.filter(pk__in=[chika.pk, twin.pk]).exists()
    assert sorted(erasure.profiles) == sorted([chika.pk, twin.pk])
    shared.refresh_from_db()
    assert shared.document["email"] == "dov@example.com"
    assert not Fact.objects.filter(contact=EMAIL).exists()


def test_erasure_by_retention_erases_no_twin():
    chika, twin = customer(), contact("crm-1")
    erase_customer(chika, "retention")
    assert Profile.objects.filter(pk=twin.pk).exists()


def test_erasure_keeps_an_account_that_proved_the_same_number():
    chika, dov = customer(phone=PHONE), customer("dov@example.com", phone=PHONE)
    erase_customer(chika, "customer")
    dov.refresh_from_db()
    assert dov.document["phone_number"] == PHONE


def test_public_word_about_an_address_erases_no_known_customer():
    """Any visitor may send an address of their own under the id of another, and have it erased then."""
    mallory = customer("mallory@example.com")
    victim, _ = get_or_create_by_identity("external", "dov-7", asserted_by=Asserter.SERVER_KEY)
    with changes(victim, "event") as c:
        c.learn([NewFact("email", "mallory@example.com", "observed", "app:shop", asserter=Asserter.PUBLIC_KEY)])
    erase_customer(mallory, "customer")
    assert Profile.objects.filter(pk=victim.pk).exists()
    assert not Fact.objects.filter(contact="mallory@example.com").exists()


def test_holders_are_found_by_the_index():
    from django.db import connection

    plan = Fact.objects.filter(contact__in=[EMAIL], retracted_at=None)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "facts_by_contact" in plan.explain()


def test_refusal_is_written_once():
    chika = customer()
    first, second = (refuse(chika, Refusal("link", "customer")) for _ in range(2))
    assert first
    assert not second
    assert ConsentState.objects.filter(profile=chika, status="objected").count() == len(first)


def test_yes_given_before_a_purpose_became_advertising_is_closed_by_the_objection():
    chika = customer()
    extra = Purpose.objects.create(key="care", label="Care", text="Care.", basis="consent", kind="serve")
    allow(chika, "care")
    refuse(chika, Refusal("profile", "customer"))
    assert may(chika, "care")
    extra.direct_marketing = True
    extra.save()
    assert not may(chika, "care")
    later = clock.now() + dt.timedelta(seconds=1)
    decide(chika, Decision("care", "given", "profile", at=later))
    assert ConsentStatus.of([chika], later)[chika.pk].is_given("care")
