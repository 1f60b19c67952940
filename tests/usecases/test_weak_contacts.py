"""Whose address is believed: a public key names no known customer, and what a customer only typed speaks for no one.

A customer is known when they have an account, or when a list, a server's key, an application or staff stands for them.
"""

from __future__ import annotations

import pytest
from django.utils import timezone
from tests.usecases.test_public_keys import sending
from tests.usecases.test_restored_backup import after_the_backup
from tests.usecases.test_same_person import PHONE, allow, contact, customer, prove_by_api

from regulars.base import clock
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.models import ConsentEvent, Restriction
from regulars.consent.record import Decision
from regulars.consent.view import may, view
from regulars.events.models import Source
from regulars.events.sources import replace_key
from regulars.profiles.assertions import Asserter
from regulars.profiles.contacts import holders_of
from regulars.profiles.find import find_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, IdentityConflict, Profile, RefusedGuess
from regulars.usecases import same_person  # noqa: F401 - its handler registers itself
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import decide
from regulars.usecases.erase import erase_customer
from regulars.usecases.identity_conflicts import join, open_conflicts
from regulars.usecases.import_consents import import_consents
from regulars.usecases.restrict import restrict
from regulars.usecases.unit_of_work import changes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup")]
MALLORYS, THEIRS = "mallory@example.com", "dov@example.com"
OWN_NUMBER = "+351 900 000 001"
TRAITS = {"email": {"email": MALLORYS}, "phone_number": {"phone": OWN_NUMBER}}


@pytest.fixture(autouse=True)
def _home(settings, tmp_path):
    settings.HOME = tmp_path


def sender(slug: str, kind: str = "public"):
    source, _ = Source.objects.get_or_create(slug=slug, defaults={"name": slug})
    if source.kind != kind:
        replace_key(slug, kind)
        source.refresh_from_db()
    return sending(source)


@pytest.fixture
def send():
    return sender("shop")


@pytest.fixture
def send_as_server():
    return sender("backend", "server")


def run_all_jobs() -> None:
    for _ in range(4):
        Job.objects.filter(kind__startswith="consent.").update(due_at=clock.now())
        run_due()


def is_restricted(profile: Profile) -> bool:
    return Profile.objects.get(pk=profile.pk).restricted_at is not None


def is_open(profile: Profile, purpose: str = "message") -> bool:
    return may(Profile.objects.get(pk=profile.pk), purpose)


def mallory() -> Profile:
    return customer(MALLORYS, phone=OWN_NUMBER)


def known_by_a_list() -> Profile:
    return contact("crm-1", value=THEIRS)


def known_by_a_list_without_address() -> Profile:
    return contact("crm-1", "city", "Porto")


def known_by_a_server() -> Profile:
    sender("backend", "server")("page", userId="crm-1")
    return found("crm-1")


def known_by_a_server_after_a_public_key() -> Profile:
    sender("shop")("page", userId="crm-1")
    return known_by_a_server()


def known_by_an_application() -> Profile:
    sender("shop")("page", userId="crm-1")
    with changes(found("crm-1"), "api") as c:
        c.learn([NewFact("user_metadata.vip", True, "declared", "app:crm", asserter=Asserter.APP_TOKEN)])
    return found("crm-1")


def known_by_staff() -> Profile:
    sender("shop")("page", userId="crm-1")
    correct(found("crm-1"), "city", "Porto", staff="bo", reason="They called.")
    return found("crm-1")


def known_by_an_account() -> Profile:
    return customer(THEIRS)


def found(name: str) -> Profile:
    profile = find_by_identity("external", name)
    assert profile is not None
    return profile


KNOWN = [
    known_by_a_list,
    known_by_a_list_without_address,
    known_by_a_server,
    known_by_a_server_after_a_public_key,
    known_by_an_application,
    known_by_staff,
    known_by_an_account,
]


def name_of(profile: Profile) -> str:
    return "crm-1" if profile.user_id.startswith("external|") else profile.user_id


@pytest.mark.parametrize("key", TRAITS)
@pytest.mark.parametrize("known", KNOWN)
def test_public_key_gives_a_known_customer_no_address(send, known, key):
    """Its holder objects, is restricted or erased, and would speak for the other."""
    holder, victim = mallory(), known()
    allow(victim)
    send(userId=name_of(victim), traits=TRAITS[key])

    assert not victim.facts.filter(attribute=key, asserter=Asserter.PUBLIC_KEY).exists()
    assert (key, "of_known_customer") in RefusedGuess.objects.values_list("attribute", "why")
    decide(holder, Decision("message", "objected", "profile"))
    decide(holder, Decision("measure", "objected", "profile"))
    restrict(holder, "profile")
    run_all_jobs()
    assert is_open(victim)
    assert is_open(victim, "measure")
    assert not is_restricted(victim)
    erase_customer(holder)
    run_all_jobs()
    assert Profile.objects.filter(pk=victim.pk).exists()
    assert is_open(victim)


