"""Staff correct a value and give a reason, which the customer can read."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from regulars.accounts.models import Account
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.customer_data import facts_of

WHY = "Corrected on the phone."


def address(profile, attribute="city"):
    return f"/console/customers/{quote(profile.user_id)}/correct?attribute={attribute}"


@pytest.fixture
def in_lagos(chika):
    learn(chika, [NewFact("city", "Lagos", "social", "facebook")])
    return chika


def value_of(profile, attribute="city"):
    return next(each for each in facts_of(profile) if each.attribute == attribute)


def test_a_correction_shows_the_kept_value_and_overrides_every_source(console, in_lagos):
    page = console.get(address(in_lagos)).content.decode()
    answer = console.post(address(in_lagos), {"value": "Lisboa", "reason": WHY}, follow=True)
    fact = value_of(in_lagos)

    assert 'value="Lagos"' in page
    assert "City is corrected. The customer reads the reason on their own page." in answer.content.decode()
    assert (fact.value, fact.source_kind, fact.reason) == ("Lisboa", "corrected", WHY)
    assert fact.source == f"staff:{Account.objects.get(is_staff=True).key}"


def test_no_option_is_preselected_without_a_value(console, chika):
    page = console.get(address(chika, "gender")).content.decode()
    answer = console.post(address(chika, "gender"), {"value": "", "reason": WHY})

    assert re.search(r'<option value="" selected>Choose</option>', page)
    assert answer.status_code == 400


def test_the_audit_record_has_no_personal_data(console, in_lagos):
    console.post(address(in_lagos), {"value": "Lisboa", "reason": WHY})
    entry = AuditEntry.objects.get()

    assert (entry.what, entry.details) == ("customer.corrected", {"attribute": "city"})


@pytest.mark.parametrize(
    ("attribute", "sent", "about", "sentence"),
    [
        ("city", {"value": "Lisboa", "reason": " "}, "reason", "Give a reason for the change"),
        ("city", {"value": "", "reason": WHY}, "value", "Write between 1 and 500 characters."),
        ("city", {"value": "Lisboa", "reason": "x" * 201}, "reason", "at most 200 characters"),
        ("birthdate", {"value": "tomorrow", "reason": WHY}, "value", "Write a date"),
        ("gender", {"value": "purple", "reason": WHY}, "value", "Choose one of those offered."),
    ],
)
def test_an_error_is_shown_beside_its_field_and_nothing_is_saved(console, in_lagos, attribute, sent, about, sentence):
    answer = console.post(address(in_lagos, attribute), sent)

    assert answer.status_code == 400
    assert sentence in re.search(rf'id="in-{about}-problem">([^<]+)<', answer.content.decode())[1]
    assert not in_lagos.facts.filter(source_kind="corrected").exists()


@pytest.mark.parametrize("attribute", ["email", "continent", "nothing", ""])
def test_what_is_proved_follows_or_is_not_declared_is_not_written_by_hand(console, in_lagos, attribute):
    assert console.get(address(in_lagos, attribute)).status_code == 404
    assert console.post(address(in_lagos, attribute), {"value": "x", "reason": WHY}).status_code == 404


def test_a_special_category_cannot_be_corrected_by_staff(console, chika):
    Attribute.objects.create(key="diet", label="Diet", sensitivity="special", purposes=["personalise"])
    page = console.get(f"/console/customers/{quote(chika.user_id)}").content.decode()

    assert console.post(address(chika, "diet"), {"value": "halal", "reason": WHY}).status_code == 404
    assert 'value="diet"' not in page
    assert 'value="city"' in page


def test_a_value_the_customer_deleted_stays_deleted_until_they_restore_it(console, in_lagos):
    remove(in_lagos, "city")
    answer = console.post(address(in_lagos), {"value": "Lisboa", "reason": WHY})

    assert answer.status_code == 400
    assert "The customer deleted this." in answer.content.decode()
    correct(in_lagos, "city", "Porto")
    assert console.post(address(in_lagos), {"value": "Lisboa", "reason": WHY}).status_code == 302


def test_a_viewer_may_not_and_is_shown_no_form(console, in_lagos):
    Account.objects.filter(is_staff=True).update(role="viewer")
    page = console.get(f"/console/customers/{quote(in_lagos.user_id)}").content.decode()

    assert "/correct" not in page
    assert console.get(address(in_lagos)).status_code == 403
    assert console.post(address(in_lagos), {"value": "Lisboa", "reason": WHY}).status_code == 403


def test_an_unknown_customer_is_not_found(console, standard_setup):
    assert console.get("/console/customers/auth0%7Cnobody/correct?attribute=city").status_code == 404
