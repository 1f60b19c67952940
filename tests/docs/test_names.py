"""Documents stay true: what they name exists, and no file names the machine it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from regulars.cli.__main__ import main

ROOT = Path(__file__).parents[2]
TRACKED = [
    ROOT / name for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0") if name
]
DOCUMENTS = [path for path in TRACKED if path.suffix == ".md" and path.exists()]

LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")
COMMAND = re.compile(r"`regulars ((?:[a-z-]+ ?)+)")
SCRIPT = re.compile(r"\bscripts/([a-z]+)\b")
PLACE = re.compile(r"`((?:src|docs|tests|examples|benchmarks|scripts|requirements)/[\w./-]+)`")
VARIABLE = re.compile(r"""environ(?:\.get\(|\.setdefault\(|\[)\s*"((?:REGULARS|DATABASE|LAKE)_[A-Z_]+)""")
# A home, a build folder or a package index of one machine. Joined here, so that this file has none itself.
FOREIGN = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + "(?:work|root|home/[a-z]+|farm|Users)/",
            "pypi" + r"\.org",
            "python" + "hosted",
            "registry" + r"\.npmjs",
        ]
    )
)


def text_of(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_place_in_a_document_exists(document: Path) -> None:
    text = text_of(document)
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    missing += [place for place in PLACE.findall(text) if not list(ROOT.glob(f"{place.rstrip('/')}*"))]

    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_document_exists_and_can_be_run(document: Path) -> None:
    commands = {ROOT / "scripts" / name for name in SCRIPT.findall(text_of(document))} - {ROOT / "scripts/lib"}

    assert [command.name for command in commands if not command.stat().st_mode & 0o100] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_line_in_a_document_exists(document: Path) -> None:
    named = COMMAND.findall(text_of(document))

    assert [each for each in named if not _is_a_command(each.split())] == []


def _is_a_command(names: list[str]) -> bool:
    """Follow the groups; the rest after a command are its arguments."""
    command: click.Command | None = main
    for word in names:
        if not isinstance(command, click.Group):
            return True
        command = command.commands.get(word)
    return command is not None


def test_every_environment_variable_that_is_read_is_documented() -> None:
    sources = [path for path in TRACKED if path.is_relative_to(ROOT / "src") and path.suffix == ".py"]
    read = {name for path in sources for name in VARIABLE.findall(text_of(path))}

    assert (
        read - set(re.findall(r"^\| `(\w+)`", text_of(ROOT / "docs/operator/configuration.md"), re.MULTILINE)) == set()
    )


def test_the_readme_names_the_two_commands_first() -> None:
    commands = SCRIPT.findall(text_of(ROOT / "README.md"))

    assert commands[:2] == ["start", "test"]


def test_no_file_names_a_machine_or_package_index() -> None:
    texts = [path for path in TRACKED if path.suffix not in (".png", ".wasm", ".woff2")]
    named = {str(path.relative_to(ROOT)): found[0] for path in texts if (found := FOREIGN.findall(text_of(path)))}

    assert named == {}
