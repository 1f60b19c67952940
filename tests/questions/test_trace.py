from __future__ import annotations

from regulars.questions.answer import pass_over
from regulars.questions.ask import next_question
from regulars.questions.models import Impression
from regulars.questions.trace import decisions_of, why_asked


def test_every_login_tells_in_sentences_why_she_was_asked_or_not(chika, looking_for, postal_code, days_later):
    pass_over(next_question(chika, client_id="shop"))
    next_question(chika)
    days_later(1)
    next_question(chika)

    third, second, first = decisions_of(chika)

    assert (first.question, first.client_id) == ("looking_for", "shop")
    assert first.sentence == "Nothing open to her was worth more; no segment waits for the answer yet."
    assert (second.question, second.sentence) == ("", "She was asked a short while ago.")
    assert third.refused == (("looking_for", "resting", "She passed; it rests."),)


def test_an_ask_names_the_segments_it_serves_or_says_that_it_was_drawn():
    served = Impression(explanation={"value": 0.4321, "segments": ["vip", "jackets"]})
    drawn = Impression(explanation={"value": 0.1, "segments": ["vip"], "explored": True})

    assert why_asked(served) == "Her answer was expected to settle 0.43 bits, most of it about: vip, jackets."
    assert "drawn by lot" in why_asked(drawn)
