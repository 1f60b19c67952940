"""The review list in the console: pairs of customers whom a message called one person."""

from __future__ import annotations

import pytest

from regulars.profiles.models import IdentityConflict
from regulars.usecases import identity_conflicts
from regulars.usecases.complete_social_login import sign_up
from regulars.usecases.identity_conflicts import record_conflict
from regulars.usecases.users import link

pytestmark = pytest.mark.django_db
LIST = "/console/customers/review"


@pytest.fixture
def pair(standard_setup):
    dov, fay = (
        sign_up(f"{name}@example.com", "!", "Username-Password-Authentication").profile for name in ("dov", "fay")
    )
    record_conflict(dov, fay, "alias", "shop")
    return dov, fay, IdentityConflict.objects.get()


def test_staff_see_the_pair_and_join_it(console, pair):
    dov, fay, conflict = pair
    page = console.get(LIST).content.decode()
    assert dov.user_id in page
    assert fay.user_id in page

    console.post(f"{LIST}/{conflict.pk}", {"do": "join", "keep": fay.user_id})
    dov.refresh_from_db()

    assert dov.merged_into == fay
    assert "Nothing to review" in console.get(LIST).content.decode()


def test_two_persons_stay_two_customers(console, pair):
    dov, _, conflict = pair
    console.post(f"{LIST}/{conflict.pk}", {"do": "apart"})
    dov.refresh_from_db()

    assert dov.merged_into is None
    assert "Nothing to review" in console.get(LIST).content.decode()
    assert console.post(f"{LIST}/{conflict.pk}", {"do": "apart"}).status_code == 400


@pytest.mark.parametrize("form", [{}, {"do": "join"}, {"do": "join", "keep": "auth0|someone-else"}, {"do": "delete"}])
def test_a_decision_that_names_neither_is_refused(console, pair, form):
    dov, _, conflict = pair
    refused = console.post(f"{LIST}/{conflict.pk}", form)
    dov.refresh_from_db()

    assert refused.status_code == 400
    assert dov.merged_into is None
    assert IdentityConflict.objects.get().state == "open"


def test_a_pair_that_does_not_exist_is_refused(console):
    assert console.post(f"{LIST}/999", {"do": "apart"}).status_code == 400


def test_pairs_that_were_joined_otherwise_hide_no_older_pair(console, pair, monkeypatch):
    monkeypatch.setattr(identity_conflicts, "MOST", 1)
    gil, hal = (
        sign_up(f"{name}@example.com", "!", "Username-Password-Authentication").profile for name in ("gil", "hal")
    )
    record_conflict(gil, hal, "alias", "shop")
    link(gil, hal, "staff:ana")

    assert pair[0].user_id in console.get(LIST).content.decode()
