"""One transaction on the ledger (core.ports.UnitOfWork)."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from sqlalchemy import Connection

from core.checkpoints import Checkpoint
from core.ports import Clock
from core.storage.connections import Connections
from core.storage.contests import Contests
from core.storage.decisions import Decisions
from core.storage.engine import WriterLock
from core.storage.entries import PortfolioCache
from core.storage.memory import memory_of
from core.storage.orders import Orders
from core.storage.outbox import Outbox
from core.storage.safeguards import Safeguards


class SqlUnitOfWork(Orders, Decisions, Contests, Safeguards, Outbox):
    """Writers wait for one another at the with statement; readers see the last commit and wait for nobody.

    `check_lease` runs inside every commit and raises LeaseLost. After a commit the block may go on: what follows
    belongs to a new transaction.
    """

    def __init__(
        self,
        connections: Connections,
        lock: WriterLock,
        cache: PortfolioCache,
        clock: Clock,
        check_lease: Callable[[Connection], None],
        checkpoint: Checkpoint,
        *,
        writable: bool,
    ) -> None:
        super().__init__(clock, writable=writable)
        self._connections = connections
        self._lock = lock
        self._cache = cache
        self._check_lease = check_lease
        self._checkpoint = checkpoint

    def __enter__(self) -> SqlUnitOfWork:
        if self._writable:
            self._lock.acquire()
        try:
            self._open_connection = self._connections.take(writes=self._writable)
        except BaseException:
            if self._writable:
                self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        taken_back = self._wrote
        self._open_connection = None
        self._forget()
        try:
            if taken_back:
                memory_of(connection).clear()
            self._connections.give_back(connection, is_sound=error is None)
        finally:
            if self._writable:
                self._lock.release()

    def commit(self, step: str = "") -> None:
        """Makes all changes since the last commit last. Raises LeaseLost, and changes nothing, when fenced out."""
        if not self._writable:
            raise RuntimeError("this unit of work may only read")
        self._check_lease(self._connection)
        portfolios = self._known_portfolios()
        self._checkpoint(f"{step}.before_commit")
        self._connection.commit()
        self._cache.offer(portfolios)
        self._forget()
        self._checkpoint(f"{step}.after_commit")
