"""No cursor stays open across a write transaction: on SQLite it would show the database as it was, and refuse the write."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from regulars.accounts.models import StoredSession
from regulars.base.db.portions import portions

SOURCE = Path(__file__).parents[2] / "src/regulars"
AT_ONCE = {"list", "set", "dict", "sorted", "sum", "max", "min", "any", "all", "frozenset", "tuple"}
# Who reads on while something else is done, and why nothing is written meanwhile by a transaction of its own.
READERS = {
    "consent/bases.py wrong_bases": "a command that reads",
    "consent/journal.py _copy": "writes a file only",
    "consent/record.py verify_ledgers": "a command that reads",
    "operations/doctor.py _addresses": "read by the next line",
    "questions/boosts.py rank_questions": "counts",
    "questions/statistics.py ask_loads": "counts",
    "questions/statistics.py logged_impressions": "counts",
    "usecases/clear_closed.py clear": "in the caller's transaction, which has locked the customer",
    "usecases/clear_event_traits.py _clear": "writes when it has read all",
    "usecases/export.py _events": "an answer in pieces",
    "usecases/export_tables.py _rows": "an answer in pieces",
    "usecases/identity_conflicts.py open_conflicts": "a page",
}


def kept_open(tree: ast.AST) -> Iterator[str]:
    """Yield the names of functions that read from a cursor while statements of theirs, or of their callers, run."""

    def walk(node: ast.AST, function: str, at_once: bool) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef):
            function, at_once = node.name, False
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
            at_once = True
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if isinstance(node.func, ast.Attribute) and node.func.attr == "iterator" and not at_once:
                yield function
            at_once = at_once or name in AT_ONCE
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function, at_once)

    return walk(tree, "", at_once=False)


def found() -> set[str]:
    return {
        f"{path.relative_to(SOURCE)} {function}"
        for path in SOURCE.rglob("*.py")
        if "migrations" not in path.parts
        for function in kept_open(ast.parse(path.read_text()))
    }


def test_cursors_that_stay_open_are_those_of_readers():
    assert found() == set(READERS)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f():\n    for row in rows.iterator():\n        row.save()", ["f"]),
        ("def f():\n    left = rows.order_by('pk').iterator(chunk_size=9)\n    while g(left): pass", ["f"]),
        ("def f():\n    return rows.iterator()", ["f"]),
        ("def f():\n    return (row for row in rows.iterator())", ["f"]),
        ("def f():\n    return [row.pk for row in rows.iterator()] + sorted(rows.iterator())", []),
    ],
)
def test_cursor_that_is_not_read_at_once_is_found(code, names):
    assert list(kept_open(ast.parse(code))) == names


@pytest.mark.django_db
def test_rows_come_in_portions_though_they_are_deleted_meanwhile():
    later = "2099-01-01T00:00:00Z"
    StoredSession.objects.bulk_create(StoredSession(session_key=f"k{number}", expire_date=later) for number in range(7))
    seen = []
    for portion in portions(StoredSession.objects.all(), 3):
        seen.append([row.pk for row in portion])
        for row in portion:
            row.delete()

    assert seen == [["k0", "k1", "k2"], ["k3", "k4", "k5"], ["k6"]]
