"""What a page of ours carries unseen: the hash of the notice that it showed, without which no yes counts."""

from __future__ import annotations

import html
import re
from typing import Any

from django.http import QueryDict

from regulars.connections.provider import PROVIDERS
from regulars.consent.notices import ShownNotice
from regulars.consent.standard import STANDARD
from regulars.questions.models import Impression
from regulars.usecases.answer_question import answer
from regulars.usecases.complete_social_login import ClaimConsent
from regulars.usecases.shown_notices import show_question


def hidden_fields(page: str) -> dict[str, str]:
    """Return the hidden fields of the forms of a page, without the token against forgery."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def send_page(browser: Any, address: str, form: dict[str, Any]) -> Any:
    """Open a page and send its form with what the page carries."""
    return browser.post(address, {**hidden_fields(browser.get(address).content.decode()), **form})


def send_device_code(browser: Any, user_code: str, do: str = "allow") -> Any:
    """Type the code of a device at /activate and press a button of the page that follows."""
    page = browser.post("/activate", {"user_code": user_code}).content.decode()
    return browser.post("/activate", {"user_code": user_code, **hidden_fields(page), "do": do})


def carried(impression: Impression) -> dict[str, str]:
    """Return what the page of a question carries now."""
    shown = show_question(Impression.objects.select_related("question__purpose").get(pk=impression.pk))
    return {"notice": shown.hash}


def answer_page(impression: Impression, form: str) -> bool:
    """Answer a question as on a page that was just opened."""
    given = QueryDict(form, mutable=True)
    given.update(carried(impression))
    return answer(impression, given)


def agreed(claim: str, strategy: str = "google-oauth2", *, version: int = 1, use: str = "") -> ClaimConsent:
    """Return the consent of a box that was ticked on our page in English: `use` is the text of its purpose then."""
    (asked,) = (each for each in PROVIDERS[strategy].requested_claims if each.key == claim)
    use = use or next(text for key, _label, text, *_ in STANDARD if key == asked.purpose)
    words = f"{asked.label}. {asked.why} What we use it for: {use}"
    return ClaimConsent(claim, ShownNotice(asked.purpose, version, "en", words, pieces=(claim,)))
