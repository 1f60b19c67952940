"""What customers read, gathered from templates and code, and brought into the catalogues. For developers:

scripts/check --messages     adds what is new to every catalogue, empty; takes out what is gone
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po, write_po
from django.template.base import Lexer, TokenType
from django.utils.text import smart_split
from django.utils.translation import trim_whitespace

from regulars.settings.catalogues import SOURCES

HOUSE = Path(__file__).parents[1]
HEADER = "# What customers read in Regulars. scripts/check --messages keeps the list; a translator keeps the words."
EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
# Whose words customers read. The console speaks English.
PAGES = ("interfaces/login", "interfaces/oidc", "questions/templates")
CODE = (
    "interfaces/login/**/*.py",
    "interfaces/oidc/**/*.py",
    "accounts/factors/**/*.py",
    "accounts/proofs/**/*.py",
    "connections/providers/*.py",
    "interfaces/api/questions.py",
    "consent/standard.py",
    "questions/types/*.py",
    "questions/declare.py",
    "questions/answer.py",
    *(
        f"usecases/{name}.py"
        for name in (
            "complete_social_login",
            "correct_facts",
            "decide_consent",
            "export",
            "link_accounts",
            "merge",
            "stop_sharing",
        )
    ),
)
# Folders whose `DomainError` are read by whoever sets something up, in English.
FOR_STAFF = ("providers", "types")
# Calls whose words reach a page, where the template translates them; the number says which argument.
CALLS = {
    "_": None,
    "gettext": None,
    "gettext_noop": None,
    "words": (2, 3),
    **dict.fromkeys(("Invalid", "Forbidden", "NotFound", "Conflict", "Unavailable", "DomainError"), (2,)),
    "NonRedirectableError": (2,),
    "RequestedClaim": (2, 3),
    "BadAnswer": (2,),
    "only_one": (2,),
}


def messages() -> dict[str, str]:
    """Every message, with the file it was found in first."""
    found: dict[str, str] = {}
    for path, message in [*_in_templates(), *_in_code()]:
        found.setdefault(message, str(path.relative_to(HOUSE)))
    return found


def update() -> None:
    """Every catalogue has exactly the messages there are. New ones are empty, and a test says so until they are not."""
    wanted = messages()
    for path in sorted(SOURCES.glob("*/LC_MESSAGES/django.po")):
        with path.open("rb") as file:
            old = read_po(file)
        new = _catalogue(str(old.locale))
        for message, place in wanted.items():
            kept = old.get(message)
            new.add(message, kept.string if kept else "", locations=[(place, 0)])
        empty = sum(not message.string for message in new if message.id)
        text = BytesIO()
        write_po(text, new, sort_by_file=True, include_lineno=False, width=110)
        path.write_bytes(text.getvalue())
        click.echo(f"{path.parent.parent.name}: {len(wanted)} messages, {empty} not translated")


def _catalogue(language: str) -> Catalog:
    """Without the dates of its making, so that a file changes only when its words do."""
    return Catalog(
        locale=language,
        header_comment=HEADER,
        project="Regulars",
        version="",
        msgid_bugs_address="",
        last_translator="",
        language_team="",
        creation_date=EPOCH,
        revision_date=EPOCH,
        fuzzy=False,
    )


def _in_templates() -> Iterator[tuple[Path, str]]:
    for folder in PAGES:
        for path in sorted((HOUSE / folder).rglob("templates/**/*.*")) or sorted((HOUSE / folder).rglob("*.html")):
            for message in in_template(path.read_text()):
                yield path, message


def in_template(source: str) -> Iterator[str]:
    """The messages of `translate`, of `_("…")` as an argument, and of `blocktranslate` (without a plural)."""
    block: list[str] | None = None
    trimmed = False
    for token in Lexer(source).tokenize():
        words = list(smart_split(token.contents)) if token.token_type == TokenType.BLOCK else []
        if words[:1] == ["blocktranslate"]:
            block, trimmed = [], "trimmed" in words
        elif words[:1] == ["endblocktranslate"] and block is not None:
            text = "".join(block)
            yield trim_whitespace(text) if trimmed else text
            block = None
        elif block is not None:
            block.append(f"%({token.contents})s" if token.token_type == TokenType.VAR else token.contents)
        elif words[:1] == ["translate"] and words[1][0] in "\"'":
            yield words[1][1:-1]
        else:
            yield from _arguments(words)


def _arguments(words: list[str]) -> Iterator[str]:
    for word in words:
        _, marked, rest = word.partition("=_(")
        if marked:
            yield rest[1:-2]


def _in_code() -> Iterator[tuple[Path, str]]:
    for place in CODE:
        for path in sorted(HOUSE.glob(place)):
            to_staff = path.parent.name in FOR_STAFF
            calls = [name for name in CALLS if not (name == "Invalid" and to_staff)]
            with path.open("rb") as file:
                for _, function, found, _ in extract_python(file, dict.fromkeys(calls), [], {}):
                    for message in _meant(str(function), found):
                        yield path, message


def _meant(function: str, found: object) -> list[str]:
    given = found if isinstance(found, tuple) else (found,)
    wanted = CALLS[function] or (1,)
    texts = [given[number - 1] for number in wanted if len(given) >= number]
    return [text for text in texts if isinstance(text, str) and text]


if __name__ == "__main__":
    update()
