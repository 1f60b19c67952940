"""The sentence builder: the address holds the sentence, the count matches, and no script is needed."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.base.conditions import parse, to_text
from regulars.events.record import record
from regulars.profiles.models import Attribute
from regulars.segments.save import save_segment
from regulars.segments.sentence import (
    DidEvent,
    HasValue,
    InOtherSegment,
    InRange,
    IsKnown,
    RowGroup,
    Sentence,
    complete,
    to_condition,
)
from regulars.segments.sentence_query import choice, from_query, to_query

NEW = "/console/segments/new"
LOOKED = ("Product Viewed", {"category": "jackets"})
FITS = {"gender": "female", "birthdate": "1997-05-05", "country": "PT"}
WANTED = 'gender:female AND age_band:25-34 AND continent:Europe AND did("Product Viewed" where category:jackets)'

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
values = st.lists(words.filter(bool), max_size=4).map(tuple)
times = st.integers(0, 999_999)
rows = st.one_of(
    st.builds(HasValue, words, values),
    st.builds(InRange, words, words, words),
    st.builds(IsKnown, words),
    st.builds(InOtherSegment, words),
    st.builds(DidEvent, words, times, times, words, words),
)
groups = st.builds(RowGroup, st.lists(rows, max_size=5).map(tuple), st.sampled_from(["all", "any", "none"]))
sentences = st.builds(Sentence, st.lists(groups, max_size=4).map(tuple))


class Form(HTMLParser):
    """What a browser without scripts would send of the builder's form."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pairs: list[tuple[str, str]] = []
        self.select = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if not (name.startswith(("g", "add")) or name in ("for", "as")):
            name = ""
        if tag == "input" and name and (given.get("type") != "checkbox" or "checked" in given):
            self.pairs.append((name, value))
        if tag == "select":
            self.select = name
        if tag == "option" and self.select and "selected" in given:
            self.pairs.append((self.select, value))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sentences)
def test_a_sentence_comes_back_from_its_address(sentence):
    assert from_query(QueryDict(urlencode(to_query(sentence)))) == sentence


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sentences)
def test_whatever_is_complete_can_be_written_down(sentence):
    assert isinstance(to_text(to_condition(complete(sentence))), str)


def test_the_marketers_example_takes_four_choices_and_no_script(console, make_customer, fill_lake):
    chika = make_customer(*[LOOKED] * 10, **FITS)
    for _ in range(9):
        make_customer(*[("Product Viewed", {"category": "boots"})] * 2, **{**FITS, "country": "US"})
    fill_lake()
    page = console.get(NEW, {"for": "personalise"})

    for chosen in (
        choice("is", "gender", value="female"),
        choice("is", "age_band", value="25-34"),
        choice("is", "continent", value="Europe"),
        choice("did", "Product Viewed", where="category", equals="jackets"),
    ):
        offered = {value for _, options in page.context["choices"] for value, _ in options}
        assert chosen in offered
        sent = [*Form(page.content.decode()).pairs, ("add0", chosen)]
        page = console.get(f"{NEW}?{urlencode(sent)}", follow=True)

    assert page.context["draft"].text == WANTED
    count = page.context["count"]
    assert (count.count.inside, count.count.outside) == (1, 9)
    assert count.sample == [chika]
    assert count.costs[2].sentence == "Continent is Europe"
    assert (count.costs[2].remaining, count.costs[2].gain) == (1, 0)


def test_a_resubmitted_page_keeps_its_sentence(console, make_customer, fill_lake):
    sentence = Sentence(
        (
            RowGroup(
                (
                    HasValue("city", ("Porto", "Bragança")),
                    InRange("birthdate", "1990-01-01", ""),
                    HasValue("email_verified", ("true",)),
                )
            ),
            RowGroup((DidEvent("Order Completed", 2, 90, "category", "jackets"), IsKnown("name")), "any"),
            RowGroup((InOtherSegment("staff"), HasValue("gender", ("other", "unheard of"))), "none"),
        )
    )
    save_segment("Staff", "*", "measure")
    page = console.get(f"{NEW}?for=serve&{urlencode(to_query(sentence))}")

    assert from_query(QueryDict(urlencode(Form(page.content.decode()).pairs))) == sentence


