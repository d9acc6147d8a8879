"""What a connection remembers of what it has read, so that nothing is asked of the file twice while nobody has written.

SQLite tells a connection, in the `data_version` pragma, whether any other connection has committed since it last asked;
what the connection itself writes through a unit of work drops the answers of that table, and a rollback drops all.
Only tables that are written through units of work alone may be remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
_PLACE: Final = "memory"


class Memory:
    """Answers by table and question. They belong to the state of the file that the running transaction sees."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._answers: dict[Any, dict[Hashable, Any]] = {}

    def begin(self, version: int) -> None:
        """A transaction has begun; `version` is its data_version."""
        if version != self._version:
            self._answers.clear()
            self._version = version

    def recall(self, table: Any, question: Hashable, ask: Callable[[], T]) -> T:
        """The remembered answer, which nobody may change; `ask` finds it out where there is none."""
        answers = self._answers.setdefault(table, {})
        if question not in answers:
            answers[question] = ask()
        found: T = answers[question]
        return found

    def put(self, table: Any, question: Hashable, answer: object) -> None:
        self._answers.setdefault(table, {})[question] = answer

    def drop(self, table: Any, question: Hashable | None = None) -> None:
        """Forgets one answer about a table, or all."""
        if question is None:
            self._answers.pop(table, None)
        else:
            self._answers.get(table, {}).pop(question, None)

    def clear(self) -> None:
        self._answers.clear()


def memory_of(connection: Connection) -> Memory:
    """The memory of the driver's connection, which outlives the uses that the pool makes of it."""
    info = connection.info
    memory: Memory | None = info.get(_PLACE)
    if memory is None:
        memory = info[_PLACE] = Memory()
    return memory
