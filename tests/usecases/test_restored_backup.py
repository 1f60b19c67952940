"""A restored backup learns from the journal what was decided, deleted and corrected since: nothing comes back by it."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.db import transaction

from regulars.base import clock
from regulars.base.crypto import decrypt, encrypt
from regulars.base.errors import Unavailable
from regulars.clients.models import Client
from regulars.consent import journal as journals
from regulars.consent.erasures import in_database, keep_listed
from regulars.consent.journal import (
    LEFT_OUT,
    JournalCopier,
    JournalDraft,
    body_of,
    check_journal,
    fault_in,
    journal_path,
    lines_of,
    unattended,
)
from regulars.consent.journal_file import JournalLine, read
from regulars.consent.models import ConsentEvent, Erasure, JournalEntry, Notice, Purpose
from regulars.consent.purposes import PurposeText, ensure_standard_purposes
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.status import ConsentStatus
from regulars.consent.suppressions import suppress
from regulars.consent.view import view
from regulars.oauth.consents import withdraw_consents
from regulars.oauth.grant import Grant
from regulars.oauth.models import AppGrant, RefreshFamily
from regulars.operations.doctor import CHECKS as DOCTOR
from regulars.profiles.assertions import Asserter
from regulars.profiles.attributes import ensure_standard_attributes
from regulars.profiles.find import add_identity, get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.serving.storage import folder_faults
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.decide_consent import change_purpose, decide
from regulars.usecases.erase import erase_customer, erase_period
from regulars.usecases.merge import merge, split
from regulars.usecases.replay_erasures import replay_erasures
from regulars.usecases.replay_journal import Repetition, replay_journal
from regulars.usecases.restrict import announce_lifting, lift, open_restriction, restrict
from regulars.usecases.retention import apply_retention, set_retention
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import MetadataWrite, update_metadata
from regulars.usecases.write_values import Authorship, by_app
from regulars.usecases.writers import Writer

pytestmark = pytest.mark.django_db
Action = ConsentEvent.Action
A_YES = Decision("personalise", Action.GIVEN, "login", pieces=("gender",))


@pytest.fixture(autouse=True)
def _home(settings, tmp_path):
    settings.HOME = tmp_path
    ensure_standard_attributes()
    ensure_standard_purposes()


def customer(name: str = "chika") -> Profile:
    profile, _ = get_or_create_by_identity("auth0", f"{name}0123456789")
    return profile


@pytest.fixture
def chika():
    """Chika allowed personalising, and gave their gender under it."""
    profile = customer()
    with changes(profile, "test") as c:
        consent = c.decide(A_YES)
        c.learn([NewFact("gender", "female", "declared", "question:gender@1", consents=[consent.pk])])
        c.learn([NewFact("given_name", "Chika", "declared", "app:shop")])
    return profile


class Since:
    """What the journal and the list of erasures know when the backup is restored."""

    lines = ()

    def restore(self) -> Repetition:
        replay_erasures()
        return replay_journal(self.lines)


@contextmanager
def after_the_backup():
    """Undo what is done within, as a restore does: the files keep what the database loses."""
    since = Since()
    with transaction.atomic():
        yield since
        since.lines = lines_of(JournalEntry.objects.all())
        erasures = in_database(Erasure.objects.all())
        transaction.set_rollback(True)
    keep_listed(erasures)


def status(profile: Profile, purpose: str = "personalise") -> str:
    return profile.consent_states.get(purpose=purpose).status


def ledger(profile: Profile) -> list[tuple]:
    rows = profile.consent_events.order_by("at", "id")
    return list(
        rows.values_list(
            "action", "purpose", "purpose_version", "notice__body", "at", "method", "evidence", "actor", "explicit"
        )
    )


def test_withdrawal_since_the_backup_stays_exactly_as_it_was(chika):
    with after_the_backup() as since:
        words = "May we? (long ago)"
        decide(
            chika, Decision("personalise", Action.WITHDRAWN, "profile", words, "pt", evidence={"ip": "198.51.100.7"})
        )
        before = ledger(chika)
    assert "gender" in view(Profile.objects.get(pk=chika.pk), "personalise")

    assert since.restore() == Repetition(repeated=1)

    assert status(chika) == "withdrawn"
    assert "gender" not in view(chika, "personalise")
    assert ledger(chika) == before
    assert Notice.objects.get(body=words).locale == "pt"
    assert first_broken_link(chika) is None


@pytest.mark.parametrize("action", [each for each in Action if each not in LEFT_OUT])
def test_every_no_since_the_backup_closes_again(chika, action):
    with after_the_backup() as since, changes(chika, "test") as c:
        c.decide(Decision("personalise", action, "profile"))

    since.restore()

    assert status(chika) == action
    assert "gender" not in view(Profile.objects.get(pk=chika.pk), "personalise")


def test_actions_that_open_something_are_the_ones_left_out():
    """A new action has to be put on one side."""
    assert set(Action) - LEFT_OUT == {"refused", "withdrawn", "objected", "expired", "gpc"}


def test_yes_since_the_backup_is_left_out_and_an_earlier_no_holds():
    dov = customer("dov")
    with changes(dov, "test") as c:
        c.decide(Decision("personalise", Action.REFUSED, "login"))
        c.decide(Decision("measure", Action.OBJECTED, "profile"))
    with after_the_backup() as since, changes(dov, "test") as c:
        c.decide(A_YES)
        c.decide(Decision("measure", Action.OBJECTION_LIFTED, "profile"))
        c.decide(Decision("enrich", Action.GIVEN, "login"))

    assert since.restore() == Repetition(left_out=3)

    assert (status(dov), status(dov, "measure")) == ("refused", "objected")
    assert not dov.consent_states.filter(purpose="enrich").exists()


def test_no_then_yes_since_the_backup_is_no(chika):
    with after_the_backup() as since:
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
        decide(chika, Decision("personalise", Action.GIVEN, "profile"))

    since.restore()

    assert status(chika) == "withdrawn"


def test_no_to_a_version_that_the_backup_does_not_have_keeps_version_and_words(chika):
    with after_the_backup() as since:
        change_purpose("personalise", PurposeText("Personal", "We choose, and we sell it."), widened=True)
        decide(chika, Decision("personalise", Action.REFUSED, "profile"))

    since.restore()

    event = chika.consent_events.latest("id")
    assert (event.purpose_version, event.notice.body) == (2, "We choose, and we sell it.")
    assert Purpose.objects.get(key="personalise").version == 1
    assert status(chika) == "refused"


def test_no_to_a_purpose_that_the_backup_does_not_have_concerns_nothing(chika):
    with after_the_backup() as since:
        Purpose.objects.create(key="raffle", label="Raffle", text="We draw.", basis="consent", kind="message")
        decide(chika, Decision("raffle", Action.REFUSED, "profile"))
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))

    since.restore()

    assert [state.purpose_id for state in chika.consent_states.all()] == ["personalise"]
    assert status(chika) == "withdrawn"


def test_deleted_fact_stays_deleted_and_no_other_source_enters_it_again(chika):
    with after_the_backup() as since:
        remove(chika, "gender", reason="not their business")
    assert chika.facts.filter(attribute="gender", retracted_at=None).exists()

    since.restore()

    gone = chika.facts.get(attribute="gender", source_kind="declared")
    assert gone.retracted_why == "deleted_by_customer"
    with changes(chika, "test") as c:
        c.learn([NewFact("gender", "female", "social", "google-oauth2")])
    assert "gender" not in view(chika, "personalise")
    assert chika.facts.get(attribute="gender", source="customer").reason == "not their business"


def test_corrected_fact_keeps_the_corrected_value(chika):
    names = chika.facts.filter(attribute="given_name").order_by("collected_at", "pk")
    names = names.values_list("value", "source", "collected_at", "reason")
    with after_the_backup() as since:
        correct(chika, "given_name", "Chikara", reason="typing error", staff="ana")
        correct(chika, "given_name", "Chikako")
        before = list(names.all())

    since.restore()

    assert Profile.objects.get(pk=chika.pk).document["given_name"] == "Chikako"
    assert list(names.all()) == before


def test_correction_that_was_deleted_later_stays_deleted(chika):
    with after_the_backup() as since:
        correct(chika, "given_name", "Chikako")
        remove(chika, "given_name")

    since.restore()

    assert "given_name" not in Profile.objects.get(pk=chika.pk).document


def test_conclusions_from_what_was_deleted_go_along(chika):
    with changes(chika, "test") as c:
        c.learn([NewFact("birthdate", "1990-05-17", "declared", "app:shop")])
    assert Profile.objects.get(pk=chika.pk).facts.filter(attribute="age_band", retracted_at=None).exists()
    with after_the_backup() as since:
        remove(chika, "birthdate")

    since.restore()

    assert not {"birthdate", "age_band"} & set(Profile.objects.get(pk=chika.pk).document)


def test_correction_that_the_backup_cannot_hold_takes_the_old_value_along(chika):
    """Its yes is left out, or its attribute has other values."""
    Attribute.objects.filter(key="gender").update(type="choice", options=[{"key": "female", "label": "Female"}])
    with after_the_backup() as since:
        Attribute.objects.filter(key="gender").update(type="text", options=[])
        correct(chika, "gender", "something else")
        with changes(chika, "test") as c:
            yes = c.decide(Decision("enrich", Action.GIVEN, "login"))
            new = NewFact("given_name", "C.", "corrected", "customer", consents=[yes.pk], asserter=Asserter.CUSTOMER)
            c.learn([new])

    since.restore()

    assert not {"gender", "given_name"} & set(Profile.objects.get(pk=chika.pk).document)


def test_value_that_an_app_removed_stays_removed_and_one_that_it_replaced_is_no_deletion(chika):
    update_metadata(chika, [MetadataWrite(by_app("shop"), "user_metadata", {"shoe": 41, "hat": 7})])
    with after_the_backup() as since:
        update_metadata(chika, [MetadataWrite(by_app("shop"), "user_metadata", {"shoe": None, "hat": 8})])

    since.restore()

    assert Profile.objects.get(pk=chika.pk).document["user_metadata"] == {"hat": 7}


def test_what_the_source_said_before_it_was_taken_back_stays_back(chika):
    with after_the_backup() as since, changes(chika, "test") as c:
        c.learn([NewFact("given_name", None, "declared", "app:shop")])

    since.restore()

    assert "given_name" not in Profile.objects.get(pk=chika.pk).document


def test_no_of_a_customer_closes_what_the_backup_still_has_apart(chika):
    """The two were merged after the backup, which has two profiles."""
    visitor, _ = get_or_create_by_identity("anonymous", "b7")
    with changes(visitor, "test") as c:
        c.decide(A_YES)
        c.learn([NewFact("gender", "female", "observed", "app:shop")])
    with after_the_backup() as since:
        merge(visitor, chika)
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
        remove(chika, "gender")

    since.restore()

    for each in (chika, Profile.objects.get(pk=visitor.pk)):
        assert status(each) == "withdrawn"
        assert "gender" not in Profile.objects.get(pk=each.pk).document


def test_no_before_a_merge_that_the_backup_has_reaches_the_customer_that_they_are():
    """The journal names the visitor, whom the backup of another day knows as a part of Chika."""
    visitor, _ = get_or_create_by_identity("anonymous", "b7")
    chika = customer()
    with changes(chika, "test") as c:
        c.decide(A_YES)
    with after_the_backup() as since:
        decide(visitor, Decision("personalise", Action.REFUSED, "profile"))
    merge(visitor, chika)

    since.restore()

    assert status(chika) == "refused"


def test_second_restore_repeats_nothing_twice_and_undoes_nothing_newer(chika):
    with after_the_backup() as since:
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
        correct(chika, "given_name", "Chikako")
    since.restore()
    decide(chika, Decision("personalise", Action.GIVEN, "profile"))
    correct(chika, "given_name", "C.")

    assert since.restore() == Repetition()

    assert status(chika) == "given"
    assert Profile.objects.get(pk=chika.pk).document["given_name"] == "C."


def test_entries_that_the_table_no_longer_has_do_no_harm_when_repeated(chika):
    """The retention ended the rows, and a copy of the file still has them."""
    decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
    correct(chika, "given_name", "Chikako")
    remove(chika, "gender")
    old = lines_of(JournalEntry.objects.all())
    decide(chika, Decision("personalise", Action.GIVEN, "profile"))
    correct(chika, "given_name", "C.")
    correct(chika, "gender", "other")
    JournalEntry.objects.all().delete()
    facts, decisions = chika.facts.count(), ledger(chika)

    replay_journal(old)

    assert (status(chika), ledger(chika)) == ("given", decisions)
    assert chika.facts.count() == facts
    document = Profile.objects.get(pk=chika.pk).document
    assert (document["given_name"], document["gender"]) == ("C.", "other")


def test_erased_customer_gets_nothing_back_and_a_new_one_of_the_name_loses_nothing(chika):
    with after_the_backup() as since:
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
        lines = lines_of(JournalEntry.objects.all())
        erase_customer(chika)
        assert not JournalEntry.objects.exclude(profile=None).exists()
    since.lines = lines  # a copy of the file that is older than the erasure

    assert since.restore() == Repetition()

    assert not Profile.objects.filter(user_id=chika.user_id).exists()
    again = customer()
    decide(again, A_YES)
    replay_journal(lines)
    assert status(again) == "given"


def test_corrections_of_an_erased_period_stay_erased_and_deletions_hold(chika):
    with after_the_backup() as since:
        correct(chika, "family_name", "Abe")
        remove(chika, "gender")
        lines = lines_of(JournalEntry.objects.all())
        erase_period(chika, clock.now() - dt.timedelta(hours=1), clock.now() + dt.timedelta(seconds=1))
        assert not JournalEntry.objects.filter(kind=JournalEntry.Kind.CORRECTED).exists()
    since.lines = lines

    since.restore()

    document = Profile.objects.get(pk=chika.pk).document
    assert "family_name" not in document
    assert "gender" not in document


def test_journal_names_and_quotes_no_customer(chika):
    add_identity(chika, "google-oauth2", "1234567890")
    with changes(chika, "test"):
        correct(chika, "given_name", "Chikakomarker")
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile", evidence={"ip": "198.51.100.7"}))
    JournalCopier().run()

    written = journal_path().read_text()

    assert len(list(read(journal_path()))) > 3
    for each in ("chika", "0123456789", "Chikakomarker", "198.51.100.7", "gender", "personalise", "withdrawn"):
        assert each not in written


def test_rolled_back_act_leaves_no_entry(chika):
    before = set(JournalEntry.objects.values_list("id", flat=True))

    def fail():
        with changes(chika, "inner") as c:
            c.decide(Decision("personalise", Action.WITHDRAWN, "profile"))
            raise ValueError

    with changes(chika, "outer"):
        with pytest.raises(ValueError):
            fail()
        decide(chika, Decision("measure", Action.OBJECTED, "profile"))

    added = JournalEntry.objects.filter(kind="decision").exclude(pk__in=before)
    assert {body_of(line)["purpose_id"] for line in lines_of(added)} == {"measure"}


def test_sign_in_that_decides_nothing_writes_nothing_into_the_journal(chika):
    before = JournalEntry.objects.count()

    with changes(chika, "login") as c:
        c.learn(
            [
                NewFact("given_name", "Chika", "social", "google-oauth2"),
                NewFact("gender", "female", "observed", "app:shop"),
            ]
        )
        update_metadata(chika, [MetadataWrite(Authorship(Writer.RULE, "rule:1"), "app_metadata", {"logins": 4})])
        update_metadata(chika, [MetadataWrite(Authorship(Writer.RULE, "rule:1"), "app_metadata", {"logins": 5})])

    assert JournalEntry.objects.count() == before


def every_kind(profile: Profile) -> dict[str, JournalLine]:
    """One entry of each kind, as an earlier version wrote them: without a seal, of which the body does not know either."""
    JournalCopier().run()
    correct(profile, "given_name", "Chi")
    remove(profile, "gender")
    decide(profile, Decision("personalise", Action.WITHDRAWN, "profile"))
    suppress(["dov@example.com"], ["message"], advertising=True)
    restrict(profile, "profile")
    with changes(profile, "test") as c:
        c.note(JournalEntry.Kind.APP_REVOKED, {"client": "shop", "audience": "api"})
    lines = {}
    for line in lines_of(JournalEntry.objects.all()):
        body = {name: value for name, value in body_of(line).items() if name != "v"}
        lines[line.kind] = replace(line, body=encrypt(body), version=1)
    return lines


def test_entry_without_a_seal_is_read_but_not_as_one_of_another_kind(chika, settings):
    lines = every_kind(chika)
    assert set(lines) == set(JournalEntry.Kind.values)

    for kind in JournalEntry.Kind.values:
        read_as = {
            as_kind for as_kind in lines if not fault_in(replace(lines[kind], kind=as_kind), settings.SECRET_KEY)
        }
        assert read_as == {kind}


def test_entry_that_lost_its_seal_is_named(chika, settings):
    with changes(chika, "test") as c:
        c.decide(Decision("personalise", Action.WITHDRAWN, "profile"))

    for line in lines_of(JournalEntry.objects.all()):
        assert fault_in(line, settings.SECRET_KEY) is None
        assert fault_in(replace(line, version=1), settings.SECRET_KEY) == "journal_altered"


def test_doctor_counts_entries_without_a_seal(chika):
    JournalCopier().run()
    assert check_journal().unsealed == 0
    rows = [json.loads(line) for line in journal_path().read_text().splitlines()]
    for row in rows:
        body = {name: value for name, value in decrypt(row["body"]).items() if name != "v"}
        row["body"] = encrypt(body)
        del row["v"], row["prev"], row["seal"]
    journal_path().write_text("".join(json.dumps(row) + "\n" for row in rows))

    assert (check_journal().unsealed, DOCTOR["journal"]().code) == (len(rows), "journal_unsealed")
    journal_path().unlink()
    JournalCopier().run()
    assert (check_journal().unsealed, DOCTOR["journal"]().code) == (0, "")


def test_decision_costs_two_queries_and_a_unit_without_one_none(chika, django_assert_num_queries):
    decided = JournalDraft(decisions=list(chika.consent_events.select_related("notice")))

    with django_assert_num_queries(2):
        decided.save()
    with django_assert_num_queries(0):
        JournalDraft().save()


def test_words_are_written_once_however_often_they_are_decided_on(chika, django_capture_on_commit_callbacks):
    for action in (Action.WITHDRAWN, Action.GIVEN, Action.WITHDRAWN):
        with django_capture_on_commit_callbacks(execute=True):
            decide(chika, Decision("personalise", action, "profile"))

    assert sorted(line.kind for line in read(journal_path())) == ["decision"] * 3 + ["notice"]


def test_what_another_machine_wrote_and_what_a_crash_left_out_comes_into_the_file(chika):
    """On commit nothing is written here: the rows are there, as after a machine that stopped between the two."""
    copier = JournalCopier()
    copier.run()
    first = {line.id for line in read(journal_path())}
    decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
    copier.run()
    copier.run()
    JournalCopier().run()

    lines = list(read(journal_path()))
    assert len(lines) == len({line.id for line in lines}) == JournalEntry.objects.count()
    assert len(lines) > len(first)
    assert [line.kind for line in lines if line.id in first][-1] == "begun"  # the journal is complete from then on


def test_entry_is_in_the_file_once(chika, django_capture_on_commit_callbacks):
    """The copier leaves out what this machine wrote itself, also after it wrote the file anew."""
    copier = JournalCopier()
    copier.run()
    for action in (Action.WITHDRAWN, Action.REFUSED):
        with django_capture_on_commit_callbacks(execute=True):
            decide(chika, Decision("personalise", action, "profile"))
        copier.run()
        Erasure.objects.create(asked_by="api", who=["someone else"])
    erase_customer(customer("dov"))
    copier.run()
    with django_capture_on_commit_callbacks(execute=True):
        decide(chika, Decision("message", Action.REFUSED, "profile"))
    copier.run()

    lines = list(read(journal_path()))
    assert len(lines) == len({line.id for line in lines}) == JournalEntry.objects.count()


def test_act_is_refused_while_the_journal_cannot_be_written(chika):
    journal_path().unlink()
    journal_path().mkdir()

    with pytest.raises(Unavailable) as raised:
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))

    assert raised.value.code == "journal_not_written"
    assert status(chika) == "given"
    assert [each.code for each in folder_faults()] == ["not_a_file"]


def test_act_without_its_line_is_not_acknowledged(chika, django_capture_on_commit_callbacks):
    """The disk failed while it was committed. It holds, and the worker brings it into the file once it can be written."""
    with pytest.raises(Unavailable) as raised, django_capture_on_commit_callbacks(execute=True):
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
        journal_path().unlink()
        journal_path().mkdir()

    assert raised.value.code == "journal_not_written"
    assert status(chika) == "withdrawn"
    with pytest.raises(OSError):
        JournalCopier().run()
    journal_path().rmdir()
    JournalCopier().run()
    assert {line.id for line in read(journal_path())} == set(JournalEntry.objects.values_list("id", flat=True))


def test_act_that_no_one_waits_for_holds_without_its_line(chika, django_capture_on_commit_callbacks):
    """A consent that runs out, or a refusal that reaches another profile: the worker adds the line later."""
    journal_path().unlink()
    journal_path().mkdir()

    with unattended(), django_capture_on_commit_callbacks(execute=True):
        decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))

    assert status(chika) == "withdrawn"
    journal_path().rmdir()
    JournalCopier().run()
    assert {line.id for line in read(journal_path())} == set(JournalEntry.objects.values_list("id", flat=True))


def test_file_that_was_taken_away_is_written_anew(chika):
    copier = JournalCopier()
    copier.run()
    before = {line.id for line in read(journal_path())}
    journal_path().unlink()

    copier.run()

    assert {line.id for line in read(journal_path())} == before


def test_erased_customers_lines_leave_the_file(chika):
    dov = customer("dov")
    decide(dov, A_YES)
    copier = JournalCopier()
    copier.run()
    of_chika = {line.id for line in read(journal_path()) if journals.fingerprint(chika.user_id) in line.who}
    assert of_chika

    erase_customer(chika)
    copier.run()

    left = list(read(journal_path()))
    assert not of_chika & {line.id for line in left}
    assert {body_of(line)["action"] for line in left if line.kind == "decision"} == {"given"}
    again = customer()
    decide(again, A_YES)
    copier.run()
    assert journals.fingerprint(chika.user_id) in {name for line in read(journal_path()) for name in line.who}


def test_retention_ends_entries_in_table_and_file_and_moves_the_beginning(chika):
    copier = JournalCopier()
    copier.run()
    year_ago = clock.now() - dt.timedelta(days=365)
    JournalEntry.objects.filter(kind__in=("decision", "begun")).update(at=year_ago)
    journal_path().unlink()
    copier.run()
    decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
    set_retention("journal", 200)

    assert apply_retention()["journal"] == 1
    copier.run()

    lines = list(read(journal_path()))
    assert {line.id for line in lines} == set(JournalEntry.objects.values_list("id", flat=True))
    begun = min(line.at for line in lines if line.kind == "begun")
    assert year_ago < begun < clock.now() - dt.timedelta(days=199)
    assert sorted({line.kind for line in lines if line.at < begun}) in ([], ["notice"])


def test_clock_that_was_ahead_hides_no_later_entry(chika, monkeypatch):
    copier, real = JournalCopier(), clock.now
    copier.run()
    monkeypatch.setattr(clock, "now", lambda: real() + dt.timedelta(days=3))
    decide(chika, Decision("personalise", Action.WITHDRAWN, "profile"))
    copier.run()
    monkeypatch.undo()
    decide(chika, Decision("measure", Action.OBJECTED, "profile"))

    copier.run()

    assert {line.id for line in read(journal_path())} == set(JournalEntry.objects.values_list("id", flat=True))


def test_correction_keeps_the_purpose_that_it_was_collected_for(chika):
    """Without one, it would be a fact of any legitimate interest."""
    Attribute.objects.filter(key="city").update(purposes=["serve", "measure", "count"])
    Purpose.objects.create(key="count", label="Count", text="We count.", basis="legitimate_interest", kind="measure")
    with changes(chika, "test") as c:
        c.learn([NewFact("city", "Porto", "declared", "app:shop", basis="legitimate_interest", purpose="measure")])
    with after_the_backup() as since:
        correct(chika, "city", "Braga")

    since.restore()

    assert view(chika, "measure")["city"].value == "Braga"
    assert "city" not in view(chika, "count")


def test_consent_that_ended_because_of_age_stays_ended(chika):
    with after_the_backup() as since, changes(chika, "test") as c:
        c.learn([NewFact("birthdate", f"{clock.today().year - 9}-01-01", "declared", "app:shop")])

    since.restore()

    assert status(chika) == "expired"
    assert "gender" not in view(Profile.objects.get(pk=chika.pk), "personalise")


def test_no_that_was_said_by_two_who_were_split_since_closes_both(chika):
    visitor, _ = get_or_create_by_identity("google-oauth2", "1001")
    merge(visitor, chika, "customer")
    with changes(chika, "test") as c:
        c.decide(A_YES)
    with after_the_backup() as since:
        with changes(chika, "test") as c:
            c.decide(Decision("personalise", Action.WITHDRAWN, "profile"))
        split(chika.identities.get(provider="google-oauth2"), "customer")
        noted = [body_of(line) for line in lines_of(JournalEntry.objects.filter(kind="decision", profile=visitor))]
    assert [each["action"] for each in noted] == ["withdrawn"]

    since.restore()

    assert status(chika) == "withdrawn"


def test_restriction_since_the_backup_holds_with_who_asked_and_why(chika):
    with after_the_backup() as since:
        before = restrict(chika, "staff", "ana", "they dispute the address")

    assert since.restore() == Repetition(repeated=1)

    found = open_restriction(chika)
    said = ("since", "method", "actor", "reason")
    assert [getattr(found, each) for each in said] == [getattr(before, each) for each in said]
    assert not ConsentStatus.of([Profile.objects.get(pk=chika.pk)], clock.now())[chika.pk].allows(
        Purpose.objects.get(key="personalise")
    )


def test_lifting_since_the_backup_is_left_out_and_the_customer_lifts_it_again(chika):
    restrict(chika, "profile")
    with after_the_backup() as since:
        lift(chika)
        restrict(chika, "profile")
        lift(chika)

    since.restore()

    assert open_restriction(chika) is not None
    lift(chika)
    JournalEntry.objects.all().delete()
    since.restore()  # the table no longer knows that this was repeated
    assert Profile.objects.get(pk=chika.pk).restricted_at is None


def test_lifting_that_was_called_off_since_the_backup_does_not_happen(chika):
    restrict(chika, "profile")
    announce_lifting(chika, "ana", "settled", "by letter", has_address=False)
    with after_the_backup() as since:
        restrict(chika, "profile")

    since.restore()

    assert open_restriction(chika).lifts_at is None


@pytest.mark.parametrize("is_split", [False, True])
def test_restriction_of_one_of_two_who_were_merged_since_holds_for_both(chika, is_split):
    visitor, _ = get_or_create_by_identity("google-oauth2", "1001")
    with after_the_backup() as since:
        merge(visitor, chika, "customer")
        restrict(chika, "profile")
        if is_split:
            split(chika.identities.get(provider="google-oauth2"), "customer")
            assert open_restriction(Profile.objects.get(pk=visitor.pk)) is not None

    since.restore()

    for each in (chika, visitor):
        assert Profile.objects.get(pk=each.pk).restricted_at is not None


def test_app_that_lost_its_access_since_the_backup_has_none(chika):
    client = Client.objects.create(client_id="partner", name="Partner", first_party=False)
    kept = AppGrant.objects.create(profile=chika, client=client, audience="https://other.example", scopes=["read"])
    AppGrant.objects.create(profile=chika, client=client, audience="https://api.example", scopes=["read"])
    grant = Grant("partner", chika.user_id, ["read"], audience="https://api.example").to_json()
    family = RefreshFamily.objects.create(
        client=client, profile=chika, grant=grant, sid="s", expires_at=clock.now() + dt.timedelta(days=9)
    )
    with after_the_backup() as since:
        withdraw_consents(AppGrant.objects.filter(audience="https://api.example"))
    assert AppGrant.objects.count() == 2

    since.restore()

    assert list(AppGrant.objects.all()) == [kept]
    family.refresh_from_db()
    assert family.revoked_at is not None


def test_access_that_was_given_again_after_the_restore_stays(chika):
    client = Client.objects.create(client_id="partner", name="Partner", first_party=False)
    AppGrant.objects.create(profile=chika, client=client, scopes=["read"])
    with after_the_backup() as since:
        withdraw_consents(AppGrant.objects.all())
    since.restore()
    AppGrant.objects.create(profile=chika, client=client, scopes=["read"])

    JournalEntry.objects.all().delete()
    since.restore()

    assert AppGrant.objects.count() == 1


def test_status_after_a_restore_is_that_of_the_ledger(chika):
    """Two decisions at one instant: the no wins, whichever the backup has."""
    now = clock.now()
    with after_the_backup() as since, changes(chika, "test") as c:
        c.decide_all(
            [(chika, [Decision("personalise", each, "profile", at=now) for each in (Action.WITHDRAWN, Action.GIVEN)])]
        )

    since.restore()

    assert status(chika) == "withdrawn"
    found = ConsentStatus.of([chika], clock.now())[chika.pk]
    assert not found.allows(Purpose.objects.get(key="personalise"))
    assert Fact.objects.filter(profile=chika).exists()


def test_contact_that_was_suppressed_since_the_backup_is_closed_for_later_lists(chika):
    with after_the_backup() as since:
        suppress({"dov@example.com"}, ["message"], advertising=False)
    since.restore()

    dov = customer("dov")
    with changes(dov, "test") as c:
        c.learn([NewFact("email", "dov@example.com", "imported", "app:shop")])
        c.decide(Decision("message", Action.IMPORTED, "import"))

    purpose = Purpose.objects.get(key="message")
    assert not ConsentStatus.of([dov], clock.now())[dov.pk].allows(purpose)
