from __future__ import annotations

from regulars.questions.models import Impression
from regulars.questions.next_question import next_question
from regulars.questions.preview import decisions_of, why_shown
from regulars.usecases.answer_question import pass_over


def test_every_login_has_a_sentence_that_explains_its_decision(chika, looking_for, postal_code, days_later):
    pass_over(next_question(chika, client_id="shop"))
    next_question(chika)
    days_later(1)
    next_question(chika)

    third, second, first = decisions_of(chika)

    assert (first.question, first.client_id) == ("looking_for", "shop")
    assert first.sentence == "No question open to the customer had a higher value; no segment needs the answer yet."
    assert (second.question, second.sentence) == ("", "The customer was asked a short while ago.")
    assert third.rejected == (("looking_for", "resting", "The customer passed; it rests."),)


def test_impression_names_its_segments_or_that_it_was_random():
    served_user = Impression(explanation={"value": 0.4321, "segments": ["vip", "jackets"]})
    drawn = Impression(explanation={"value": 0.1, "segments": ["vip"], "explored": True})

    assert why_shown(served_user) == "The answer was expected to settle 0.43 bits, most of it about: vip, jackets."
    assert "at random" in why_shown(drawn)
