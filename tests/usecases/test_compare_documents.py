"""The nightly comparison finds documents and views that differ from the facts, mends them, and says so."""

from __future__ import annotations

import logging

import pytest

from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.schedule import SCHEDULE
from regulars.consent.models import DocumentComparison, PermittedView
from regulars.consent.record import Decision
from regulars.operations.check_result import State
from regulars.operations.doctor import CHECKS
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases import compare_documents
from regulars.usecases.compare_documents import JOB, begin_comparison
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.django_db(transaction=True)


def customer(name: str) -> Profile:
    profile, _ = get_or_create_by_identity("auth0", name, connection="Username-Password-Authentication")
    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "given", "login"))
        c.learn(
            [
                NewFact("email", f"{name}@example.com", "declared", "app:signin"),
                NewFact("given_name", name.title(), "declared", "app:signin"),
                NewFact("birthdate", "1990-05-17", "declared", "app:signin"),
            ]
        )
    profile.refresh_from_db()
    return profile


@pytest.fixture
def three(standard_setup) -> list[Profile]:
    return [customer(name) for name in ("chika", "dov", "eva")]


def compare() -> DocumentComparison:
    begin_comparison()
    while run_due():
        pass
    return DocumentComparison.objects.latest("pk")


def test_customers_as_they_are_stored_do_not_differ_and_the_next_night_begins_anew(three, caplog):
    nights = [compare(), compare()]

    assert [(each.compared, each.mended, each.at_end) for each in nights] == [(3, 0, True), (3, 0, True)]
    assert "differed" not in caplog.text
    assert CHECKS["documents"]() is None
    assert JOB in SCHEDULE


def test_damaged_document_and_views_are_mended_and_named_without_values(three, caplog):
    chika, dov, eva = three
    before = {each.pk: (each.document, views_of(each)) for each in three}
    Profile.objects.filter(pk=chika.pk).update(document=chika.document | {"given_name": "Mallory"})
    damaged = PermittedView.objects.get(profile=dov, purpose="serve")
    PermittedView.objects.filter(pk=damaged.pk).update(traits={}, terms={"consent": ["message"]})
    PermittedView.objects.filter(profile=eva, purpose="serve").delete()
    with caplog.at_level(logging.ERROR, "regulars.worker"):
        found = compare()

    assert (found.compared, found.mended) == (3, 3)
    assert {"document.given_name", "serve.traits.email", "serve.terms.consent", "serve.missing"} <= set(found.fields)
    assert {each.pk: (each.document, views_of(each)) for each in Profile.objects.all()} == before
    assert "document.given_name" in caplog.text
    assert not {"Mallory", "chika@example.com", "Chika"} & set(caplog.text.replace(",", " ").split())
    warning = CHECKS["documents"]()
    assert (warning.code, warning.state) == ("documents_differed", State.WARN)
    assert "3 of 3" in warning.message
    assert compare().mended == 0


def views_of(profile: Profile) -> dict[str, tuple[object, ...]]:
    rows = PermittedView.objects.filter(profile=profile)
    return {row.purpose_id: (row.traits, row.by_place, row.terms, row.shown_terms) for row in rows}


def test_customer_who_changes_while_they_are_compared_is_no_difference(three, caplog, monkeypatch):
    chika, real, suspected = three[0], compare_documents.differences, []

    def changed_meanwhile(profiles):
        if len(profiles) > 1:  # read, and not compared yet
            with changes(chika, "test") as c:
                c.learn([NewFact("given_name", "Chichi", "declared", "app:signin")])
        found = real(profiles)
        suspected.append(sorted(found))
        return found

    monkeypatch.setattr(compare_documents, "differences", changed_meanwhile)
    found = compare()

    assert suspected == [[chika.pk], []]
    assert (found.compared, found.mended) == (3, 0)
    assert "differed" not in caplog.text


def test_customer_who_is_due_by_time_is_left_to_the_worker(three):
    Profile.objects.filter(pk=three[0].pk).update(changes_at=clock.now(), document={})

    assert compare().mended == 0


def test_customer_who_cannot_be_computed_stops_no_others(three, monkeypatch):
    chika, dov, _ = three
    Profile.objects.filter(pk__in=[chika.pk, dov.pk]).update(document={})
    real = compare_documents.differences

    def fails(profiles):
        if any(each.pk == chika.pk for each in profiles):
            raise ValueError("stored by a fault")
        return real(profiles)

    monkeypatch.setattr(compare_documents, "differences", fails)
    found = compare()

    assert (found.compared, found.mended) == (3, 2)
    assert found.fields["not_computable"] == 1
    assert Profile.objects.get(pk=dov.pk).document == dov.document


def test_a_night_has_its_share_and_the_next_goes_on_after_it(three, monkeypatch):
    monkeypatch.setattr(compare_documents, "LEAST", 2)
    monkeypatch.setattr(compare_documents, "PORTION", 1)
    nights = [compare() for _ in range(3)]

    assert [each.compared for each in nights] == [2, 1, 2]
    assert [each.at_end for each in nights] == [False, True, False]
