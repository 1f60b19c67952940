from __future__ import annotations

from regulars.questions.answer import pass_over
from regulars.questions.ask import ask_next
from regulars.questions.models import Ask
from regulars.questions.trace import decisions_of, why_asked


def test_every_login_tells_in_sentences_why_she_was_asked_or_not(chika, looking_for, postal_code, days_later):
    pass_over(ask_next(chika, client_id="shop"))
    ask_next(chika)
    days_later(1)
    ask_next(chika)

    third, second, first = decisions_of(chika)

    assert (first.question, first.client_id) == ("looking_for", "shop")
    assert first.sentence == "Nothing open to her was worth more; no segment waits for the answer yet."
    assert (second.question, second.sentence) == ("", "She was asked a short while ago.")
    assert third.refused == (("looking_for", "resting", "She passed; it rests."),)


def test_an_ask_names_the_segments_it_serves_or_says_that_it_was_drawn():
    served = Ask(explanation={"value": 0.4321, "segments": ["vip", "jackets"]})
    drawn = Ask(explanation={"value": 0.1, "segments": ["vip"], "explored": True})

    assert why_asked(served) == "Her answer was expected to settle 0.43 bits, most of it about: vip, jackets."
    assert "drawn by lot" in why_asked(drawn)
