"""A sentence and its condition say the same, both ways."""

from __future__ import annotations

import pytest

from regulars.base.conditions import parse, to_text
from regulars.segments.sentence import (
    DidEvent,
    HasValue,
    InOtherSegment,
    InRange,
    IsKnown,
    RowGroup,
    Sentence,
    to_condition,
    to_sentence,
)

WOMEN = Sentence(
    (
        RowGroup(
            (HasValue("gender", ("female",)), HasValue("age_band", ("25-34",)), HasValue("continent", ("Europe",)))
        ),
        RowGroup(
            (DidEvent("Product Viewed", 1, 90, "category", "jacket"), HasValue("looking_for", ("jackets", "coats"))),
            "any",
        ),
        RowGroup((InOtherSegment("staff"), IsKnown("employer")), "none"),
    )
)


def test_the_marketers_example_reads_as_expected():
    assert to_text(to_condition(WOMEN)) == (
        "gender:female AND age_band:25-34 AND continent:Europe"
        ' AND (did("Product Viewed" where category:jacket in 90d) OR (looking_for:jackets OR looking_for:coats))'
        ' AND NOT (segment:"staff" OR _exists_:employer)'
    )


@pytest.mark.parametrize(
    "sentence",
    [
        Sentence((RowGroup((HasValue("city", ("Porto", "Braga")), InRange("birthdate", "1990", ""))),)),
        Sentence((RowGroup((DidEvent("Order Completed", 2), IsKnown("email"))),)),
        Sentence((RowGroup((HasValue("gender", ("female",)),), "none"),)),
        Sentence(
            (RowGroup((HasValue("gender", ("female",)),)), RowGroup((InOtherSegment("vip"), IsKnown("city")), "any"))
        ),
        Sentence(()),
    ],
)
def test_a_sentence_comes_back_from_its_condition(sentence):
    assert to_sentence(to_condition(sentence)) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "name:jo*",
        "gender:female OR (city:Porto AND vip:true)",
        'did(sum revenue of "Order Completed"):>100',
        "born:{1990 TO *]",
    ],
)
def test_a_condition_that_no_sentence_can_express_is_none(text):
    assert to_sentence(parse(text)) is None
