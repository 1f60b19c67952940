"""Every catalogue translates every message for customers, with the same placeholders and markup."""

from __future__ import annotations

import gettext
import re
import shutil
import string
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS
from babel.messages.pofile import read_po
from django.conf import settings
from scripts.lib.translations import extract_template

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "src/regulars/locale"
LANGUAGES = ("ar", "de", "es", "fr", "ja", "pt_BR")
FIELD = re.compile(r"%\(\w+\)s")
MARKUP = re.compile(r"</?\w+[^>]*>")


def catalogue(language: str) -> dict[str, str]:
    with (LOCALE / language / "LC_MESSAGES/django.po").open("rb") as file:
        return {str(each.id): str(each.string) for each in read_po(file) if each.id}


def sourced(command: str, root: Path = ROOT) -> None:
    scripts = "source scripts/lib/setup.sh; source scripts/lib/catalogues.sh"
    subprocess.run(["bash", "-euc", f"{scripts}; {command}"], cwd=root, check=True)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory) -> set[str]:
    template = tmp_path_factory.mktemp("messages") / "django.pot"
    sourced(f"extract_messages {template}")
    with template.open("rb") as file:
        return {str(each.id) for each in read_po(file) if each.id}


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with one catalogue, in the virtual environment of this one."""
    for folder in ("scripts/lib", "src/regulars/locale/de"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def braces(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text.replace("%", "")) if name)


def test_there_is_a_catalogue_for_every_language_but_english():
    assert sorted(path.parts[-3] for path in LOCALE.glob("*/LC_MESSAGES/django.po")) == sorted(LANGUAGES)
    assert [code for code, _ in settings.LANGUAGES[1:]] == ["de", "es", "fr", "ja", "pt-br", "ar"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogue_has_every_message_and_no_stale_one(language, extracted):
    known = catalogue(language)

    assert len(extracted) > 500
    assert sorted(extracted - set(known)) == [], "scripts/check --messages adds them; then translate"
    assert sorted(set(known) - extracted) == [], "scripts/check --messages takes them out"
    assert [message for message, translation in known.items() if not translation.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_markup_are_those_of_the_message(language):
    for message, translation in catalogue(language).items():
        assert sorted(FIELD.findall(translation)) == sorted(FIELD.findall(message))
        assert braces(translation) == braces(message)
        assert sorted(MARKUP.findall(translation)) == sorted(MARKUP.findall(message))


def test_messages_are_found_in_every_form_that_templates_have():
    source = (
        '<p>It\'s{% translate "One" %}</p>\n      {% include "x" with button=_("Two") %}{% translate problem %}\n   '
        "{% blocktranslate trimmed with a=b.c %}\n  Three {{ a }}\n  goes on.\n{% endblocktranslate %}"
        '{% translate "Don\'t" %}'
    )
    found = extract_template(BytesIO(source.encode()), DEFAULT_KEYWORDS, [], {})

    assert [message for _, _, message, _ in found] == ["One", "Two", "Three %(a)s goes on.", "Don't"]


def test_every_page_is_marked_through():
    """Untranslated words between two tags would stay English in every language."""
    bare = re.compile(r">\s*[A-Z][a-z]+[^<>{}]*<|default:[\"'][A-Z][^|}]*")
    interfaces = ROOT / "src/regulars/interfaces"
    pages = [path for path in interfaces.glob("*/templates/**/*.html") if "console" not in path.parts]
    blocks = re.compile(r"{% blocktranslate.*?{% endblocktranslate %}", re.DOTALL)
    left = {page.name: bare.findall(blocks.sub("", page.read_text())) for page in pages if page.name not in UNSEEN}

    assert len(pages) > 40
    assert {page: words for page, words in left.items() if words} == {}


UNSEEN = ("web_message.html",)  # closed before a person reads it


def test_deleted_or_older_mo_is_compiled_by_set_up(checkout):
    po = checkout / "src/regulars/locale/de/LC_MESSAGES/django.po"
    mo = po.with_suffix(".mo")
    mo.unlink(missing_ok=True)
    sourced("compile_catalogues", checkout)
    first = mo.stat().st_mtime_ns
    sourced("compile_catalogues", checkout)
    unchanged = mo.stat().st_mtime_ns
    po.write_text(po.read_text().replace('msgstr "Anmelden"', 'msgstr "Einloggen"'))
    sourced("compile_catalogues", checkout)
    with mo.open("rb") as file:
        translated = gettext.GNUTranslations(file).gettext("Sign in")

    assert unchanged == first
    assert translated == "Einloggen"


def test_importing_the_settings_writes_nothing(tmp_path):
    code = "import regulars.settings, django.conf; django.conf.settings.LOCALE_PATHS"
    environment = {"REGULARS_HOME": str(tmp_path / "home"), "REGULARS_SECRET_KEY": "x", "PATH": "/usr/bin:/bin"}
    subprocess.run(
        [ROOT / ".venv/bin/python", "-c", code],
        env={**environment, "DJANGO_SETTINGS_MODULE": "regulars.settings"},
        check=True,
    )

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
