"""Statements and mappings that every repository uses. Built once: a prepared statement costs a third of a fresh one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Connection, Dialect, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.dml import Insert

T = TypeVar("T")


def upsert(table: Table, keys: Sequence[str]) -> Insert:
    """Inserts a row or, where its key exists, replaces the other columns."""
    statement = insert(table)
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=others)


def insert_new(table: Table) -> Insert:
    """Inserts a row or, where its key exists, changes nothing."""
    return insert(table).on_conflict_do_nothing()


@cache
def _compiled(statement: ClauseElement, dialect: Dialect) -> Any:
    return statement.compile(dialect=dialect)


def write_plain(connection: Connection, statement: Insert, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Many rows of values as the driver takes them, in the order of `names`. SQLAlchemy's own work for each row and
    value would take twice as long as the database's."""
    compiled = _compiled(statement, connection.dialect)
    if compiled.positiontup != list(names):
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
        return
    connection.exec_driver_sql(str(compiled), [*map(tuple, rows)])


def read_plain(connection: Connection, statement: ClauseElement, asked: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    """All rows as the driver gives them: for plain numbers and texts, of which no other type has to be made."""
    compiled = _compiled(statement, connection.dialect)
    given = compiled.params | asked
    if compiled.positiontup is not None:
        given = tuple(given[name] for name in compiled.positiontup)
    cursor: Any = connection.exec_driver_sql(str(compiled), given).cursor
    rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    return rows


@cache
def field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def row_of(value: Any) -> dict[str, Any]:
    """The columns of a dataclass whose fields are columns of the same names."""
    kind: Any = type(value)
    return {name: getattr(value, name) for name in field_names(kind)}


def value_of(kind: type[T], row: Mapping[str, Any]) -> T:
    """The dataclass back from the columns of the same names."""
    of_kind: Any = kind
    return kind(**{name: row[name] for name in field_names(of_kind)})
