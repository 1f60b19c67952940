"""Every catalogue says everything that customers read, with the same placeholders and the same markup."""

from __future__ import annotations

import re
import shutil
import string

import pytest
from babel.messages.pofile import read_po

from regulars.operations.messages import in_template, messages
from regulars.settings import catalogues
from regulars.settings.catalogues import SOURCES, compiled

LANGUAGES = ("ar", "de", "es", "fr", "ja", "pt_BR")
FIELD = re.compile(r"%\(\w+\)s")
MARKUP = re.compile(r"</?\w+[^>]*>")


def catalogue(language: str) -> dict[str, str]:
    with (SOURCES / language / "LC_MESSAGES/django.po").open("rb") as file:
        return {str(each.id): str(each.string) for each in read_po(file) if each.id}


def braces(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text.replace("%", "")) if name)


def test_there_is_a_catalogue_for_every_language_but_english():
    assert sorted(path.name for path in SOURCES.iterdir()) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_catalogue_misses_a_message_or_keeps_one_that_is_gone(language):
    known, wanted = catalogue(language), messages()

    assert sorted(set(wanted) - set(known)) == [], "scripts/check --messages adds them; then translate"
    assert sorted(set(known) - set(wanted)) == [], "scripts/check --messages takes them out"
    assert [message for message, said in known.items() if not said.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_markup_are_those_of_the_message(language):
    for message, said in catalogue(language).items():
        assert sorted(FIELD.findall(said)) == sorted(FIELD.findall(message))
        assert braces(said) == braces(message)
        assert sorted(MARKUP.findall(said)) == sorted(MARKUP.findall(message))


def test_messages_are_found_in_every_form_that_templates_have():
    source = (
        '{% translate "One" %}{% include "x" with button=_("Two") %}{% translate problem %}'
        "{% blocktranslate trimmed with a=b.c %}\n  Three {{ a }}\n  goes on.\n{% endblocktranslate %}"
    )

    assert list(in_template(source)) == ["One", "Two", "Three %(a)s goes on."]


def test_every_page_is_marked_through():
    """Words between two tags that nothing translates would stay English for everybody."""
    root = catalogues.SOURCES.parents[1]
    bare = re.compile(r">\s*[A-Z][a-z]+[^<>{}]*<|default:[\"'][A-Z][^|}]*")
    pages = [*root.glob("interfaces/login/templates/**/*.html"), *root.glob("interfaces/oidc/templates/**/*.html")]
    blocks = re.compile(r"{% blocktranslate.*?{% endblocktranslate %}", re.DOTALL)
    left = {page.name: bare.findall(blocks.sub("", page.read_text())) for page in pages if page.name not in UNSEEN}

    assert {page: words for page, words in left.items() if words} == {}


UNSEEN = ("web_message.html",)  # gone before anybody reads it


def test_a_newer_catalogue_is_compiled_again_and_another_is_left(tmp_path, monkeypatch):
    sources = tmp_path / "sources"
    shutil.copytree(SOURCES / "de", sources / "de")
    monkeypatch.setattr(catalogues, "SOURCES", sources)
    po, mo = sources / "de/LC_MESSAGES/django.po", tmp_path / "locale/de/LC_MESSAGES/django.mo"
    compiled(tmp_path)
    first = mo.read_bytes()
    compiled(tmp_path)
    same = mo.read_bytes()
    po.write_text(po.read_text().replace('msgstr "Anmelden"', 'msgstr "Einloggen"'))
    compiled(tmp_path)

    assert same == first
    assert b"Einloggen" in mo.read_bytes()