def test_a_condition_that_is_a_segment_is_called_by_its_name(console, make_customer, fill_lake):
    make_customer(gender="female", city="Porto")
    fill_lake()
    save_segment("Women", "gender:female AND _exists_:city", "personalise")

    page = console.get(f"{NEW}?for=personalise&g0.0=in&g0.0.what=women&g0.1=known&g0.1.what=city")

    assert [cost.sentence for cost in page.context["count"].costs] == ["In Women", "City is known"]


def test_a_row_is_taken_away_and_a_group_put_beside(console):
    address = f"{NEW}?for=serve&g0=all&g0.0=known&g0.0.what=email&g0.1=known&g0.1.what=city"

    without = console.get(f"{address}&drop=g0.0", follow=True)
    beside = console.get(f"{address}&group=none")

    assert without.context["draft"].text == "_exists_:city"
    assert beside["Location"].endswith("&g1=none#g1")


def test_what_was_added_is_where_the_browser_goes_on(console):
    response = console.get(f"{NEW}?for=serve&g0=all&add0={choice('is', 'gender').replace('&', '%26')}")

    assert response["Location"].endswith("g0.0=is&g0.0.what=gender#g0.0")


def test_htmx_gets_the_count_and_the_address_to_show(console, make_customer, fill_lake):
    make_customer(gender="female")
    fill_lake()

    response = console.get(
        f"{NEW}?for=personalise&g0=all&g0.0=is&g0.0.what=gender&g0.0.value=female&add0=", HTTP_HX_REQUEST="true"
    )

    assert b"<html" not in response.content
    assert response["HX-Replace-Url"] == f"{NEW}?for=personalise&g0=all&g0.0=is&g0.0.what=gender&g0.0.value=female"
    assert "1 in, 0 unknown, 0 out." in response.content.decode()


def test_an_unfinished_row_is_shown_and_not_counted(console, make_customer, fill_lake):
    make_customer(gender="female")
    fill_lake()

    page = console.get(f"{NEW}?for=personalise&g0=all&g0.0=is&g0.0.what=gender")

    assert page.context["count"].count.inside == 1
    assert "is not counted" in page.content.decode()


def test_the_warning_goes_when_the_last_row_has_its_value(console, make_customer, fill_lake):
    make_customer(gender="female")
    fill_lake()
    start = f"{NEW}?for=personalise&g0=all&g0.0=is&g0.0.what=gender"
    place = '<div id="unfinished" hx-swap-oob="innerHTML">'

    without = console.get(start, HTTP_HX_REQUEST="true").content.decode()
    complete = console.get(f"{start}&g0.0.value=female", HTTP_HX_REQUEST="true").content.decode()

    assert f'{place}<p class="note warning">1 condition without a value is not counted.</p></div>' in without
    assert f"{place}</div>" in complete


def test_a_new_segment_can_be_exported_unless_another_purpose_is_chosen(console, standard_setup):
    only_counted = "they cannot be exported or sent to a destination"
    page = console.get(NEW)

    assert page.context["draft"].purpose.key == "personalise"
    assert only_counted not in page.content.decode()
    assert only_counted in console.get(f"{NEW}?for=measure").content.decode()


def test_an_empty_lake_is_explained(console, chika):
    page = console.get(NEW).content.decode()

    assert "Nothing can be counted yet" in page


def test_a_count_that_is_behind_shows_it(console, make_customer, fill_lake):
    chika = make_customer(gender="female")
    fill_lake()
    record(chika.pk, "Order Completed")

    assert "still on their way" in console.get(NEW).content.decode()


def test_an_unreadable_lake_is_explained(console, settings, tmp_path):
    log = tmp_path / "torn" / "views" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("not a log")
    settings.LAKE_URL = str(tmp_path / "torn")

    page = console.get(NEW)

    assert page.status_code == 200
    assert "The lake is damaged" in page.content.decode()


