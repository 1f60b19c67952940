"""Statements on SQLite: placeholders are converted once for each text, and mean what they mean in Django."""

from __future__ import annotations

import pytest
from django.db import connection

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL's driver takes Django's placeholders"),
]


@pytest.mark.parametrize("again", [1, 2, 3])
def test_same_statement_takes_other_values_each_time(again: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s, '100 %%', 'a?b'", [again])
        assert cursor.fetchone() == (again, "100 %", "a?b")


def test_statement_without_parameters_keeps_its_percent_signs() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT '%s %%'")
        assert cursor.fetchone() == ("%s %%",)


def test_statement_takes_named_parameters_and_many_rows() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %(b)s, %(a)s", {"a": 1, "b": 2})
        assert cursor.fetchone() == (2, 1)
        marks = ", ".join(["(%s)"] * 3000)  # longer than what is remembered
        cursor.execute(f"SELECT COUNT(*) FROM (VALUES {marks})", list(range(3000)))
        assert cursor.fetchone() == (3000,)
