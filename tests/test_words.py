"""Keep old words out of the project, and one meaning for each class name.

The words and what to write instead are in `docs/glossary.md` and `CONTRIBUTING.md`. Identifiers count: `_` and the humps of
camelCase end a word.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# word → what to write instead
OLD_WORDS = {
    **dict.fromkeys(("she", "her", "hers", "herself"), "the customer; they, them, their"),
    **dict.fromkeys(("somebody", "nobody", "whoever"), "a customer, a user, no one by name; rewrite the sentence"),
    **dict.fromkeys(("stranger", "strangers"), "third party, attacker, visitor, untrusted"),
    "told": "sent, notified, disclosed, claims",
    "house": "Regulars, built-in",
    **dict.fromkeys(("door", "doors"), "interface"),
    **dict.fromkeys(("floor", "floors"), "layer"),
    **dict.fromkeys(("room", "rooms"), "package"),
    **dict.fromkeys(("stand-in", "stand-ins", "standin", "standins"), "mock service"),
    **dict.fromkeys(("lane", "doorkeeper", "detour"), "queue, HTTPS redirector, interaction"),
    **dict.fromkeys(
        ("blueprint", "burden", "foresee", "prospect", "annoy"), "the terms of `questions`, see the glossary"
    ),
    **dict.fromkeys(("dice", "appraise", "appraised"), "a generator of random numbers, the terms of `questions`"),
    **dict.fromkeys(("patience", "doubt", "doubts"), "timeout, entropy, uncertain"),
    **dict.fromkeys(("beat", "mind", "minds"), "periodic task, feature space; rewrite the sentence"),
    **dict.fromkeys(("bake", "unborn"), "pre-initialise, uninitialised"),
}
WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(sorted(OLD_WORDS, key=len, reverse=True))})(?![a-z])")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Parts of a text that may hold an old word.
EXCEPTIONS = re.compile(
    "|".join(
        (
            r"\b(?:[Mm]ath|np)\.floor\b",  # the function
            r"\bfloor (?:price|division)\b",
            r"\bnobody@[\w.]+",  # an address that no account has
            r"`patience` is `timeout`",  # the change log
            r"MaxMind",  # the company
            r"\becho nobody\b",  # the user of Unix
            r"[\"`]nobody[\"`]",  # the reason under which a message without a real id is set aside
        )
    )
)
# Files that may hold them, with the reason.
EXEMPT = {
    "tests/test_words.py": "lists the words",
    "scripts/lib/measure.py": "counts the words",
}

TEXTS = {".py", ".md", ".html", ".js", ".mjs", ".toml", ".txt", ".sh", ".yml", ".css", ".po", ""}
TRACKED = [
    name
    for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    if name and (ROOT / name).is_file()
]
READ = [
    name
    for name in TRACKED
    if Path(name).suffix in TEXTS
    and name != "LICENSE"
    and ".min." not in name
    and "/migrations/" not in name
    and name not in EXEMPT
]
MSGID = re.compile(r'^msgid(?:_plural)? (".*"(?:\n".*")*)', re.MULTILINE)

# Class names that are defined more than once, with the reason why that is clear.
SHARED_NAMES = {
    "Migration": "Django's name, one per migration",
    "SessionStore": "Django's name for a session backend",
    "DatabaseWrapper": "Django's name for a database backend",
}


def old_words(text: str) -> list[str]:
    """Return the lines that hold an old word, with their numbers."""
    lines = (HUMP.sub(" ", EXCEPTIONS.sub("", line)).replace("_", " ").lower() for line in text.splitlines())
    return [f"{number}: {found[0]}" for number, line in enumerate(lines, 1) if (found := WORD.search(line))]


@pytest.mark.parametrize("name", READ)
def test_file_has_no_old_words(name: str) -> None:
    text = (ROOT / name).read_text(errors="replace")
    if name.endswith(".po"):
        text = "\n".join(MSGID.findall(text))  # the texts of this project; translations have their own words

    assert old_words(name) == []
    assert old_words(text) == []


@pytest.mark.parametrize(
    "text", ["# she waits", "def told_of():", "class HerView:", "stayOnFloor()", "Whoever asks", "HOUSE = 1"]
)
def test_old_word_is_found(text: str) -> None:
    assert old_words(text) != []


@pytest.mark.parametrize("text", ["warehouse", "math.floor(1.5)", "there", "mushroom", "nobody@example.com", "hershey"])
def test_other_word_is_accepted(text: str) -> None:
    assert old_words(text) == []


def test_class_names_have_one_meaning() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "src/regulars").rglob("*.py")):
        tree = ast.parse(path.read_text())
        nested = {
            inner for outer in ast.walk(tree) if isinstance(outer, ast.ClassDef) for inner in outer.body
        }  # such as Meta, or the choices of a field
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node not in nested and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    repeated = {name: found for name, found in places.items() if len(found) > 1}

    assert {name: found for name, found in repeated.items() if name not in SHARED_NAMES} == {}
