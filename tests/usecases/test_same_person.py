"""One person, one word: what a customer decides holds for every profile with the address or number that they have proved."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.datastructures import MultiValueDict
from tests.usecases.test_restored_backup import after_the_backup

from regulars.accounts.models import Account
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, record_address
from regulars.base import clock
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.ledger import refold
from regulars.consent.models import ConsentState, JournalEntry, Purpose, Restriction, Suppression
from regulars.consent.record import Decision
from regulars.consent.refusal_links import link_of_address, open_link
from regulars.consent.status import ConsentStatus
from regulars.consent.view import may
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import create_database_profile, get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, Identity, Profile
from regulars.questions.models import Impression
from regulars.questions.save import QuestionDraft, save_question
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases import same_person  # noqa: F401 - its handler registers itself
from regulars.usecases.answer_question import answer
from regulars.usecases.complete_social_login import verify_email
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import apply_gpc, decide
from regulars.usecases.erase import erase_customer
from regulars.usecases.import_consents import import_consents
from regulars.usecases.merge import merge, split
from regulars.usecases.refuse_consent import PORTION, Refusal, refuse, refuse_by_link, refuse_for_contact
from regulars.usecases.restrict import lift, restrict
from regulars.usecases.shown_notices import show_question
from regulars.usecases.unit_of_work import SPREAD, changes
from regulars.usecases.users import UserPatch, link, update_user
from regulars.usecases.write_values import by_app

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


def visitor_with(email: str, asserter: Asserter = Asserter.PUBLIC_KEY) -> Profile:
    visitor, _ = get_or_create_by_identity("anonymous", "browser-1", asserted_by=asserter)
    with changes(visitor, "event") as c:
        c.learn([NewFact("email", email, "observed", "app:shop", asserter=asserter)])
    return visitor


def refuse_for_staff(profile: Profile) -> None:
    refuse(profile, Refusal("staff", "staff:bo", ("message",)))


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


def prove_by_mail(profile: Profile) -> None:
    verify_email(profile.account, NOTHING_SHOWN)


def prove_by_api(profile: Profile) -> None:
    update_user(profile, UserPatch({"email_verified": True}), by_app("crm"))


def prove_by_linked_network(profile: Profile) -> None:
    network, _ = get_or_create_by_identity("google-oauth2", "77", connection="google-oauth2")
    with changes(network, "login") as c:
        c.learn(
            [
                NewFact("email", EMAIL, "verified", "google-oauth2", asserter=Asserter.PROVIDER_VOUCHING),
                NewFact("email_verified", True, "verified", "google-oauth2", asserter=Asserter.PROVIDER_VOUCHING),
            ]
        )
    link(profile, network, "customer")


def prove_phone(profile: Profile) -> None:
    with changes(profile, "login") as c:
        c.learn(
            [NewFact("phone_number", PHONE, "declared", "signin"), NewFact("phone_verified", True, "verified", "sms")]
        )


PROOFS = [prove_by_mail, prove_by_api, prove_by_linked_network, prove_phone]


@pytest.mark.parametrize("prove", PROOFS)
@pytest.mark.parametrize("action", ["withdrawn", "objected", "refused"])
def test_no_said_before_the_proof_closes_the_twins_at_the_proof(action, prove):
    chika = customer(proved=False)
    twin = contact("crm-1", "phone_number", PHONE) if prove is prove_phone else contact("crm-1")
    if action != "refused":
        allow(chika)
    decide(chika, Decision("message", action, "profile"))
    run_due()
    assert may(twin, "message")

    prove(Profile.objects.get(pk=chika.pk))
    run_due()

    assert not may(twin, "message")
    no = chika.consent_events.get(action=action)
    carried = twin.consent_events.get(action=action)
    assert (carried.at, carried.method, carried.notice_id) == (no.at, no.method, no.notice_id)
    assert not may(contact("crm-9", "phone_number", PHONE) if prove is prove_phone else contact("crm-9"), "message")


def test_yes_that_a_twin_gave_after_the_no_stays_when_the_address_is_proved():
    chika, dov = customer(proved=False), customer("dov@example.com")
    with changes(dov, "test") as c:
        c.learn([NewFact("email", EMAIL, "imported", "import:fair", asserter=Asserter.IMPORT)])
    decide(chika, Decision("message", "refused", "profile"))
    allow(dov)
    prove_by_mail(chika)
    run_due()
    assert may(dov, "message")


def test_objection_before_the_proof_closes_more_twins_than_one_portion(monkeypatch):
    monkeypatch.setattr("regulars.usecases.refuse_consent.PORTION", 3)
    monkeypatch.setattr("regulars.usecases.same_person.PORTION", 3)
    chika = customer(proved=False)
    twins = [contact(f"crm-{number}") for number in range(8)]
    refuse(chika, Refusal("profile", "customer", contacts=frozenset()))
    prove_by_mail(chika)
    run_due()
    assert not any(may(each, "message") for each in twins)
    assert Suppression.objects.get().advertising


def test_no_recorded_by_staff_holds_for_an_address_that_comes_later():
    chika, twin = customer("chika@work.example", proved=False), contact("crm-1")
    allow(chika)
    refuse(chika, Refusal("staff", "staff:bo", ("message",)))
    with changes(chika, "test") as c:
        c.learn([NewFact("email", EMAIL, "declared", "app:crm", asserter=Asserter.APP_TOKEN)])
    run_due()
    assert not may(twin, "message")


def test_proof_of_a_customer_who_refused_nothing_queues_nothing():
    chika = customer(proved=False)
    allow(chika)
    prove_by_mail(chika)
    assert not Job.objects.filter(kind=SPREAD).exists()


def test_refusal_that_was_never_a_yes_closes_the_twin_and_later_lists():
    chika, twin = customer(), contact("crm-1")
    decide(chika, Decision("message", "refused", "profile"))
    assert not may(twin, "message")
    assert not may(contact("crm-9"), "message")


def test_refusal_as_the_answer_to_a_question_closes_the_twin():
    question = save_question(
        QuestionDraft("news", "May we write?", "News.", "consent", "news_ok", "message", enabled=True)
    )
    chika, twin = customer(), contact("crm-1")
    impression = Impression.objects.create(
        profile=chika, question=question, version=1, day=clock.now().date(), words="News."
    )
    notice = show_question(impression)
    answer(impression, MultiValueDict({"answer": ["no"], "notice": [notice.hash]}))
    run_due()
    assert not may(twin, "message")


def test_refusal_of_an_import_closes_the_twin():
    chika, twin = customer(), contact("crm-1")
    allow(chika)
    rows = [
        {"user_id": chika.user_id, "purpose": "message", "decision": "refused", "at": clock.now().isoformat()},
    ]
    import_consents(rows, "operator")
    run_due()
    assert not may(chika, "message")
    assert not may(twin, "message")


def say_no(road: str) -> None:
    if road == "list":
        refuse_for_contact(EMAIL, Refusal("import", "operator", ("message",)))
    else:
        refuse_by_link(open_link(link_of_address(EMAIL).rpartition("/")[2]), "No", "en")
    run_due()


@pytest.mark.parametrize("road", ["list", "link"])
def test_no_for_a_shared_address_closes_nothing_by_other_addresses_of_who_shares_it(road):
    with_two = contact("crm-1")
    with changes(with_two, "import") as c:
        c.learn([NewFact("email", "ana@example.com", "imported", "import:shop", asserter=Asserter.IMPORT)])
    other, ana = contact("crm-2"), contact("crm-3", value="ana@example.com")
    say_no(road)
    assert [may(each, "message") for each in (with_two, other, ana)] == [False, False, True]

    # Whatever comes later of the first of them carries it on no further.
    with changes(with_two, "import") as c:
        c.learn([NewFact("phone_number", PHONE, "imported", "import:shop", asserter=Asserter.IMPORT)])
    run_due()
    assert may(ana, "message")
    later = contact("crm-4")
    assert not may(later, "message")


@pytest.mark.parametrize("road", ["list", "link"])
def test_no_for_an_address_is_the_word_of_who_alone_has_proved_it(road):
    imported_first, chika, by_phone = contact("crm-1"), customer(phone=PHONE), contact("crm-2", "phone_number", PHONE)
    say_no(road)
    with changes(chika, "test") as c:
        c.learn([NewFact("email", "chika@work.example", "declared", "app:shop")])
    run_due()

    assert [may(each, "message") for each in (imported_first, chika, by_phone)] == [False] * 3
    no = chika.consent_states.get(purpose="message").event
    assert no.evidence.get("same_person") is None
    assert imported_first.consent_states.get(purpose="message").event.evidence["same_person"] is True


@pytest.mark.parametrize("is_known", [False, True])
def test_no_of_the_past_suppresses_from_its_own_date(is_known):
    now = clock.now()
    held = contact("crm-1") if is_known else None
    said = Refusal("import", "operator", ("message",), at=now - dt.timedelta(days=30))
    refuse_for_contact(EMAIL, said)
    assert Suppression.objects.get().since_of("message") == said.at
    assert held is None or not may(held, "message")

    later, _ = get_or_create_by_identity("external", "crm-7")
    before, _ = get_or_create_by_identity("external", "crm-8")
    for profile, days in ((later, 10), (before, 40)):
        decide(profile, Decision("message", "given", "profile", at=now - dt.timedelta(days=days)))
        with changes(profile, "import") as c:
            c.learn([NewFact("email", EMAIL, "imported", "import:fair", asserter=Asserter.IMPORT)])
    assert (may(later, "message"), may(before, "message")) == (True, False)


def test_newer_no_of_another_purpose_does_not_move_the_date_of_the_first():
    now = clock.now()
    for purpose, days in (("message", 30), ("personalise", 5), ("message", 60)):
        refuse_for_contact(EMAIL, Refusal("import", "operator", (purpose,), at=now - dt.timedelta(days=days)))
    row = Suppression.objects.get()
    assert [(now - row.since_of(each)).days for each in ("message", "personalise")] == [30, 5]


def test_dates_of_a_suppression_survive_the_release_of_another_purpose():
    chika = customer()
    at = clock.now() - dt.timedelta(days=30)
    refuse(chika, Refusal("import", "operator", at=at))
    allow(chika)
    assert Suppression.objects.get().since_of("share") == at


def is_open(profile: Profile) -> bool:
    return may(Profile.objects.get(pk=profile.pk), "message")


@pytest.mark.parametrize("actor", ["customer", "staff:bo"])
def test_restriction_reaches_the_twins_and_ends_with_it(actor, monkeypatch):
    monkeypatch.setattr("regulars.usecases.restrict.PORTION", 3)
    chika, dov = customer(), contact("crm-0", value="dov@example.com")
    twins = [contact(f"crm-{number}") for number in range(1, 9)]
    restrict(chika, "profile", actor, "" if actor == "customer" else "Disputes.")
    assert not is_open(twins[0])
    run_due()
    assert not any(is_open(each) for each in twins)
    assert is_open(dov)
    late = contact("crm-late")
    assert not is_open(late)

    lift(Profile.objects.get(pk=chika.pk))
    run_due()
    assert all(is_open(each) for each in [*twins, late])
    assert not Restriction.objects.filter(lifted_at=None).exists()


def test_restriction_of_an_unproved_address_reaches_the_twin_at_the_proof():
    chika, twin = customer(proved=False), contact("crm-1")
    restrict(chika, "profile")
    run_due()
    assert is_open(twin)
    assert is_open(contact("crm-2"))
    prove_by_mail(chika)
    run_due()
    assert not is_open(twin)


def test_restriction_by_staff_reaches_holders_of_an_unproved_address():
    chika, twin = customer(proved=False), contact("crm-1")
    restrict(chika, "staff", "staff:bo", "Disputes.")
    assert not is_open(twin)


@pytest.mark.parametrize("by_staff", [lambda each: restrict(each, "staff", "staff:bo", "Asked."), refuse_for_staff])
def test_number_typed_after_the_word_of_staff_closes_no_one_else(by_staff):
    """Customers may type any number, and would speak for its holder."""
    mallory, dov = customer("mallory@example.com", phone="+351 900 000 001"), customer("dov@example.com", phone=PHONE)
    allow(dov)
    by_staff(mallory)
    run_due()
    correct(mallory, "phone_number", PHONE)
    Job.objects.update(due_at=clock.now())
    run_due()
    assert is_open(dov)


def test_visitor_with_the_address_of_another_closes_no_account():
    """Any visitor may send an address of their own, and then give the browser to another by its user id."""
    mallory, dov, visitor = (
        customer("mallory@example.com"),
        customer("dov@example.com"),
        visitor_with("mallory@example.com"),
    )
    allow(dov)
    decide(mallory, Decision("message", "objected", "profile"))
    restrict(mallory, "profile")
    assert not is_open(visitor)
    merge(visitor, dov)
    Job.objects.update(due_at=clock.now())
    run_due()
    refold([dov])
    assert is_open(dov)


def test_visitor_with_an_address_that_a_server_sent_closes_the_customer():
    chika, dov = customer(), customer("dov@example.com")
    visitor = visitor_with(EMAIL, Asserter.SERVER_KEY)
    allow(dov)
    decide(chika, Decision("message", "objected", "profile"))
    merge(visitor, dov)
    assert not is_open(dov)
    restrict(chika, "profile")
    assert Restriction.objects.filter(profile=dov).exists()


@pytest.mark.parametrize("actor", ["customer", "staff:bo"])
def test_restored_restriction_reaches_no_further_than_before_and_ends_with_the_first(actor):
    """The journal does not know which one a twin was restricted because of: it is older, and would carry it on first."""
    twin, third = customer("eve@example.com", phone=PHONE), contact("crm-1", value="eve@example.com")
    chika = customer(phone=PHONE)
    allow(twin)
    with after_the_backup() as since:
        restrict(chika, "profile", actor, "" if actor == "customer" else "Disputes.")
    since.restore()
    Job.objects.update(due_at=clock.now())
    run_due()
    assert not is_open(twin)
    assert is_open(third)
    lift(Profile.objects.get(pk=chika.pk))
    run_due()
    assert is_open(twin)


def test_own_restriction_of_a_restored_twin_outlasts_the_other():
    dov, chika = customer("dov@example.com", phone=PHONE), customer(phone=PHONE)
    allow(dov)
    with after_the_backup() as since:
        restrict(chika, "profile")
    since.restore()
    restrict(Profile.objects.get(pk=dov.pk), "profile")
    run_due()
    lift(Profile.objects.get(pk=chika.pk))
    run_due()
    assert not is_open(dov)


def test_twin_that_lifts_its_own_is_not_restricted_again():
    chika, dov = customer(phone=PHONE), customer("dov@example.com", phone=PHONE)
    allow(dov)
    restrict(chika, "profile")
    assert not is_open(dov)
    lift(dov)
    Job.objects.update(due_at=clock.now())
    run_due()
    assert is_open(dov)
    assert not is_open(chika)


def test_own_restriction_of_a_twin_outlasts_the_other():
    chika, dov = customer(phone=PHONE), customer("dov@example.com", phone=PHONE)
    allow(dov)
    restrict(chika, "profile")
    restrict(dov, "profile")
    lift(chika)
    run_due()
    assert not is_open(dov)


def contact_with_both(name: str) -> Profile:
    contact(name)
    return contact(name, "phone_number", PHONE)


@pytest.fixture
def two_causes():
    """A twin with the address of one restricted customer and the number of another."""
    first, second = customer(), customer("dov@example.com", phone=PHONE)
    twin = contact_with_both("crm-1")
    allow(first)
    allow(second)
    restrict(first, "profile")
    restrict(second, "staff", "staff:bo", "Disputes.")
    run_due()
    return first, second, twin


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_twin_stays_restricted_while_any_cause_stands(two_causes, order):
    *causes, twin = two_causes
    lift(causes[order[0]])
    Job.objects.update(due_at=clock.now())
    run_due()
    assert not is_open(twin)
    assert is_open(causes[order[0]])

    lift(causes[order[1]])
    run_due()
    assert is_open(twin)
    assert not Restriction.objects.filter(lifted_at=None).exists()


def test_contact_that_arrives_with_both_is_restricted_because_of_both(two_causes):
    first, second, _ = two_causes
    late = contact_with_both("crm-late")
    lift(first)
    run_due()
    assert not is_open(late)
    lift(second)
    run_due()
    assert is_open(late)


def test_contact_that_comes_to_a_restricted_twin_is_another_cause():
    first, second, twin = customer(), customer("dov@example.com", phone=PHONE), contact("crm-1")
    restrict(first, "profile")
    restrict(second, "profile")
    with changes(twin, "import") as c:
        c.learn([NewFact("phone_number", PHONE, "imported", "import:fair")])
    lift(first)
    run_due()
    assert not is_open(twin)
    lift(second)
    run_due()
    assert is_open(twin)


def test_twin_that_is_lifted_for_itself_is_lifted_of_all_causes(two_causes):
    first, _, twin = two_causes
    lift(twin)
    Job.objects.update(due_at=clock.now())
    run_due()
    assert is_open(twin)
    assert not is_open(first)


def test_customer_that_a_twin_is_merged_into_is_restricted_while_any_cause_stands(two_causes):
    first, second, twin = two_causes
    other, _ = get_or_create_by_identity("google-oauth2", "77")
    merge(twin, other, "api:bot")
    lift(first)
    run_due()
    assert not is_open(other)
    lift(second)
    run_due()
    assert is_open(other)


def test_twin_follows_the_one_that_both_causes_were_merged_into(two_causes):
    first, second, twin = two_causes
    merge(second, first, "api:bot")
    assert Restriction.objects.filter(profile=twin, lifted_at=None).count() == 1
    lift(first)
    run_due()
    assert is_open(twin)


def test_twin_of_two_who_are_erased_stays_restricted(two_causes):
    *causes, twin = two_causes
    for each in causes:
        Profile.objects.filter(pk=each.pk).delete()  # alone: an erasure takes the contact of a list along
    assert not is_open(twin)
    lift(twin)
    assert is_open(twin)


def test_restriction_is_lifted_for_twins_after_the_restricted_one_was_merged():
    chika, twin = customer(), contact("crm-1")
    other, _ = get_or_create_by_identity("google-oauth2", "77")
    restrict(chika, "profile")
    merge(chika, other, "api:bot")
    assert not is_open(other)
    lift(other)
    run_due()
    assert is_open(twin)


def test_restriction_is_lifted_for_twins_after_one_of_them_took_over_the_restricted_one():
    chika, twin, third = customer(), contact("crm-1"), contact("crm-2")
    restrict(chika, "profile")
    merge(chika, twin, "api:bot")
    lift(twin)
    run_due()
    assert is_open(third)


def test_restriction_ends_for_twins_with_the_customer_that_a_login_method_was_split_from():
    chika, twin = customer(), contact("crm-1")
    network, _ = get_or_create_by_identity("google-oauth2", "77")
    merge(network, chika, "customer")
    restrict(chika, "profile")
    split(Identity.objects.get(provider="google-oauth2"), "customer")
    lift(chika)
    run_due()
    assert is_open(twin)


def test_public_word_about_an_address_does_not_restrict_an_account():
    chika, dov = customer(), customer("dov@example.com")
    allow(dov)
    restrict(chika, "profile")
    with changes(dov, "event") as c:
        c.learn([NewFact("email", EMAIL, "observed", "app:shop", asserter=Asserter.PUBLIC_KEY)])
    Job.objects.update(due_at=clock.now())
    run_due()
    assert is_open(dov)


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


def jobs_of(sharers: int, act) -> int:
    """How many jobs run when all who share an address do the same at once."""
    profiles = [contact(f"crm-{sharers}-{number}", value=f"{sharers}@example.com") for number in range(sharers)]
    Job.objects.all().delete()
    for each in profiles:
        act(each)
    while (waiting := Job.objects.filter(state="waiting")).exists():
        waiting.update(due_at=clock.now())
        run_due()
    assert not Job.objects.exclude(state="done").exists()
    return Job.objects.count()


def refuse_news(profile: Profile) -> None:
    refuse(profile, Refusal("staff", "staff:bo", ("message",)))


def restrict_by_staff(profile: Profile) -> None:
    restrict(profile, "staff", "staff:bo", "Asked.")


@pytest.mark.parametrize("act", [refuse_news, restrict_by_staff])
def test_jobs_of_a_shared_address_grow_with_the_sharers_and_not_with_their_pairs(act, monkeypatch):
    monkeypatch.setattr("regulars.usecases.refuse_consent.PORTION", 3)
    monkeypatch.setattr("regulars.usecases.restrict.PORTION", 3)

    few, many = jobs_of(20, act), jobs_of(40, act)

    assert few > 20
    assert many < 2.3 * few


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


def test_carrying_it_on_again_adds_nothing_to_the_journal():
    """Each visitor who becomes the customer carries it on once more: years of sign-ins would fill it."""
    chika = customer()
    decide(chika, Decision("message", "refused", "profile"))
    run_due()
    entries = JournalEntry.objects.count()
    for number in range(2):
        visitor, _ = get_or_create_by_identity("anonymous", f"browser-{number}")
        merge(visitor, chika)
        run_due()
    assert Suppression.objects.count() == 1
    assert JournalEntry.objects.count() == entries


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


def linked_after_it_was_read() -> tuple[Profile, Profile, Profile]:
    """Return two customers who are linked, and the second as a request read it before that."""
    chika, dov = customer(), customer("dov@example.com")
    as_read = Profile.objects.select_related("account").get(pk=dov.pk)
    link(chika, dov, "staff:bo")
    return chika, dov, as_read


@pytest.mark.parametrize(
    "say_no",
    [
        lambda profile: decide(profile, Decision("message", "withdrawn", "profile")),
        lambda profile: refuse(profile, Refusal("staff", "staff:bo", ("message",))),
        lambda profile: refuse(profile, Refusal("profile", "customer")),
    ],
    ids=["page", "staff", "any advertising"],
)
def test_no_of_a_customer_linked_meanwhile_holds_for_all_their_addresses(say_no):
    chika, _, as_read = linked_after_it_was_read()
    twins = [contact("crm-1"), contact("crm-2", value="dov@example.com")]

    say_no(as_read)
    run_due()

    assert not any(may(each, "message") for each in [*twins, Profile.objects.get(pk=chika.pk)])
    assert not may(contact("crm-3"), "message")


def test_do_not_share_of_a_customer_linked_meanwhile_holds_for_all_their_addresses():
    Purpose.objects.create(
        key="partners", kind="share", basis="legitimate_interest", label="Partners", text="To share."
    )
    _, _, as_read = linked_after_it_was_read()
    twins = [contact("crm-1"), contact("crm-2", value="dov@example.com")]

    assert apply_gpc(as_read)
    run_due()

    assert not any(may(each, "partners") for each in twins)


def test_yes_of_a_customer_linked_meanwhile_releases_all_their_addresses():
    chika, _, as_read = linked_after_it_was_read()
    decide(chika, Decision("message", "withdrawn", "profile"))
    assert Suppression.objects.exclude(purposes=[]).count() == 2

    decide(as_read, Decision("message", "given", "profile"))

    assert not Suppression.objects.exclude(purposes=[]).exists()
