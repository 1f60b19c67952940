"""Compiled queries: Django compiles the SQL once, and each call fills in values.

Compiling a small query costs Django ten times as much as executing it. The statement stays as compiled for the first
caller, so a value that changes its shape (None, a list) cannot be a `param`. Only for queries of every login, where
benchmarks show the difference; this module uses private parts of Django's compiler, which its tests pin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper as Database
from django.db.models import Field, Model, QuerySet
from django.db.models.constants import OnConflict
from django.db.models.expressions import RawSQL
from django.db.models.query import FlatValuesListIterable, ModelIterable
from django.db.models.sql import InsertQuery, UpdateQuery

M = TypeVar("M", bound=Model)
Row = TypeVar("Row")


def _database() -> Database:
    """Return the connection itself: the `django.db.connection` proxy resolves it on every attribute access."""
    return connections[DEFAULT_DB_ALIAS]


@dataclass(frozen=True)
class Param:
    """A placeholder; `field` adapts the value to the database (dates, JSON). Texts and numbers need none."""

    name: str
    field: Field[Any, Any] | None = None

    def of(self, values: Mapping[str, Any], database: Database) -> Any:
        value = values[self.name]
        return value if self.field is None else self.field.get_db_prep_value(value, database, prepared=False)


def param(name: str, field: Field[Any, Any] | None = None) -> RawSQL:
    """Return a placeholder, for filters, annotations and updates, of the value that callers pass by this name."""
    return RawSQL("%s", (Param(name, field),))


def param_for(model: type[Model], name: str) -> RawSQL:
    """Return a placeholder for a new value of this field, named like the field."""
    field: Any = model._meta.get_field(name)
    return param(name, field)


@dataclass(frozen=True)
class Statement:
    sql: str
    params: Sequence[Any]

    def fill_settings(self, values: Mapping[str, Any], database: Database) -> list[Any]:
        return [param.of(values, database) if isinstance(param, Param) else param for param in self.params]


class CompiledQuery(Generic[Row]):
    """A compiled queryset. Rows are those of the queryset: instances, tuples or (`flat=True`) single values.

    `write` returns the queryset and is called once, by the first caller.
    """

    def __init__(self, write: Callable[[], QuerySet[Any, Row]]) -> None:
        self._write = write
        self._reader: _Reader | None = None

    def first(self, **values: Any) -> Row | None:
        """Return the first row, or None. The queryset itself has the order and the limit."""
        rows = self.all(**values)
        return rows[0] if rows else None

    def all(self, **values: Any) -> list[Row]:
        database = _database()
        reader = self._reader_in(database)
        return [reader.read(row, database) for row in reader.rows(values, database)]

    def exists(self, **values: Any) -> bool:
        database = _database()
        return bool(self._reader_in(database).rows(values, database))

    def _reader_in(self, database: Database) -> _Reader:
        if self._reader is None:
            self._reader = _Reader(self._write(), database)
        return self._reader


class _Reader:
    """The SQL of a queryset and the conversion of its rows, from Django's compiler."""

    def __init__(self, queryset: QuerySet[Any, Any], database: Database) -> None:
        compiler = queryset.query.get_compiler(connection=database)
        self.statement = Statement(*compiler.as_sql())
        select = compiler.select
        self.converters = list(compiler.get_converters([column for column, *_ in select]).items())
        self.model: type[Model] | None = None
        self.annotations = dict(compiler.annotation_col_map or {})
        self.flat = queryset._iterable_class is FlatValuesListIterable
        if queryset._iterable_class is ModelIterable:
            assert not queryset.query.select_related, "a compiled query cannot have select_related"
            self.model = compiler.klass_info["model"]
            self.columns = compiler.klass_info["select_fields"]
            self.names = [select[column][0].target.attname for column in self.columns]

    def rows(self, values: Mapping[str, Any], database: Database) -> list[Sequence[Any]]:
        with database.cursor() as cursor:
            cursor.execute(self.statement.sql, self.statement.fill_settings(values, database))
            rows: list[Sequence[Any]] = cursor.fetchall()
            return rows

    def read(self, row: Sequence[Any], database: Database) -> Any:
        values = list(row)
        for position, (converters, expression) in self.converters:
            for convert in converters:
                values[position] = convert(values[position], expression, database)
        if self.model is None:
            return values[0] if self.flat else tuple(values)
        made = self.model.from_db(database.alias, self.names, [values[column] for column in self.columns])
        for name, position in self.annotations.items():
            setattr(made, name, values[position])
        return made


class CompiledUpdate:
    """A compiled `queryset.update(**changes)` with placeholders in changes and filter."""

    def __init__(self, write: Callable[[], tuple[QuerySet[Any, Any], dict[str, Any]]]) -> None:
        self._write = write
        self._statement: Statement | None = None

    def __call__(self, **values: Any) -> int:
        """Return the number of matching rows."""
        database = _database()
        statement = self._statement = self._statement or self._compiled(database)
        with database.cursor() as cursor:
            cursor.execute(statement.sql, statement.fill_settings(values, database))
            return int(cursor.rowcount)

    def _compiled(self, database: Database) -> Statement:
        queryset, changes = self._write()
        query: Any = queryset.query.chain(UpdateQuery)  # Django's types do not know the changed class
        query.add_update_values(changes)
        return Statement(*query.get_compiler(connection=database).as_sql())


class CompiledInsert(Generic[M]):
    """A compiled `bulk_create([row])` that does not set the row's id. `or_leave`: an existing row stays unchanged."""

    def __init__(self, model: type[M], *, or_leave: bool = False) -> None:
        self._model = model
        self._on_conflict = OnConflict.IGNORE if or_leave else None
        self._sql = ""

    def __call__(self, row: M) -> bool:
        """Insert the row. Returns whether it was written."""
        database, fields = _database(), self._fields()
        self._sql = sql = self._sql or self._compiled(fields, database)
        params = [field.get_db_prep_save(field.pre_save(row, True), database) for field in fields]
        with database.cursor() as cursor:
            cursor.execute(sql, params)
            return bool(cursor.rowcount)

    def _fields(self) -> list[Any]:
        return [field for field in self._model._meta.concrete_fields if field is not self._model._meta.auto_field]

    def _compiled(self, fields: Iterable[Any], database: Database) -> str:
        query = InsertQuery(self._model, on_conflict=self._on_conflict)
        query.insert_values(fields, [self._model()])
        [(sql, _)] = query.get_compiler(connection=database).as_sql()
        return str(sql)
