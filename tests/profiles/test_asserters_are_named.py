"""Whatever the product writes names its asserter: what follows from kind and source is for facts of earlier versions."""

from __future__ import annotations

import ast
from pathlib import Path

import regulars

SOURCES = sorted(Path(regulars.__file__).parent.rglob("*.py"))


def test_every_fact_that_the_product_writes_names_its_asserter():
    found, unnamed = 0, []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NewFact":
                found += 1
                if "asserter" not in {each.arg for each in node.keywords}:
                    unnamed.append(f"{path.name}:{node.lineno}")

    assert unnamed == []
    assert found > 0
