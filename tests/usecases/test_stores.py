"""Every table and every entry of the home folder has a period: by a kind, a task, its customer, staff, or none with its reason."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from django.apps import apps
from tests.usecases.test_marked_person import HOME as WRITTEN
from tests.usecases.test_retention import later

from regulars.accounts.models import PendingSignup
from regulars.accounts.proofs.models import EmailCode
from regulars.base import clock
from regulars.base.jobs.schedule import SCHEDULE
from regulars.destinations.models import Destination, DestinationVersion, Disclosure
from regulars.enrichment.models import SourceDay
from regulars.interfaces.worker import work  # noqa: F401 - registers its periodic tasks
from regulars.profiles.models import RefusedGuess
from regulars.questions.models import Impression, Question
from regulars.usecases.personal_data import rows_of
from regulars.usecases.retention import KINDS, apply_retention, set_retention
from regulars.usecases.stores import HOME, TABLES, Ends, rows_for_page

__all__ = ["later"]  # a fixture

PAGE = Path(__file__).parents[2] / "docs/operator/purposes-and-consents.md"


def test_every_table_and_every_entry_of_the_home_folder_has_a_period():
    """A new one fails here until it is on the list."""
    models = {model._meta.label for model in apps.get_models() if not model._meta.proxy}

    assert set(TABLES) == models
    assert set(HOME) == set(WRITTEN)


@pytest.mark.parametrize("name", sorted({**TABLES, **HOME}))
def test_a_period_names_what_ends_it(name):
    found = {**TABLES, **HOME}[name]
    known = {Ends.RETENTION: set(KINDS), Ends.TASK: set(SCHEDULE), Ends.CUSTOMER: set(KINDS)}.get(found.ends)

    assert (not found.by) if known is None else (found.by and set(found.by) <= known)
    assert found.why or found.ends in (Ends.RETENTION, Ends.TASK)
    if found.ends is Ends.CUSTOMER:
        assert name in {*rows_of([]), "consent.PermittedView"}


def test_every_kind_of_the_retention_is_of_a_store():
    of_stores = {key for each in (*TABLES.values(), *HOME.values()) for key in each.by}

    assert set(KINDS) - of_stores == set()


def test_the_documented_periods_are_those_of_the_code():
    page = PAGE.read_text()

    assert rows_for_page(TABLES) in page
    assert rows_for_page(HOME) in page


@pytest.mark.django_db
def test_counts_proofs_and_questions_without_an_answer_end_and_what_says_no_stays(chika, later, settings, tmp_path):
    settings.EMAIL_FILE_PATH = str(tmp_path)
    now, month_ago = clock.now(), (dt.datetime.now() - dt.timedelta(days=31)).timestamp()
    for name, at in (("old.log", month_ago), ("new.log", None)):
        (tmp_path / name).write_text("Subject: Hello")
        os.utime(tmp_path / name, at and (at, at))
    SourceDay.objects.create(source_key="http", day=now.date())
    RefusedGuess.objects.create(attribute="religion", source="http", day=now.date())
    destination = Destination.objects.create(slug="d", name="D", kind="webhook", purpose_id="message")
    version = DestinationVersion.objects.create(destination=destination, settings={}, purpose_id="message")
    for state in ("removed", "failed"):
        Disclosure.objects.create(destination=destination, version=version, state=state, confirmed_at=now)
    question = Question.objects.create(key="taste", text="?", purpose_id="personalise")
    for day, outcome in enumerate(("shown", "answered", "never")):
        Impression.objects.create(
            question=question, version=1, profile=chika, day=now.date() + dt.timedelta(days=day), outcome=outcome
        )
    assert not {"day_counts", "removed_disclosures", "questions_shown"} & {k for k, n in apply_retention().items() if n}
    assert [path.name for path in tmp_path.iterdir()] == ["new.log"]
    set_retention("customers", None)
    later(days=1096)
    gone = apply_retention()

    assert (gone["day_counts"], gone["removed_disclosures"], gone["questions_shown"]) == (2, 1, 1)
    assert sorted(Impression.objects.values_list("outcome", flat=True)) == ["answered", "never"]
    assert Disclosure.objects.get().state == "failed"


@pytest.mark.django_db
def test_mailed_codes_and_sign_ups_end_though_no_other_is_made(standard_setup):
    over = clock.now() - dt.timedelta(minutes=1)
    PendingSignup.objects.create(email="dov@example.com", password="!", expires_at=over)
    EmailCode.objects.create(email="dov@example.com", expires_at=over)
    kept = PendingSignup.objects.create(email="eva@example.com", password="!", expires_at=clock.now() + dt.timedelta(1))
    SCHEDULE["accounts.delete_expired"][1]()

    assert not EmailCode.objects.exists()
    assert PendingSignup.objects.get() == kept
