"""In which words a question is put to one customer: her language or the house's, never a mix, and one of the variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from babel import Locale, UnknownLocaleError
from django.conf import settings
from django.utils.translation import get_supported_language_variant

from regulars.consent.purposes import words_in

from .declare import Option
from .models import Impression, Question

FIRST = ""  # the key of the question's own wording
WORDS = ("text", "why", "help", "confirm")


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
    for wanted in _wanted(locale):
        if fitting := [each for each in written if _wanted(each.locale)[0] == wanted]:
            break
    else:
        fitting = [each for each in written if each.locale == question.locale]
    draw = sha256(f"{question.key}@{question.version}:{profile_id}".encode()).digest()
    return fitting[int.from_bytes(draw[:8]) % len(fitting)]


def wording_of(ask: Impression) -> Wording:
    """The words this ask was shown in (the question's own when they are gone by now)."""
    written = list(_wordings(ask.question))
    fitting = (each for each in written if (each.locale, each.variant) == (ask.locale, ask.variant))
    return next(fitting, written[0])


@dataclass(frozen=True)
class Begun:
    """A translation in which nobody is asked yet. `lacks` has the names of words, and `options.<key>` for a label."""

    locale: str
    variant: str
    lacks: tuple[str, ...]


def languages(question: Question) -> list[str]:
    """In which languages the question can be asked whole; its own first."""
    translated = sorted(question.translations.items())
    whole = (locale for locale, words in translated if not _lacks(question, locale, _own(question), words))
    return [question.locale, *whole]


def begun(question: Question) -> list[Begun]:
    """Every translation that is written in part, of the question and of its other wordings, and what it lacks."""
    return [
        Begun(locale, key, tuple(lacks))
        for key, words, translations in _sources(question)
        for locale, translated in sorted(translations.items())
        if (lacks := _lacks(question, locale, words, translated))
    ]


def languages_without(question: Question) -> list[str]:
    """The languages of the house in which nobody has begun to write the question."""
    written = {_wanted(locale)[0] for locale in question.translations}
    own = _wanted(question.locale)[1]
    codes = [code for code, _ in settings.LANGUAGES]
    return [code for code in codes if code.partition("-")[0] != own and not written & set(_wanted(code))]


def direction(locale: str) -> str:
    """`ltr` or `rtl`."""
    try:
        return str(Locale.parse(locale, sep="-").text_direction)
    except (UnknownLocaleError, ValueError):
        return "ltr"


def _wanted(locale: str) -> tuple[str, str]:
    """What serves her, best first. The pages say `pt-br` and operators write `pt-BR`: case says nothing."""
    language = locale.replace("_", "-").casefold()
    return language, language.partition("-")[0]


def _wordings(question: Question) -> Iterator[Wording]:
    """The question's own wording first, then its translations, then every variant in every language it is whole in."""
    for key, words, translations in _sources(question):
        yield _wording(question, question.locale, words, {}, key)
        for locale, translated in sorted(translations.items()):
            if not _lacks(question, locale, words, translated):
                yield _wording(question, locale, translated, _labels(question, locale, translated), key)


def _sources(question: Question) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Of the question itself and of each variant: key, words, translations."""
    yield FIRST, _own(question), question.translations
    for each in question.variants:
        yield each["key"], {"confirm": question.confirm, **each}, each.get("translations", {})


def _own(question: Question) -> dict[str, str]:
    return {name: getattr(question, name) for name in WORDS}


def _lacks(question: Question, locale: str, words: Mapping[str, Any], translated: Mapping[str, Any]) -> list[str]:
    """What stands in `words` and is not translated, and the options that have no label in this language."""
    labels = _labels(question, locale, translated)
    needed = [option.key for option in question.choices()] or _built_in_options(question, locale)
    missing = [name for name in WORDS if words.get(name) and not translated.get(name)]
    return missing + [f"options.{key}" for key in needed if not labels.get(key)]


def _labels(question: Question, locale: str, translated: Mapping[str, Any]) -> dict[str, str]:
    """A variant reads its options as the question does, unless it has labels of its own."""
    return {**question.translations.get(locale, {}).get("options", {}), **translated.get("options", {})}


def _wording(question: Question, locale: str, words: Mapping[str, Any], labels: dict[str, str], key: str) -> Wording:
    options = [Option(each.key, labels.get(each.key, each.label), each.image) for each in question.choices()]
    if not options and labels:  # yes and no in another language
        options = [Option(name, label) for name, label in labels.items()]
    help_, confirm, use = words.get("help", ""), words.get("confirm", ""), words_in(question.purpose, locale)[2]
    return Wording(locale, words["text"], words["why"], help_, confirm, tuple(options), key, use)


def _built_in_options(question: Question, locale: str) -> list[str]:
    """Labels the kind writes itself (Yes, No): a translation must bring its own, unless the house speaks its language."""
    with suppress(LookupError):
        get_supported_language_variant(locale, strict=True)
        return []
    field = question.kind.field([], question.locale)
    return [option.key for option in field.options] if field.widget in ("radio", "consent") else []
