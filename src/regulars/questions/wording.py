"""Choose the text of a question for one customer: one language, never a mix, and one of the variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from babel import Locale, UnknownLocaleError
from django.conf import settings
from django.utils.translation import get_supported_language_variant

from regulars.consent.purposes import whole_words_in, words_in

from .models import Impression, Question
from .question_type import AnswerOption

FIRST = ""  # the key of the question's own text
WORDS = ("text", "why", "help", "confirm")


@dataclass(frozen=True)
class QuestionWording:
    """Everything a customer reads of a question. `confirm` asks about a value (`{value}`); empty when not written.

    `use` is the text of its purpose, in this language as far as the operator wrote it.
    """

    locale: str
    text: str
    why: str
    help: str = ""
    confirm: str = ""
    options: tuple[AnswerOption, ...] = ()
    variant: str = FIRST
    use: str = ""

    def text_for(self, label: str) -> str:
        """Return the question; about the value with this label, when there is one to confirm."""
        return (self.confirm or self.text).replace("{value}", label) if label else self.text


def choose_wording(question: Question, locale: str, profile_id: int) -> QuestionWording:
    """Return the text for a customer who reads `locale` (`de-AT`, then `de`, then the question's own language).

    Variants get equal shares; a customer keeps theirs. Only those written in the same language take part.
    """
    written = list(_wordings(question))
    for wanted in _wanted(locale):
        if fitting := [each for each in written if _wanted(each.locale)[0] == wanted]:
            break
    else:
        fitting = [each for each in written if each.locale == question.locale]
    draw = sha256(f"{question.key}@{question.version}:{profile_id}".encode()).digest()
    return fitting[int.from_bytes(draw[:8]) % len(fitting)]


def text_in(question: Question, locale: str) -> str:
    """Return the question's own text as a customer who reads `locale` reads it now."""
    translated = {_wanted(written)[0]: words for written, words in question.translations.items()}
    found: Mapping[str, Any] = next((translated[each] for each in _wanted(locale) if each in translated), {})
    return str(found.get("text") or question.text)


def wording_of(impression: Impression) -> QuestionWording:
    """Return the text in which an impression was shown (the question's own when that text was removed since)."""
    written = list(_wordings(impression.question))
    shown = (impression.locale, impression.variant)
    fitting = (each for each in written if (each.locale, each.variant) == shown)
    return next(fitting, written[0])


@dataclass(frozen=True)
class PartialTranslation:
    """A translation not shown yet. `lacks` has the names of missing texts, and `options.<key>` for a label."""

    locale: str
    variant: str
    lacks: tuple[str, ...]


def languages(question: Question) -> list[str]:
    """Return the languages in which the question is complete; its own first."""
    translated = sorted(question.translations.items())
    whole = (locale for locale, words in translated if not _lacks(question, locale, _own(question), words))
    return [question.locale, *whole]


def partial_translations(question: Question) -> list[PartialTranslation]:
    """Return every incomplete translation of the question and of its variants, with the missing texts."""
    return [
        PartialTranslation(locale, key, tuple(lacks))
        for key, words, translations in _sources(question)
        for locale, translated in sorted(translations.items())
        if (lacks := _lacks(question, locale, words, translated))
    ]


def languages_without(question: Question) -> list[str]:
    """Return the languages of Regulars in which no translation of the question exists."""
    written = {_wanted(locale)[0] for locale in question.translations}
    own = _wanted(question.locale)[1]
    codes = [code for code, _ in settings.LANGUAGES]
    return [code for code in codes if code.partition("-")[0] != own and not written & set(_wanted(code))]


def direction(locale: str) -> str:
    """Return `ltr` or `rtl`."""
    try:
        return str(Locale.parse(locale, sep="-").text_direction)
    except (UnknownLocaleError, ValueError):
        return "ltr"


def _wanted(locale: str) -> tuple[str, str]:
    """Return the locales to look for, best first. Pages use `pt-br` and operators write `pt-BR`: case does not matter."""
    language = locale.replace("_", "-").casefold()
    return language, language.partition("-")[0]


def _wordings(question: Question) -> Iterator[QuestionWording]:
    """Yield the question's own text first, then its translations, then every variant in every complete language."""
    for key, words, translations in _sources(question):
        yield _wording(question, question.locale, words, {}, key)
        for locale, translated in sorted(translations.items()):
            if not _lacks(question, locale, words, translated):
                yield _wording(question, locale, translated, _labels(question, locale, translated), key)


def _sources(question: Question) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield key, texts and translations of the question itself and of each variant."""
    yield FIRST, _own(question), question.translations
    for each in question.variants:
        yield each["key"], {"confirm": question.confirm, **each}, each.get("translations", {})


def _own(question: Question) -> dict[str, str]:
    return {name: getattr(question, name) for name in WORDS}


def _lacks(question: Question, locale: str, words: Mapping[str, Any], translated: Mapping[str, Any]) -> list[str]:
    """Return the texts in `words` that are not translated, and the options without a label in this language."""
    labels = _labels(question, locale, translated)
    needed = [option.key for option in question.choices()]
    if not needed:
        try:  # Regulars itself labels built-in options (Yes, No) in its languages; otherwise a translation must
            get_supported_language_variant(locale, strict=True)
        except LookupError:
            built_in = question.kind.field([], question.locale)
            needed = [option.key for option in built_in.options] if built_in.widget in ("radio", "consent") else []
    missing = [name for name in WORDS if words.get(name) and not translated.get(name)]
    return missing + [f"options.{key}" for key in needed if not labels.get(key)]


def _labels(question: Question, locale: str, translated: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of the question's options, unless the variant has its own."""
    return {**question.translations.get(locale, {}).get("options", {}), **translated.get("options", {})}


def _wording(
    question: Question, locale: str, words: Mapping[str, Any], labels: dict[str, str], key: str
) -> QuestionWording:
    options = [AnswerOption(each.key, labels.get(each.key, each.label), each.image) for each in question.choices()]
    if not options and labels:  # yes and no in another language
        options = [AnswerOption(name, label) for name, label in labels.items()]
    in_language = whole_words_in if question.kind.gives_consent else words_in
    help_, confirm, use = words.get("help", ""), words.get("confirm", ""), in_language(question.purpose, locale)[2]
    return QuestionWording(locale, words["text"], words["why"], help_, confirm, tuple(options), key, use)