@pytest.mark.parametrize("key", TRAITS)
@pytest.mark.parametrize("known", KNOWN)
def test_address_that_a_public_key_gave_first_ends_when_the_customer_is_known(send, known, key):
    """An attacker may name the ids of customers before a list or a server does."""
    holder = mallory()
    send(userId="crm-1", traits=TRAITS[key])
    victim = known()
    allow(victim)
    assert Profile.objects.get(pk=victim.pk).document.get(key) != next(iter(TRAITS[key].values()))
    assert key not in view(Profile.objects.get(pk=victim.pk), "serve") or victim.document.get("email") == THEIRS
    decide(holder, Decision("message", "objected", "profile"))
    restrict(holder, "profile")
    run_all_jobs()
    assert is_open(victim)
    assert not is_restricted(victim)


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("known", KNOWN)
def test_visitor_given_to_a_known_customer_brings_no_address(send, known, order):
    holder, victim = mallory(), known()
    allow(victim)
    send(anonymousId="z-1", traits=TRAITS["email"])
    acts = [
        lambda: (decide(holder, Decision("message", "objected", "profile")), restrict(holder, "profile")),
        lambda: send("track", event="Looked", userId=name_of(victim), anonymousId="z-1"),
    ]
    for act in acts if order == "before" else reversed(acts):
        act()
    run_all_jobs()

    assert is_open(victim)
    assert not is_restricted(victim)
    assert MALLORYS not in str(Profile.objects.get(pk=victim.pk).document)


@pytest.mark.parametrize("key", TRAITS)
def test_address_of_another_is_listed_for_review(send, key):
    holder, victim = mallory(), known_by_a_list()
    for _ in range(2):
        send(userId="crm-1", traits=TRAITS[key])
    [listed] = open_conflicts()
    assert {listed.first.pk, listed.second.pk} == {holder.pk, victim.pk}
    assert listed.conflict.times == 2
    assert ("phone" in listed.how) == (key == "phone_number")
    join(listed.conflict.pk, holder.user_id, "bo")
    assert Profile.objects.get(pk=victim.pk).merged_into_id == holder.pk


def test_own_address_by_a_public_key_is_no_conflict_and_no_refusal(send):
    """A shop's page says with every click what is known already."""
    known_by_a_list()
    for spelling in (THEIRS, "Dov@Example.com"):
        send(userId="crm-1", traits={"email": spelling})
    assert not IdentityConflict.objects.exists()
    assert not RefusedGuess.objects.exists()
    assert not Fact.objects.filter(asserter=Asserter.PUBLIC_KEY).exists()


def test_contact_known_by_public_keys_alone_keeps_its_address_and_is_closed_with_its_holder(send):
    holder = mallory()
    allow(holder)
    send(userId="crm-1", traits=TRAITS["email"])
    weak = found("crm-1")
    assert weak.document["email"] == MALLORYS
    decide(holder, Decision("measure", "objected", "profile"))
    assert not is_open(weak, "measure")
    assert not IdentityConflict.objects.exists()


def test_server_gives_a_known_customer_an_address(send_as_server):
    victim = known_by_a_list_without_address()
    send_as_server(userId="crm-1", traits=TRAITS["email"])
    assert Profile.objects.get(pk=victim.pk).document["email"] == MALLORYS


@pytest.mark.parametrize("known", KNOWN)
def test_birthdate_by_a_public_key_closes_nothing_of_a_known_customer(send, known):
    """Any visitor would make a child of them."""
    victim = known()
    allow(victim)
    send(userId=name_of(victim), traits={"birthday": f"{timezone.now().year - 5}-01-01"})
    run_all_jobs()
    assert is_open(victim)
    assert is_open(victim, "measure")


# What a customer only typed


def typist() -> Profile:
    profile = mallory()
    allow(profile)
    return profile


def says_the_holder_no(holder: Profile) -> None:
    decide(holder, Decision("message", "objected", "profile"))


