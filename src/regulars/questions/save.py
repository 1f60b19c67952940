"""Create or change a question: its checks, its version, its attribute."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from regulars.base.db.rows import deleted_meanwhile, insert_row, update_row
from regulars.base.errors import Conflict, Invalid
from regulars.consent.models import Purpose
from regulars.consent.purposes import get_purpose
from regulars.profiles.assertions import Asserter, may_write, thing_of
from regulars.profiles.models import Attribute

from .models import Question
from .question_type import TYPES, AnswerOption, QuestionType
from .targets import condition_of

WORDS = (
    "locale", "text", "why", "help", "confirm", "type", "options", "translations", "variants", "attribute", "purpose_id",
    "may_decline", "may_not_know",
)  # fmt: skip
KEY = re.compile(r"[A-Za-z0-9_-]+")
LOCALE, LONGEST_LOCALE = re.compile(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*"), 16
MAX_WEIGHT = 1000
REQUIRED = ("key", "text", "why", "attribute")
MAX_LENGTHS = {"key": 64, "text": 200, "why": 140, "help": 200, "confirm": 200, "attribute": 128}


@dataclass(frozen=True)
class QuestionDraft:
    """A question as the marketer writes it."""

    key: str
    text: str
    why: str
    type: str
    attribute: str
    purpose: str
    options: Sequence[AnswerOption] = ()
    help: str = ""
    weight: float = 1.0
    enabled: bool = False
    locale: str = "en"
    confirm: str = ""
    translations: dict[str, Any] = field(default_factory=dict)
    variants: Sequence[dict[str, Any]] = ()
    audience: str = ""
    not_before_logins: int = 0
    not_before_days: int = 0
    quota: int | None = None
    may_decline: bool = False
    may_not_know: bool = False
    rules_see_answer: bool = False


AS_WRITTEN = (
    "type", "attribute", "weight", "locale", "translations", "audience", "not_before_logins",
    "not_before_days", "quota", "may_decline", "may_not_know", "rules_see_answer",
)  # fmt: skip


@transaction.atomic
def save_question(draft: QuestionDraft, *, new: bool = False, edit: bool = False) -> Question:
    """Create or change the question called `draft.key`: `new` only creates, `edit` only changes, and neither its switch. A change of any text that customers read makes another version.

    Declares the attribute when it does not exist. Removed options stay readable in old answers. Raises `DomainError`,
    about one input each: `key_taken`, `deleted_meanwhile`, `bad_locale`, `missing_words`, `too_long`, `bad_key`, `bad_weight`, `options_missing`, `reserved_option`,
    `bad_variant`, `unknown_plugin`, `unknown_purpose`, `consent_basis`, `special_attribute`,
    `attribute_not_askable`, `option_not_of_attribute`, `attribute_not_for_purpose`, errors of the type's own checks; and `ConditionError`.
    """
    kind = TYPES[draft.type]
    _check_words(draft, kind)
    condition_of(draft.audience or "*")
    purpose = get_purpose(draft.purpose)
    if kind.gives_consent and purpose.basis != Purpose.Basis.CONSENT:
        raise Invalid(
            "consent_basis",
            f"The purpose {purpose.key!r} does not have consent as its legal basis; there is nothing to agree to.",
            "purpose",
        )
    _declare_attribute(draft, kind, purpose)
    before = Question.objects.select_for_update(no_key=True).filter(key=draft.key).first()
    taken = Conflict("key_taken", f"There is a question called {draft.key!r} already.")
    if before and new:
        raise taken
    if edit and not before:
        raise deleted_meanwhile()
    question = before or Question(key=draft.key)
    was = [getattr(question, name) for name in WORDS]
    question.text, question.why, question.help = draft.text.strip(), draft.why.strip(), draft.help.strip()
    question.confirm, question.purpose, question.variants = draft.confirm.strip(), purpose, list(draft.variants)
    for name in AS_WRITTEN:
        setattr(question, name, getattr(draft, name))
    question.enabled = question.enabled if edit else draft.enabled
    options: dict[str, dict[str, str]] = {}
    for option in draft.options if has_options(kind) else ():
        image = {"image": option.image} if option.image else {}
        options[option.key] = {"key": option.key, "label": option.label, **image}
    all_options = {each["key"]: each for each in [*question.old_options, *question.options]}
    question.old_options = [each for key, each in all_options.items() if key not in options]
    question.options = list(options.values())
    if before and was != [getattr(question, name) for name in WORDS]:
        question.version += 1
    if before:
        update_row(question)
    else:
        insert_row(question, taken)
    return question


def switch_question(key: str, on: bool) -> Question:
    """Switch a question on or off; its texts and its version stay. Raises `Invalid("unknown_question")`."""
    if not Question.objects.filter(key=key).update(enabled=on):
        raise Invalid("unknown_question", f"There is no question called {key!r}.")
    return Question.objects.get(key=key)


def has_options(kind: QuestionType) -> bool:
    """Return whether the marketer writes options; for a confirmation, corrections choose from them."""
    return kind.takes_options or kind.confirms


def _check_words(draft: QuestionDraft, kind: QuestionType) -> None:
    if len(draft.locale) > LONGEST_LOCALE or not LOCALE.fullmatch(draft.locale):
        raise Invalid("bad_locale", "Name the language of the question, such as en or pt-BR.", "locale")
    for name, most in MAX_LENGTHS.items():
        value = getattr(draft, name).strip()
        if not value and name in REQUIRED:
            raise Invalid("missing_words", f"Fill in {name!r}.", name)
        if len(value) > most:
            raise Invalid("too_long", f"{name!r} takes at most {most} characters.", name)
    for name in ("key", "attribute"):
        if not KEY.fullmatch(getattr(draft, name)):
            raise Invalid("bad_key", f"{name!r} may have only letters, digits, - and _.", name)
    if not (math.isfinite(draft.weight) and 0 <= draft.weight <= MAX_WEIGHT):
        raise Invalid("bad_weight", f"The weight is a number from 0 to {MAX_WEIGHT}.", "weight")
    if kind.takes_options and len({option.key for option in draft.options}) < 2:
        raise Invalid("options_missing", "Write at least two different options.", "options")
    if any(option.key.startswith("__") for option in draft.options):
        raise Invalid("reserved_option", "An option's key cannot begin with two underscores.", "options")
    kind.check(draft.options)
    kind.check_text(draft.text)
    # Every variant and translation must be as short and as complete as the question's own text.
    keys = [str(each.get("key", "")) for each in draft.variants]
    if len({"", *keys}) != len(keys) + 1 or any(len(key) > 32 for key in keys):
        raise Invalid("bad_variant", "Give every variant a different key of at most 32 characters.", "variants")
    for variant in draft.variants:
        _check_wordings([variant, *variant.get("translations", {}).values()], "variants")
    _check_wordings(draft.translations.values(), "translations")


def _check_wordings(wordings: Iterable[Mapping[str, Any]], about: str) -> None:
    for each in wordings:
        for name in ("text", "why"):
            if not str(each.get(name, "")).strip() or len(str(each[name])) > MAX_LENGTHS[name]:
                raise Invalid(
                    "bad_variant", f"Every wording needs {name!r}, of at most {MAX_LENGTHS[name]} characters.", about
                )


def _declare_attribute(draft: QuestionDraft, kind: QuestionType, purpose: Purpose) -> None:
    """Declare the attribute if it is new, and require that the purpose may use it.

    One that only a question fills is kept in `user_metadata`, where applications look for it; its options grow with those
    of its questions. A special category needs a purpose of the kind `special`, with explicit consent. What has to be
    proved, is concluded, or belongs to an application is not asked for.
    """
    if not kind.gives_consent:
        known = Attribute.objects.filter(key=draft.attribute).first()
        if not may_write(Asserter.CUSTOMER, thing_of(draft.attribute, known.metadata_path if known else "")):
            raise Invalid(
                "attribute_not_askable",
                f"{draft.attribute!r} is proved, concluded or kept by an application: a question cannot fill it.",
                "attribute",
            )
    attribute, _ = Attribute.objects.get_or_create(
        key=draft.attribute,
        defaults={
            "label": draft.attribute.replace("_", " ").capitalize()[:128],
            "type": kind.attribute_type,
            "purposes": sorted({"serve", draft.purpose}),
            "options": [{"key": each.key, "label": each.label} for each in draft.options],
            "metadata_path": f"user_metadata.{draft.attribute}",
        },
    )
    if attribute.sensitivity == Attribute.Sensitivity.SPECIAL and purpose.kind != "special":
        raise Invalid(
            "special_attribute",
            "Special categories need a purpose of the kind 'special', with explicit consent.",
            "attribute",
        )
    new = [each for each in draft.options if each.key not in {option["key"] for option in attribute.options}]
    if attribute.options and new and not kind.gives_consent:
        if not attribute.metadata_path:
            raise Invalid(
                "option_not_of_attribute",
                f"{attribute.label} has no value {new[0].key!r}. Use its own values.",
                "options",
            )
        attribute.options = [*attribute.options, *({"key": each.key, "label": each.label} for each in new)]
        attribute.save(update_fields=["options"])
    translations = _with_answers(attribute, draft)
    if translations != attribute.translations:
        attribute.translations = translations
        attribute.save(update_fields=["translations"])
    if purpose.key not in attribute.purposes:
        raise Invalid(
            "attribute_not_for_purpose", f"{attribute.label} is not kept for the purpose {purpose.key!r}.", "purpose"
        )


def _with_answers(attribute: Attribute, draft: QuestionDraft) -> dict[str, Any]:
    """Return the translations of an attribute with the question's labels of its values where they have none yet."""
    known = {each["key"] for each in attribute.options}
    labels = {locale: words.get("options", {}) for locale, words in draft.translations.items()}
    if draft.locale != "en":
        labels[draft.locale] = {each.key: each.label for each in draft.options}
    found = {locale: {**words} for locale, words in attribute.translations.items()}
    for locale, options in labels.items():
        before = found.get(locale, {}).get("options", {})
        if new := {key: label for key, label in options.items() if key in known and key not in before}:
            found[locale] = {**found.get(locale, {}), "options": {**before, **new}}
    return found
