"""What every repository of a unit of work shares: the connection, and the refusal to write where it may only read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Executable, Table
from sqlalchemy.sql.dml import UpdateBase

from core.ports import Clock
from core.storage.memory import memory_of

T = TypeVar("T")

Row = Mapping[str, Any]
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Session:
    """One transaction's view of the ledger. `clock` is the system clock (outbox rows are stamped by it)."""

    def __init__(self, clock: Clock, *, writable: bool) -> None:
        self._clock = clock
        self._writable = writable
        self._wrote = False
        self._open_connection: Connection | None = None

    @property
    def _connection(self) -> Connection:
        if self._open_connection is None:
            raise RuntimeError("a unit of work is used inside its with block only")
        return self._open_connection

    def _rows(self, statement: Executable, parameters: Parameters | None = None) -> Sequence[Row]:
        return cast(Sequence[Row], self._connection.execute(statement, parameters).mappings().all())

    def _row(self, statement: Executable, parameters: Parameters | None = None) -> Row | None:
        return cast(Row | None, self._connection.execute(statement, parameters).mappings().first())

    def _recalled(self, table: Table, question: Hashable, ask: Callable[[], T]) -> T:
        """The answer to a question about `table` as this transaction sees it; asked again only after a change."""
        connection = self._connection
        if not connection.in_transaction():
            connection.begin()
        return memory_of(connection).recall(table, question, ask)

    def _write(
        self, statement: UpdateBase, parameters: Parameters, *, question: Hashable | None = None
    ) -> CursorResult[Any]:
        """`question` names the one remembered answer that the statement can change, where it is only one."""
        if not self._writable:
            raise RuntimeError("this unit of work may only read")
        self._wrote = True
        memory_of(self._connection).drop(statement.table, question)
        return self._connection.execute(statement, parameters)

    def _forget(self) -> None:
        """Drops what was learned inside a transaction that has ended."""
        self._wrote = False


def new_id(written: CursorResult[Any]) -> int:
    """The number the database gave to the row just inserted."""
    key = written.inserted_primary_key
    if key is None:
        raise RuntimeError("the statement inserted no row")
    return int(key[0])
