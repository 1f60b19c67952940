"""The form of a question: from form fields to a draft, from a saved question to form fields, and its preview.

Other languages and wordings are numbered blocks: `translation.0.locale`, `translation.0.text`, …, `variant.0.key`, ….
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from babel import Locale, UnknownLocaleError
from django.utils.text import slugify
from django.utils.translation import get_supported_language_variant, override

from regulars.base.conditions import ConditionError
from regulars.base.errors import Invalid
from regulars.base.text import distinct_lines
from regulars.consent.purposes import words_in

from .models import Question
from .question_type import TYPES, AnswerOption
from .save import QuestionDraft, has_options
from .targets import condition_of
from .wording import FIRST, WORDS, PartialTranslation, direction, languages, languages_without, partial_translations

EMPTY = {"type": "single_choice", "purpose": "personalise", "weight": "1", "enabled": "", "locale": "en"}
PICTURE = " | "  # between an option's label and the address of its picture
BLOCKS = {"translation": ("locale", *WORDS, "options"), "variant": ("key", *WORDS)}
WORD_LABELS = {"text": "question", "why": "why you ask", "help": "help", "confirm": "confirmation text"}
NUMBERED = re.compile(r"(translation|variant)\.(0|[1-9][0-9]{0,3})\.[a-z]+")


def read_draft(given: Mapping[str, str], saved: Question | None) -> QuestionDraft:
    """Return the form as a draft. Raises `DomainError` with the field that cannot be read."""
    try:
        weight = float(given.get("weight", "").strip().replace(",", ".") or 1)
    except ValueError:
        raise Invalid("bad_weight", "The weight is a number, such as 1 or 2.5.", "weight") from None
    translations = _translations(given)
    audience = given.get("audience", "").strip()
    try:
        condition_of(audience or "*")  # checked here so that an error appears beside its input
    except ConditionError as bad:
        raise Invalid(bad.code, bad.message, "audience") from bad
    return QuestionDraft(
        key=saved.key if saved else given.get("key", "").strip() or slugify(given.get("text", ""))[:64],
        **{name: given.get(name, "") for name in (*WORDS, "type", "purpose")},
        locale=given.get("locale", "").strip() or "en",
        options=options(given.get("options", "")),
        attribute=given.get("attribute", "").strip(),
        weight=weight,
        enabled=given.get("enabled") == "on",
        translations=translations,
        variants=_variants(given, saved),
        audience=audience,
        not_before_logins=_whole(given, "not_before_logins") or 0,
        not_before_days=_whole(given, "not_before_days") or 0,
        quota=_whole(given, "quota"),
        may_decline=given.get("may_decline") == "on",
        may_not_know=given.get("may_not_know") == "on",
        rules_see_answer=given.get("rules_see_answer") == "on",
    )


def fields_of(saved: Question) -> dict[str, str]:
    """Return the form fields of a saved question."""
    choices = [f"{each.key} = {each.label}{PICTURE + each.image if each.image else ''}" for each in saved.choices()]
    form = {name: getattr(saved, name) for name in ("key", *WORDS, "type", "attribute", "locale", "audience")}
    form |= {"purpose": saved.purpose_id, "weight": f"{saved.weight:g}", "options": "\n".join(choices)}
    form |= {name: str(getattr(saved, name) or "") for name in ("not_before_logins", "not_before_days", "quota")}
    ticks = ("enabled", "may_decline", "may_not_know", "rules_see_answer")
    form |= {name: "on" if getattr(saved, name) else "" for name in ticks}
    for number, (locale, words) in enumerate(saved.translations.items()):
        labels = "\n".join(f"{key} = {label}" for key, label in words.get("options", {}).items())
        form |= _block("translation", number, {**words, "locale": locale, "options": labels})
    for number, variant in enumerate(saved.variants):
        form |= _block("variant", number, variant)
    return form


def numbered_blocks(given: Mapping[str, str], kind: str) -> list[tuple[int, dict[str, str]]]:
    """Return the filled-in blocks of the form and one empty block, each with its number."""
    found = list(enumerate(_filled(given, kind)))
    return [*found, (len(found), dict.fromkeys(BLOCKS[kind], ""))]


def translation_blocks(given: Mapping[str, str]) -> list[tuple[int, dict[str, str], str]]:
    """Return the blocks of other languages as `numbered_blocks` does, each with what it lacks to be used."""
    kind = given["type"] if given.get("type") in TYPES else EMPTY["type"]
    sketch = Question(type=kind, locale=given.get("locale") or "en", **{name: given.get(name, "") for name in WORDS})
    if has_options(TYPES[kind]):
        sketch.options = [{"key": each.key, "label": each.label} for each in options(given.get("options", ""))]
    found = []
    for number, block in numbered_blocks(given, "translation"):
        sketch.translations = {_locale(block): _translated(block)} if any(block.values()) else {}
        lacking = ", ".join(missing_words(each) for each in partial_translations(sketch))
        found.append((number, block, lacking))
    return found


def remove_translation(given: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the form without the translation whose button was pressed, and the name of its language."""
    block = f"translation.{given.get('remove', '')}."
    kept = {name: value for name, value in given.items() if name != "remove" and not name.startswith(block)}
    return kept, language_name(given.get(f"{block}locale", "").strip())


