"""What Node has and rules have not says so by name, says what to do instead, and is in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from regulars.rules.javascript import ABSENT
from regulars.rules.run import try_rule
from regulars.rules.save import warnings

DOCUMENT = Path(__file__).parents[2] / "docs" / "developer" / "rules.md"
CALLS = {
    "crypto.createCipheriv('aes-256-cbc', 'k', 'i')": "createHmac",
    "crypto.publicEncrypt('k', Buffer.from('a'))": "createHmac",
    "require('crypto').scryptSync('a', 'b', 32)": "pbkdf2",
    "crypto.generateKeyPairSync('rsa', {})": "PEM",
    "crypto.subtle.digest('SHA-256', new Uint8Array())": "createHash",
    "require('crypto').webcrypto.subtle.importKey('raw')": "createHash",
    "new Intl.NumberFormat('de').format(1)": "have no locales",
    "structuredClone({})": "JSON.parse",
    "new XMLHttpRequest()": "axios",
    "request('https://shop.example').pipe(null)": "callback",
}

pytestmark = pytest.mark.django_db


def _tried(statement: str) -> str:
    return try_rule(
        f"function (user, context, callback) {{\n{statement};\ncallback(null, user, context); }}", {"user_id": "a"}, {}
    ).error


@pytest.mark.parametrize("call", CALLS, ids=list(CALLS))
def test_it_says_which_and_what_to_do_instead(call):
    error = _tried(f"const made = {call}")

    assert error.startswith("not_here: ")
    assert CALLS[call] in error
    assert "(line " in error


def test_a_form_with_files_is_refused_and_not_sent_without_them():
    asks = (
        "request.post({ url: 'https://shop.example', formData: { a: 1 } }, (e) => { if (e) throw e; cb(null, u, c); })"
    )
    error = try_rule(f"function (u, c, cb) {{ {asks}; }}", {"user_id": "a"}, {}).error

    assert error.startswith("not_here: NotHere: request with formData")


def test_who_looks_before_asking_is_not_at_fault():
    assert _tried("if (typeof Intl !== 'undefined' || crypto.subtle === null) throw new Error('there')") == ""


def test_other_unknown_names_are_mistakes_of_the_author():
    assert _tried("oops()") == "threw: ReferenceError: oops is not defined (line 2)"


def test_a_locale_that_is_passed_over_is_warned_of():
    script = "function (u, c, cb) {\n  const a = (1.5).toLocaleString('de-DE');\n  new Date().toLocaleDateString();\n  'a'.localeCompare('b', \"sv\");\n}"

    assert warnings(script) == [
        "Line 2: toLocaleString ignores the locale here.",
        "Line 4: localeCompare ignores the locale here.",
    ]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("'i'.toLocaleUpperCase('tr')", "toLocaleUpperCase"),
        ("'I'.toLocaleLowerCase(\"tr\")", "toLocaleLowerCase"),
        ("d.toLocaleTimeString(['de-DE', 'en'])", "toLocaleTimeString"),
        ("a.localeCompare(b.trim(), 'sv')", "localeCompare"),
    ],
)
def test_every_kind_of_call_with_a_locale_is_warned_of(call, name):
    script = f"function (u, c, cb) {{ {call}; cb(null, u, c); }}"

    assert warnings(script) == [f"Line 1: {name} ignores the locale here."]


@pytest.mark.parametrize(
    "call", ["u.country.localeCompare('usa')", "d.toLocaleString(undefined, {unit: 'day'})", "'i'.toLocaleUpperCase()"]
)
def test_a_short_word_that_is_no_locale_is_not_warned_of(call):
    assert warnings(f"function (u, c, cb) {{ {call}; cb(null, u, c); }}") == []


def test_everything_that_is_absent_is_in_the_documentation():
    words = DOCUMENT.read_text()

    assert [name for name in ABSENT if f"`{name}`" not in words] == []
