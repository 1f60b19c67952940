"""The CSV export of a segment: members only, permitted columns only, no formulas, and an audit record."""

from __future__ import annotations

import csv
import io

import pytest

from regulars.consent.record import Decision, record
from regulars.interfaces.console.models import AuditEntry
from regulars.segments.save import save_segment
from regulars.usecases.record_disclosures import all_disclosures_of
from regulars.usecases.save_segment import evaluate_saved

PAGE, FILE = "/console/segments/women/export", "/console/segments/women/export.csv"


@pytest.fixture
def women(make_customer):
    """Twelve women who consent, one of them with a formula as name; one man and one unknown customer."""
    people = [make_customer(gender="female", country="PT", name="=HYPERLINK(1)", birthdate="1997-05-05")]
    people += [make_customer(gender="female") for _ in range(11)]
    make_customer(gender="male")
    make_customer(city="Porto")
    evaluate_saved(save_segment("Women", "gender:female", "personalise"))
    return people


def _rows(response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_the_page_states_purpose_columns_and_count_first(console, women):
    page = console.get(PAGE)

    assert page.context["count"] == 12
    assert page.context["columns"][0] == "user_id"
    assert "email" not in page.context["columns"]
    assert "A shop that fits you" in page.content.decode()
    assert FILE in page.content.decode()
    assert not AuditEntry.objects.exists()


def test_the_export_has_members_only_and_permitted_columns_only(console, women):
    response = console.get(FILE)
    rows = _rows(response)

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="women.csv"'
    assert [row["user_id"] for row in rows] == [person.user_id for person in women]
    assert rows[0]["gender"] == "female"
    assert rows[0]["birthdate"] == "1997-05-05"
    assert "email" not in rows[0]


def test_a_name_that_is_a_formula_stays_text(console, women):
    assert _rows(console.get(FILE))[0]["name"] == "'=HYPERLINK(1)"


def test_the_download_is_written_down_with_its_count(console, women):
    console.get(FILE)

    entry = AuditEntry.objects.get()
    assert (entry.what, entry.subject, entry.details["count"]) == ("segment.exported", "women", 12)


@pytest.mark.parametrize("page", ["/console/segments/women/export", "/console/privacy"])
def test_staff_see_who_downloaded_which_fields_of_whom(console, women, ana, page):
    assert "No file was downloaded yet." in console.get(page).content.decode()
    console.get(FILE)

    listed = console.get(page).content.decode().partition('id="downloads"')[2].partition("</section>")[0]
    for shown in ("women", ana.email, "personalise", ">12<", "<code>gender</code>", "<code>birthdate</code>"):
        assert shown in listed


def test_download_is_no_recipient_of_the_customer(console, women, client):
    """Staff act under the authority of the controller: the customer's page names who is outside."""
    console.get(FILE)
    assert all_disclosures_of(women[0]) == []


def test_a_withdrawal_counts_at_once_even_before_the_segment_moves(console, women):
    record(women[0], Decision("personalise", "withdrawn", "profile"))

    assert women[0].user_id not in {row["user_id"] for row in _rows(console.get(FILE))}


def test_fewer_than_ten_are_not_exported_by_anybody(console, make_customer):
    for _ in range(9):
        make_customer(gender="female")
    evaluate_saved(save_segment("Women", "gender:female", "personalise"))

    response = console.get(FILE)

    assert response.status_code == 400
    assert "Fewer than 10" in response.content.decode()
    assert "Fewer than 10" in console.get(PAGE).content.decode()
    assert not AuditEntry.objects.exists()


def test_a_file_of_many_does_not_ask_for_each(console, women, django_assert_max_num_queries):
    with django_assert_max_num_queries(22):
        assert len(_rows(console.get(FILE))) == 12