def preview_form(given: Mapping[str, str], purposes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context of the sign-in page's question, in the language or wording chosen under `seen`."""
    kind = TYPES[given["type"]] if given.get("type") in TYPES else TYPES[EMPTY["type"]]
    locale, own = given.get("locale") or "en", options(given.get("options", ""))
    seen: Mapping[str, str] = given
    for name, block in _others(given):
        if name == given.get("seen"):
            seen, locale = {**given, **block}, block.get("locale", locale)
            labels = {each.key: each.label for each in options(block.get("options", ""))}
            own = [AnswerOption(each.key, labels.get(each.key, each.label), each.image) for each in own]
    purpose = purposes.get(given.get("purpose", ""))
    use = words_in(purpose, locale)[2] if purpose else ""
    try:  # of the built-in texts beside the question
        language = get_supported_language_variant(locale, strict=True)
    except LookupError:
        language = "en"  # Regulars has no translation
    with override(language):
        field = kind.field(own, locale)
    return {
        "question": {
            "purpose": purpose,
            "may_decline": given.get("may_decline") == "on",
            "may_not_know": given.get("may_not_know") == "on",
        },
        "wording": {
            "why": seen.get("why") or "What customers get for an answer.",
            "help": seen.get("help", ""),
            "use": use,
        },
        "text": seen.get("text") or "Your question",
        "field": field,
        "preview_locale": locale,
        "preview_language": language,
        "preview_direction": direction(locale),
        "seen": given.get("seen", ""),
        "can_be_seen": [("", f"Its own words ({given.get('locale') or 'en'})"), *((n, n) for n, _ in _others(given))],
    }


def options(text: str) -> list[AnswerOption]:
    """Read options such as `jackets = Warm jackets` by line, with ` | https://…` for a picture; a line without `=` is its own label."""
    pairs = [
        line.partition("=") if "=" in line.partition(PICTURE)[0] else (slugify(line) or line, "=", line)
        for line in distinct_lines(text)
    ]
    found = []
    for name, _, rest in pairs:
        key, (label, _, image) = name.strip()[:64], rest.strip().partition(PICTURE)
        found.append(AnswerOption(key, label.strip() or key, image.strip()))
    return found


def _filled(given: Mapping[str, str], kind: str) -> list[dict[str, str]]:
    """Return the numbered blocks that are not empty; emptying a block removes it."""
    numbers = {int(found[2]) for name in given if (found := NUMBERED.fullmatch(name)) and found[1] == kind}
    blocks_given = (
        {name: given.get(f"{kind}.{number}.{name}", "").strip() for name in BLOCKS[kind]} for number in sorted(numbers)
    )
    return [block for block in blocks_given if any(block.values())]


def _others(given: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    translations = [(block["locale"], block) for block in _filled(given, "translation") if block["locale"]]
    variants = [(f"wording {block['key']}", block) for block in _filled(given, "variant") if block["key"]]
    return [*translations, *variants]


def _translations(given: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    taken = {given.get("locale", "").strip().replace("_", "-").casefold() or "en"}
    for number, block in enumerate(_filled(given, "translation")):
        locale = _locale(block)
        if not locale or len(locale) > 16 or not locale.replace("-", "").isalnum():
            raise Invalid("bad_locale", "Name the language of each translation, such as de or pt-BR.", "translations")
        if locale.casefold() in taken:
            sentence = f"There are two translations into {language_name(locale)}. Keep one, or correct its language."
            raise Invalid("language_twice", sentence, f"translation.{number}.locale")
        taken.add(locale.casefold())
        found[locale] = _translated(block)
    return found


def _locale(block: Mapping[str, str]) -> str:
    """Return `pt-BR` for `PT_BR`: the language in lower case, as purposes keep theirs."""
    language, hyphen, region = block["locale"].replace("_", "-").partition("-")
    return language.lower() + hyphen + region


def _translated(block: Mapping[str, str]) -> dict[str, Any]:
    labels = {each.key: each.label for each in options(block["options"])}
    return {name: block[name] for name in WORDS if block[name]} | ({"options": labels} if labels else {})


def _variants(given: Mapping[str, str], saved: Question | None) -> list[dict[str, Any]]:
    """Return the wordings of the form. The translations of a wording, which the API writes, stay with it."""
    before = {each["key"]: each.get("translations", {}) for each in saved.variants} if saved else {}
    blocks_written = _filled(given, "variant")
    return [
        {name: block[name] for name in ("key", *WORDS) if block[name] or name in ("key", "text", "why")}
        | ({"translations": before[block["key"]]} if before.get(block["key"]) else {})
        for block in blocks_written
    ]


def _block(kind: str, number: int, values: Mapping[str, Any]) -> dict[str, str]:
    return {f"{kind}.{number}.{name}": str(values.get(name, "")) for name in BLOCKS[kind]}


def _whole(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 8):
        raise Invalid("bad_number", "Write a whole number, such as 3, or leave it empty.", name)
    return int(text) if text else None


@dataclass(frozen=True)
class QuestionLanguages:
    """The languages of a question. `sentence` also names the languages of Regulars that it lacks.

    `partial_translations`: (which, what it lacks), such as ("French", "help, the answer boots").
    """

    asked: str
    sentence: str
    partial_translations: list[tuple[str, str]]


def question_languages(question: Question) -> QuestionLanguages:
    asked, without = _listed(languages(question), "and"), _listed(languages_without(question), "or")
    sentence = f"Asked in {asked}; not in {without}." if without else f"Asked in {asked}."
    partial = []
    for each in partial_translations(question):
        name = language_name(each.locale)
        which = name if each.variant == FIRST else f"Wording {each.variant} in {name}"
        partial.append((which, missing_words(each)))
    return QuestionLanguages(f"Asked in {asked}.", sentence, partial)


def missing_words(each: PartialTranslation) -> str:
    return ", ".join(WORD_LABELS.get(name) or f"the answer {name.removeprefix('options.')}" for name in each.lacks)


def language_name(locale: str) -> str:
    """Return `Portuguese (Brazil)` for `pt-BR`; an unknown code as it is."""
    try:
        return str(Locale.parse(locale.replace("_", "-"), sep="-").english_name or locale)
    except (UnknownLocaleError, ValueError):
        return locale


def _listed(locales: Sequence[str], last: str) -> str:
    names = [language_name(each) for each in locales]
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
