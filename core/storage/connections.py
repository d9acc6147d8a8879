"""Connections that transactions hand on to one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine

MOST_AT_REST: Final = 4


class Connections:
    """Those of one file. A tick has dozens of transactions, and to take a connection from the engine's pool and to give
    it back there costs more than most of them ask. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._at_rest: list[Connection] = []
        self._is_closed = False

    @contextmanager
    def open(self, *, writes: bool = False) -> Iterator[Connection]:
        """One for the block; what was not committed in it is taken back."""
        connection, is_sound = self.take(writes=writes), False
        try:
            yield connection
            is_sound = True
        finally:
            self.give_back(connection, is_sound=is_sound)

    def take(self, *, writes: bool) -> Connection:
        """One on which nothing is under way; `writes`: its transactions take the file's lock as they begin."""
        try:
            connection = self._at_rest.pop()
        except IndexError:
            connection = self.engine.connect()
        if connection.get_execution_options().get("writes") is not writes:
            connection.execution_options(writes=writes)
        return connection

    def give_back(self, connection: Connection, *, is_sound: bool) -> None:
        """Takes back what was not committed. One that may have been broken on the way is not used again."""
        if not is_sound or self._is_closed or len(self._at_rest) >= MOST_AT_REST:
            connection.close()
            return
        connection.rollback()
        self._at_rest.append(connection)

    def close(self) -> None:
        self._is_closed = True
        while self._at_rest:
            self._at_rest.pop().close()
        self.engine.dispose()
