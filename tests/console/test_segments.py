"""Segments in the console: the list, one segment, saving, deleting."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from regulars.base.jobs.run_jobs import run_due
from regulars.consent.models import Purpose
from regulars.destinations.models import Destination
from regulars.interfaces.console.models import AuditEntry
from regulars.segments.models import Membership, Segment
from regulars.segments.save import save_segment
from regulars.usecases.save_segment import evaluate_saved

NASTY = "<script>alert(1)</script>"
LOOKED = ("Product Viewed", {"category": "jackets"})
FITS = {"gender": "female", "birthdate": "1997-05-05", "country": "PT"}
SAVE = "/console/segments/new/save?for=personalise&g0=all&g0.0=is&g0.0.what=gender&g0.0.value=female"


def _save(name="Women", text="gender:female", purpose="personalise", slug=""):
    segment = save_segment(name, text, purpose, slug=slug)
    evaluate_saved(segment)
    return segment


def test_the_list_shows_condition_counts_and_uses(console, make_customer):
    make_customer(gender="female")
    make_customer(gender="male")
    make_customer(city="Porto")
    _save()
    Destination.objects.create(
        name="Letters", slug="letters", kind="csv", purpose=Purpose.objects.get(key="message"), segment_slugs=["women"]
    )

    response = console.get("/console/segments")
    [row] = response.context["rows"]

    assert (row["inside"], row["unknown"], row["outside"]) == (1, 1, 1)
    assert row["sentence"] == "Gender is Woman"
    assert row["destinations"] == [("letters", "Letters")]
    assert 'href="/console/segments/new"' in response.content.decode()


def test_the_list_costs_the_same_for_one_segment_as_for_many(console, make_customer, django_assert_max_num_queries):
    for number in range(15):
        save_segment(f"Segment {number}", f"city:Town{number}", "personalise")

    with django_assert_max_num_queries(9):
        console.get("/console/segments")


def test_saving_writes_the_segment_its_members_and_who_did_it(console, make_customer, ana):
    chika = make_customer(gender="female")

    response = console.post(SAVE, {"name": "Our women", "description": "For Bruno"})

    assert response["Location"] == "/console/segments/our-women"
    segment = Segment.objects.get()
    assert (segment.text, segment.purpose_id, segment.description) == ("gender:female", "personalise", "For Bruno")
    assert segment.saved_by == ana
    assert [row.profile for row in segment.memberships.all()] == [chika]
    assert AuditEntry.objects.get().what == "segment.saved"


def test_a_name_is_suggested_from_the_sentence(console):
    assert console.get(SAVE).context["name"] == "Woman"


def test_a_second_segment_of_a_name_does_not_take_the_place_of_the_first(console):
    _save("Women", "gender:female")

    refused = console.post(SAVE, {"name": "women"})
    for name in ("Women!", "New"):
        console.post(SAVE, {"name": name})

    assert refused.status_code == 409
    assert sorted(Segment.objects.values_list("slug", flat=True)) == ["new-2", "women", "women-2"]


def test_a_segment_without_a_name_is_refused_in_words(console):
    response = console.post(SAVE, {"name": "  "})

    assert response.status_code == 400
    assert b"Give the segment a name." in response.content
    assert not Segment.objects.exists()


def test_editing_changes_the_segment_and_moves_people(console, make_customer):
    make_customer(gender="female")
    _save()

    console.post(
        "/console/segments/women/edit/save?for=personalise&g0.0=is&g0.0.what=gender&g0.0.value=male", {"name": "Men"}
    )

    segment = Segment.objects.get()
    assert (segment.slug, segment.name, segment.text) == ("women", "Men", "gender:male")
    assert [row.state for row in segment.memberships.all()] == ["out"]


def test_segments_that_stand_on_an_edited_one_follow(console, make_customer):
    make_customer(gender="female")
    for name, text in (("Women", "gender:female"), ("More", 'segment:"women"'), ("Most", 'segment:"more"')):
        _save(name, text)

    console.post(
        "/console/segments/women/edit/save?for=personalise&g0.0=is&g0.0.what=gender&g0.0.value=male", {"name": "Men"}
    )
    run_due()

    assert [row.state for row in Membership.objects.order_by("segment__slug")] == ["out", "out", "out"]


def test_a_segment_that_would_contain_itself_is_refused_in_words(console):
    _save()
    _save("More women", 'segment:"women"')

    response = console.post(
        "/console/segments/women/edit/save?for=personalise&g0.0=in&g0.0.what=more-women", {"name": "Women"}
    )

    assert response.status_code == 400
    assert "contains itself" in response.content.decode()
    assert Segment.objects.get(slug="women").text == "gender:female"


def test_the_page_of_a_segment_shows_members_and_unknown_apart(console, make_customer):
    chika = make_customer(gender="female")
    unknown_customer = make_customer(city="Porto")
    _save()

    inside = console.get("/console/segments/women")
    unknown = console.get("/console/segments/women", {"state": "unknown"})

    assert [each.profile for each in inside.context["members"]] == [chika]
    assert [each.profile for each in unknown.context["members"]] == [unknown_customer]
    assert "Fewer than 10 are in" in inside.content.decode()


def test_members_come_page_by_page_without_a_query_each(console, make_customer, django_assert_max_num_queries):
    for _ in range(60):
        make_customer(gender="female")
    _save()

    with django_assert_max_num_queries(16):
        first = console.get("/console/segments/women").context
    second = console.get("/console/segments/women", {"after": first["next"]}).context

    assert (len(first["members"]), len(second["members"]), second["next"]) == (50, 10, 0)


def test_the_chart_shows_members_by_the_chosen_attribute_in_words(console, make_customer, fill_lake):
    for _ in range(12):
        make_customer(gender="female", country="PT")
    fill_lake()
    _save()

    by_country = console.get("/console/segments/women", {"attribute": "country"}).context["chart"]
    by_name = console.get("/console/segments/women", {"attribute": "email"}).context

    assert by_country.rows == [("Portugal", 12)]
    assert by_name["attribute"] != "email"


def test_nothing_a_customer_or_a_colleague_wrote_becomes_markup(console, make_customer):
    make_customer(gender="female", name=NASTY)
    segment = _save(NASTY, f'city:"{NASTY}" OR gender:female', slug="nasty")
    segment.description = NASTY
    segment.save()

    for address in ("/console/segments", "/console/segments/nasty", "/console/segments/nasty/edit"):
        page = console.get(address, follow=True).content.decode()
        assert NASTY not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize("address", ["", "/edit", "/edit/save", "/export", "/export.csv"])
def test_an_unknown_segment_is_not_found(console, address):
    response = console.get(f"/console/segments/missing{address}")

    assert response.status_code == 404
    assert b"There is no such segment" in response.content


def test_a_used_segment_cannot_be_deleted_and_its_users_are_named(console):
    segment = _save()
    _save("More women", 'segment:"women"')

    response = console.post("/console/segments/women/delete")

    assert response.status_code == 400
    assert "“More women”" in response.content.decode()
    assert Segment.objects.filter(pk=segment.pk).exists()


def test_a_destination_keeps_its_segment_from_being_deleted(console):
    _save()
    Destination.objects.create(
        name="Letters", slug="letters", kind="csv", purpose=Purpose.objects.get(key="message"), segment_slugs=["women"]
    )

    response = console.post("/console/segments/women/delete")

    assert response.status_code == 400
    assert "“Letters”" in response.content.decode()


def test_ana_deletes_a_segment_and_it_is_written_down(console):
    _save()

    response = console.post("/console/segments/women/delete", follow=True)

    assert not Segment.objects.exists()
    assert "is deleted" in response.content.decode()
    assert AuditEntry.objects.get().what == "segment.deleted"


def test_a_viewer_counts_but_sees_no_members_and_changes_nothing(bruno_console, make_customer, fill_lake):
    make_customer(gender="female", name="Chika Abe")
    fill_lake()
    _save()

    page = bruno_console.get("/console/segments/women").content.decode()
    builder = bruno_console.get("/console/segments/new?for=personalise&g0.0=is&g0.0.what=gender&g0.0.value=female")

    assert "Chika Abe" not in page + builder.content.decode()
    assert "fewer than 10" in page
    assert "fewer than 10" in builder.content.decode()
    assert bruno_console.get(SAVE).status_code == 403
    assert bruno_console.post(SAVE, {"name": "Mine"}).status_code == 403
    assert bruno_console.post("/console/segments/women/delete").status_code == 403
    assert bruno_console.get("/console/segments/women/export.csv").status_code == 403
    assert Segment.objects.count() == 1


def test_a_marketer_saves_and_does_not_delete(mia_console):
    mia_console.post(SAVE, {"name": "Women"})

    assert mia_console.post("/console/segments/women/delete").status_code == 403
    assert Segment.objects.get().slug == "women"


def test_deleting_asks_for_a_post(console):
    _save()

    assert console.get("/console/segments/women/delete").status_code == 405
    assert Segment.objects.exists()


def test_login_returns_to_the_same_sentence(client, standard_setup):
    response = client.get(SAVE)

    [back] = parse_qs(urlsplit(response["Location"]).query)["next"]
    assert back == SAVE


@pytest.mark.parametrize(("purpose", "is_stopped"), [("serve", True), ("measure", False)])
def test_segment_that_names_no_one_says_so_and_is_not_exported(console, standard_setup, purpose, is_stopped):
    save_segment("Everyone", "*", "message")
    Segment.objects.update(purpose=purpose)  # as an earlier version saved it

    assert ("The segment has no members" in console.get("/console/segments/everyone").content.decode()) is is_stopped
    assert "It cannot be exported" in console.get("/console/segments/everyone/export").content.decode()
    assert console.get("/console/segments/everyone/export.csv").status_code == 400
    assert '<option value="serve"' not in console.get("/console/segments/new").content.decode()
