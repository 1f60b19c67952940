"""Run against its own installation: create signed-in customers with a pending question. Prints them as JSON."""

from __future__ import annotations

import json

import django

django.setup()

from django.db import transaction  # noqa: E402
from tests.sessions import open_session  # noqa: E402

from regulars.accounts.models import Account  # noqa: E402
from regulars.profiles.find import create_database_profile  # noqa: E402
from regulars.profiles.learn import NewFact, learn  # noqa: E402
from regulars.profiles.models import Profile  # noqa: E402
from regulars.questions.models import Impression, Question  # noqa: E402
from regulars.questions.next_question import next_question  # noqa: E402
from regulars.questions.question_type import AnswerOption  # noqa: E402
from regulars.questions.save import QuestionDraft, save_question  # noqa: E402
from regulars.questions.settings import save_settings  # noqa: E402

WHY = "So that we show you that first."
IN_ARABIC = {"text": "عمّ تبحث؟", "why": "لنعرضه أولاً.", "options": {"jackets": "سترات", "shoes": "أحذية"}}
WARES = (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes"))
OPTIONS = {
    "single_choice": WARES,
    "multi_choice": WARES,
    "band": (AnswerOption("<25", "Under 25"), AnswerOption("25-34", "25 to 34"), AnswerOption("35+", "35 and more")),
    "pick": (AnswerOption("red", "The red one", "/static/console/mark.svg"), AnswerOption("blue", "The blue one")),
    "scale": (AnswerOption("low", "Hardly"), AnswerOption("high", "Very")),
}
PLAIN = ("yes_no", "number", "date", "year", "postal_code", "country", "email", "phone", "short_text", "consent")
WHO = ("mouse", "pass", "never", "keys", "script", "arabic", "narrow", "more")


def main() -> dict[str, dict[str, str]]:
    found = {}
    for kind in (*OPTIONS, *PLAIN, "confirm"):
        question = ask(kind)
        found[kind] = before(customer(attribute=question.attribute if kind == "confirm" else ""))
        Question.objects.filter(pk=question.pk).update(enabled=False)
    ask("single_choice", key="looking_for", attribute="looking_for", translations={"ar": IN_ARABIC}, weight=9.0)
    ask("year", key="born", attribute="birth_year", text="In which year were you born?")
    save_settings(one_more=1)
    return found | {name: before(customer(), "ar" if name == "arabic" else "en") for name in WHO}


def ask(kind: str, **more: object) -> Question:
    text = "Do you live in {value}?" if kind == "confirm" else f"Your {kind.replace('_', ' ')}, please?"
    draft = {
        "key": kind,
        "text": text,
        "why": WHY,
        "type": kind,
        "attribute": f"answer_{kind}",
        "purpose": {"consent": "message", "confirm": "serve"}.get(kind, "personalise"),
        "options": OPTIONS.get(kind, ()),
        "enabled": True,
        "may_decline": kind not in ("consent", "confirm"),
        "may_not_know": kind not in ("consent", "confirm"),
    }
    return save_question(QuestionDraft(**{**draft, **more}))


def customer(attribute: str = "") -> Profile:
    profile = create_database_profile("Username-Password-Authentication")
    profile.account = Account.objects.create_user(email=f"{profile.pk}@example.com")
    profile.save()
    if attribute:
        learn(profile, [NewFact(attribute, "Lisboa", "social", "facebook", basis="contract")])
    return profile


def before(profile: Profile, locale: str = "en") -> dict[str, str]:
    """Return the session of a customer, and the page to open."""
    asked = next_question(profile, locale=locale)
    assert isinstance(asked, Impression), asked
    return {
        "session": open_session(profile.account),
        "profile": str(profile.pk),
        "page": f"/question?impression={asked.pk}&next=/me",
    }


if __name__ == "__main__":
    with transaction.atomic():
        made = main()
    print(json.dumps(made))  # noqa: T201
