"""Every code block of the documents is run, or says why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.docs.blocks import ROOT, Block, blocks_of, documents, indented_blocks_of

DOCUMENTS = documents()
BLOCKS = {str(document.relative_to(ROOT)): blocks_of(document) for document in DOCUMENTS}
SHELL, PYTHON, ANSWER, FIGURE = "sh", "python", "json", "text"
# Blocks in other languages, by document and language → the test that takes them from the document.
PAGES = "tests/docs/test_pages.py"
ELSEWHERE = {
    ("docs/operator/proxy-and-service.md", "ini"): PAGES,
    ("docs/operator/proxy-and-service.md", "nginx"): PAGES,
    ("docs/operator/backups.md", "cron"): PAGES,
}
ANYTHING = "…"  # in an expected response: any value


def to_run(document: str, language: str) -> list[Block]:
    return [each for each in BLOCKS[document] if each.language == language and not each.reason]


def having(language: str) -> list[str]:
    return [document for document in BLOCKS if to_run(document, language)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_is_run_or_says_why_not(document):
    name = str(document.relative_to(ROOT))
    neither = [
        str(each)
        for each in BLOCKS[name]
        if not each.reason
        and each.language not in (SHELL, PYTHON, ANSWER, FIGURE)
        and (name, each.language) not in ELSEWHERE
    ]

    assert neither == []
    assert indented_blocks_of(document) == []


@pytest.mark.parametrize(("document", "language"), ELSEWHERE)
def test_blocks_of_other_languages_are_read_by_a_test(document, language):
    assert document in (ROOT / ELSEWHERE[document, language]).read_text()
    assert to_run(document, language)


@pytest.mark.any_database
@pytest.mark.server
@pytest.mark.parametrize("document", having(SHELL))
def test_commands_of_a_document_work_and_print_what_it_says(reader, document):
    """A block of JSON right after a block of commands, with nothing between, is what these print; `…` is any value."""
    blocks = to_run(document, SHELL)
    printed = dict(zip(blocks, reader.run(blocks), strict=True))
    for before, block in zip(BLOCKS[document], BLOCKS[document][1:], strict=False):
        if block.language == ANSWER and block.follows and before in printed:
            assert_like(json.loads(block.text), json.loads(printed[before]), str(block))


@pytest.mark.any_database
@pytest.mark.server
@pytest.mark.parametrize("document", having(PYTHON))
def test_programs_of_a_document_work(reader, document):
    reader.run_python(to_run(document, PYTHON))


@pytest.mark.parametrize("document", having(ANSWER))
def test_json_of_a_document_is_json(document):
    for block in to_run(document, ANSWER):
        json.loads(block.text)


def assert_like(expected: Any, found: Any, where: str) -> None:
    if expected == ANYTHING:
        return
    if isinstance(expected, dict) and isinstance(found, dict):
        assert expected.keys() == found.keys(), where
        for key, value in expected.items():
            assert_like(value, found[key], f"{where} {key}")
    elif isinstance(expected, list) and isinstance(found, list):
        assert len(expected) == len(found), where
        for one, other in zip(expected, found, strict=True):
            assert_like(one, other, where)
    else:
        assert expected == found, where
