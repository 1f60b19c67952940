"""In which words a question is put to one customer: her language or the house's, never a mix, and one of the variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from babel import Locale, UnknownLocaleError
from django.utils.translation import get_supported_language_variant

from regulars.consent.purposes import words_in

from .declare import Option
from .models import Ask, Question

FIRST = ""  # the key of the question's own wording


@dataclass(frozen=True)
class Wording:
    """Everything a customer reads of a question. `confirm` asks about a value (`{value}`); empty when nobody wrote it.

    `use` are the words of its purpose, in this language as far as the operator wrote them.
    """

    locale: str
    text: str
    why: str
    help: str = ""
    confirm: str = ""
    options: tuple[Option, ...] = ()
    variant: str = FIRST
    use: str = ""

    def asking(self, offered: str) -> str:
        """The question itself; about what we think, when there is something offered."""
        return (self.confirm or self.text).replace("{value}", offered) if offered else self.text


def choose_wording(question: Question, locale: str, profile_id: int) -> Wording:
    """The words for a customer who reads `locale` (`de-AT`, then `de`, then the question's own language).

    Variants get equal shares; a customer stays with hers. Only those written in the same language take part.
    """
    written = list(_wordings(question))
    for wanted in (locale, locale.replace("_", "-").partition("-")[0]):
        if fitting := [each for each in written if each.locale == wanted]:
            break
    else:
        fitting = [each for each in written if each.locale == question.locale]
    draw = sha256(f"{question.key}@{question.version}:{profile_id}".encode()).digest()
    return fitting[int.from_bytes(draw[:8]) % len(fitting)]


def wording_of(ask: Ask) -> Wording:
    """The words this ask was shown in (the question's own when they are gone by now)."""
    written = list(_wordings(ask.question))
    fitting = (each for each in written if (each.locale, each.variant) == (ask.locale, ask.variant))
    return next(fitting, written[0])


def languages(question: Question) -> list[str]:
    """In which languages the question can be asked whole."""
    return sorted({each.locale for each in _wordings(question) if each.variant == FIRST})


def direction(locale: str) -> str:
    """`ltr` or `rtl`."""
    try:
        return str(Locale.parse(locale, sep="-").text_direction)
    except (UnknownLocaleError, ValueError):
        return "ltr"


def _wordings(question: Question) -> Iterator[Wording]:
    """The question's own wording first, then its translations, then every variant in every language it is whole in."""
    own = {"text": question.text, "why": question.why, "help": question.help, "confirm": question.confirm}
    sources = [(FIRST, own, question.translations)]
    sources += [
        (each["key"], {"confirm": question.confirm, **each}, each.get("translations", {})) for each in question.variants
    ]
    for key, words, translations in sources:
        yield _wording(question, question.locale, words, {}, key)
        for locale, translated in sorted(translations.items()):
            labels = {**question.translations.get(locale, {}).get("options", {}), **translated.get("options", {})}
            needed = {option.key for option in question.choices()} or _built_in_options(question, locale)
            if _is_whole(words, translated) and needed <= {key for key, label in labels.items() if label}:
                yield _wording(question, locale, translated, labels, key)


def _wording(question: Question, locale: str, words: Mapping[str, Any], labels: dict[str, str], key: str) -> Wording:
    options = [Option(each.key, labels.get(each.key, each.label), each.image) for each in question.choices()]
    if not options and labels:  # yes and no in another language
        options = [Option(name, label) for name, label in labels.items()]
    help_, confirm, use = words.get("help", ""), words.get("confirm", ""), words_in(question.purpose, locale)[2]
    return Wording(locale, words["text"], words["why"], help_, confirm, tuple(options), key, use)


def _is_whole(words: Mapping[str, Any], translated: Mapping[str, Any]) -> bool:
    return all(translated.get(name) for name in ("text", "why", "help", "confirm") if words.get(name))


def _built_in_options(question: Question, locale: str) -> set[str]:
    """Labels the kind writes itself (Yes, No): a translation must bring its own, unless the house speaks its language."""
    with suppress(LookupError):
        get_supported_language_variant(locale, strict=True)
        return set()
    field = question.kind.field([], question.locale)
    return {option.key for option in field.options} if field.widget in ("radio", "consent") else set()