HOLDER_ACTS = [
    says_the_holder_no,
    lambda holder: restrict(holder, "profile"),
    lambda holder: restrict(holder, "staff", "staff:bo", "Asked."),
    lambda holder: (says_the_holder_no(holder), erase_customer(holder)),
]


@pytest.mark.parametrize("act", HOLDER_ACTS)
@pytest.mark.parametrize("order", ["before", "after"])
def test_typed_number_tells_nothing_about_its_holder(act, order):
    typing, holder = typist(), customer(THEIRS, phone=PHONE)
    before = ConsentEvent.objects.filter(profile=typing).count()
    steps = [lambda: act(holder), lambda: correct(typing, "phone_number", PHONE)]
    for step in steps if order == "before" else reversed(steps):
        step()
    run_all_jobs()
    assert is_open(typing)
    assert not is_restricted(typing)
    assert ConsentEvent.objects.filter(profile=typing).count() == before


@pytest.mark.parametrize("act", HOLDER_ACTS)
def test_typed_number_is_closed_once_it_is_proved(act):
    typing, holder = typist(), customer(THEIRS, phone=PHONE)
    act(holder)
    correct(typing, "phone_number", PHONE)
    run_all_jobs()
    assert is_open(typing)
    with changes(typing, "test") as c:
        c.learn(
            [
                NewFact("phone_number", PHONE, "verified", "sms", asserter=Asserter.CUSTOMER_FRESH),
                NewFact("phone_verified", True, "verified", "sms", asserter=Asserter.CUSTOMER_FRESH),
            ]
        )
    run_all_jobs()
    assert not is_open(typing)


def test_address_typed_at_sign_up_is_closed_once_it_is_proved():
    holder, typing = customer(phone=PHONE), customer("dov@example.com", proved=False)
    allow(typing)
    with changes(holder, "test") as c:
        c.learn([NewFact("email", "dov@example.com", "imported", "crm", asserter=Asserter.IMPORT)])
    restrict(holder, "staff", "staff:bo", "Asked.")
    run_all_jobs()
    assert is_open(typing)
    prove_by_api(typing)
    run_all_jobs()
    assert not is_open(typing)


@pytest.mark.parametrize("given", [True, False])
def test_erasure_suppresses_what_was_proved_or_given_and_not_what_was_typed(given):
    """Customers may type the number of anybody, say no, and erase themselves."""
    gone, holder = mallory(), customer(THEIRS, phone=PHONE)
    allow(holder)
    if given:
        with changes(gone, "import") as c:
            c.learn([NewFact("phone_number", PHONE, "imported", "crm", asserter=Asserter.IMPORT)])
    else:
        correct(gone, "phone_number", PHONE)
    decide(gone, Decision("message", "objected", "profile"))
    run_all_jobs()
    assert is_open(holder)
    erase_customer(gone)
    run_all_jobs()
    assert is_open(holder)
    assert is_open(contact("crm-8", "phone_number", PHONE)) is not given
    assert not is_open(contact("crm-9", value=MALLORYS))


def test_restored_backup_tells_the_typist_nothing_either():
    typing, holder = typist(), customer(THEIRS, phone=PHONE)
    with after_the_backup() as since:
        restrict(holder, "profile")
        correct(typing, "phone_number", PHONE)
    since.restore()
    run_all_jobs()
    assert is_restricted(holder)
    assert not is_restricted(typing)
    assert not Restriction.objects.filter(profile=typing).exists()


def test_list_finds_its_contact_though_another_customer_typed_the_address():
    """Otherwise anybody who signs up with an address of the list keeps the whole list from being imported."""
    listed, typing = known_by_a_list(), customer(THEIRS, proved=False)
    yes = {
        "purpose": "personalise",
        "decision": "given",
        "at": "2024-05-31",
        "version": "1",
        "words": "Yes.",
        "source": "form",
    }
    result = import_consents([{"email": THEIRS, "language": "en", **yes}], "operator")
    assert result.problems == ()
    assert is_open(listed, "personalise")
    assert not is_open(typing, "personalise")
    prove_by_api(typing)
    [problem] = import_consents([{"email": THEIRS, "language": "en", **yes}], "operator").problems
    assert problem.code == "several_customers"


def test_holders_are_found_in_few_queries(django_assert_max_num_queries):
    for number in range(12):
        correct(customer(f"c{number}@example.com"), "phone_number", PHONE)
    proved = customer(THEIRS, phone=PHONE)
    with django_assert_max_num_queries(5):
        assert holders_of([PHONE.replace(" ", "")]) == [proved.pk]
