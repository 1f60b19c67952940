"""Whatever the product writes names its asserter and its legal basis: what `NewFact` has instead is for earlier versions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import regulars

SOURCES = sorted(Path(regulars.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("named", ["asserter", "basis"])
def test_every_fact_that_the_product_writes_names_its(named):
    found, unnamed = 0, []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NewFact":
                found += 1
                if named not in {each.arg for each in node.keywords}:
                    unnamed.append(f"{path.name}:{node.lineno}")

    assert unnamed == []
    assert found > 0