def test_a_syntax_error_shows_its_position(console, make_customer, fill_lake):
    make_customer(gender="female")
    fill_lake()
    page = console.get(NEW, {"as": "text", "text": "gender:(female", "for": "measure"})
    part = console.get(NEW, {"as": "text", "text": "gender:female AND AND", "for": "measure"}, HTTP_HX_REQUEST="true")

    assert page.status_code == 400
    assert page.context["count"].spot is not None
    assert part.status_code == 200
    assert "<mark>AND</mark>" in part.content.decode()


def test_a_condition_too_free_for_a_sentence_is_edited_as_text(console):
    save_segment("Jo", "name:jo* AND gender:female", "measure")

    page = console.get("/console/segments/jo/edit", follow=True)

    assert page.context["draft"].sentence is None
    assert "name:jo* AND gender:female" in page.content.decode()


def test_a_text_that_is_a_sentence_leads_back_to_one(console):
    page = console.get(NEW, {"as": "text", "text": WANTED, "for": "measure"})

    back = console.get(f"{NEW}?{page.context['as_sentence']}")
    assert parse(back.context["draft"].text) == parse(WANTED)


def test_editing_begins_with_the_saved_sentence(console):
    save_segment("Women", WANTED, "personalise")

    page = console.get("/console/segments/women/edit", follow=True)

    assert page.context["draft"].text == WANTED
    assert page.context["draft"].purpose.key == "personalise"


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ("g0.0=is&g0.0.what=birthdate&g0.0.value=1990", "may not be used for the purpose"),
        ("g0.0=known&g0.0.what=employer_of_the_cat", "No customer has a known value"),
        ("g0.0=did&g0.0.what=Moon+Landed", "Not seen in the last 90 days"),
        ("g0.0=in&g0.0.what=missing", "There is no such segment"),
        (
            "g0.0=within&g0.0.what=city&g0.0.low=9&g0.0.high=10&g0.1=within&g0.1.what=city&g0.1.low=b&g0.1.high=a",
            "after the last",
        ),
    ],
)
def test_a_row_that_can_never_match_has_a_hint(console, make_customer, fill_lake, row, hint):
    make_customer(yes=("message",), city="Porto")
    fill_lake()

    assert hint in console.get(f"{NEW}?for=message&{row}").content.decode()


def test_names_and_addresses_are_never_listed_as_values(console, make_customer, fill_lake):
    for _ in range(12):
        make_customer(name="Chika Abe", city="Porto", job_title="Captain")
    Attribute.objects.filter(key="job_title").update(sensitivity="sensitive")
    fill_lake()

    page = console.get(f"{NEW}?for=personalise&g0.0=is&g0.0.what=name&g0.1=is&g0.1.what=job_title").content.decode()

    assert "Porto (12)" in page
    assert 'value="chika abe"' not in page.lower()
    assert "Captain" not in page


@pytest.mark.parametrize(
    "query",
    [
        "g0.0=is&g0.0.what=a%22b&g0.0.value=x",
        "g0.0=is&g0.0.what=city&g0.0.value=x%00y",
        "g0.0=did&g0.0.what=%27%3B+DROP&g0.0.where=a%22%29&g0.0.equals=b",
        "g0.0=within&g0.0.what=birthdate&g0.0.low=%5D+OR&g0.0.high=",
        "g0=sideways&g0.0=what&g9999.9999=is&drop=g7.7&group=maybe&add0=%26%26kind%3D",
        "as=text&text=%00",
        "as=text&text=",
        "g0.0=in&g0.0.what=missing",
        "g0.0=did&g0.0.what=x&g0.0.times=-4&g0.0.days=99999999999",
    ],
)
def test_whatever_stands_in_the_address_is_a_page(console, make_customer, fill_lake, query):
    make_customer(('Odd "name"', {'a"b': 'x"y', "back\\slash": "z"}), gender="female")
    fill_lake()

    assert console.get(f"{NEW}?for=serve&{query}", follow=True).status_code in (200, 400)


def test_a_sentence_has_an_end(console):
    query = "&".join(f"g0.{number}=known&g0.{number}.what=email" for number in range(61))

    assert "at most 60" in console.get(f"{NEW}?{query}").content.decode()


def test_an_undeclared_purpose_is_refused(console):
    response = console.get(NEW, {"for": "curiosity"})

    assert response.status_code == 400
    assert "no active purpose" in response.content.decode()
