"""In which languages a question is asked, and what those that are begun lack, in a marketer's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from babel import Locale, UnknownLocaleError

from regulars.questions.models import Question
from regulars.questions.wording import FIRST, Begun, begun, languages, languages_without

NAMES = {"text": "question", "why": "why you ask", "help": "help", "confirm": "words to confirm with"}


@dataclass(frozen=True)
class Spoken:
    """`asked` and `sentence`: in which languages, and in which of the house's not. `begun`: (which, what it lacks), such
    as ("French", "help, the answer boots")."""

    asked: str
    sentence: str
    begun: list[tuple[str, str]]


def spoken(question: Question) -> Spoken:
    asked, without = _listed(languages(question), "and"), _listed(languages_without(question), "or")
    sentence = f"Asked in {asked}; not in {without}." if without else f"Asked in {asked}."
    return Spoken(f"Asked in {asked}.", sentence, [(_which(each), what_lacks(each)) for each in begun(question)])


def what_lacks(each: Begun) -> str:
    return ", ".join(NAMES.get(name) or f"the answer {name.removeprefix('options.')}" for name in each.lacks)


def language_name(locale: str) -> str:
    """`Portuguese (Brazil)` for `pt-BR`; a code that nobody knows stands for itself."""
    try:
        return str(Locale.parse(locale.replace("_", "-"), sep="-").english_name or locale)
    except (UnknownLocaleError, ValueError):
        return locale


def _which(each: Begun) -> str:
    name = language_name(each.locale)
    return name if each.variant == FIRST else f"Wording {each.variant} in {name}"


def _listed(locales: Sequence[str], last: str) -> str:
    names = [language_name(each) for each in locales]
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
