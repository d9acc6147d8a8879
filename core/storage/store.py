"""The ledger's database: what the composition root opens and hands to the rest as ports."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, insert, select

from core.checkpoints import Checkpoint, calling, nowhere
from core.clock import SystemClock
from core.domain.accounts import World
from core.errors import Fatal
from core.ports import Clock
from core.storage import tables
from core.storage.advice import in_words
from core.storage.backup import back_up
from core.storage.bars import SqlBarStore
from core.storage.connections import Connections
from core.storage.engine import WriterLock, database_path, engine_for, writing
from core.storage.entries import PortfolioCache
from core.storage.epoch import begin_epoch
from core.storage.lease import TTL, DatabaseLease, Fence
from core.storage.migrate import migrate
from core.storage.process import Holder, this_process
from core.storage.soundness import page_faults
from core.storage.unit_of_work import SqlUnitOfWork
from core.storage.verify import verify_chain
from core.storage.witness import Witness, write_witness

_sleep = SystemClock().sleep


class Installation(NamedTuple):
    """Who a ledger is: part of every order id. The epoch rises with every restore from a backup."""

    installation_id: str
    epoch: int
    world: World


class Database:
    """One open ledger. Safe to use from several threads; each unit of work belongs to one thread."""

    def __init__(self, path: Path, engine: Engine, clock: Clock, checkpoint: Checkpoint = nowhere) -> None:
        self.path = path
        self._checkpoint = checkpoint
        self._connections = Connections(engine)
        self._clock = clock
        self._lock = WriterLock()
        self._portfolios = PortfolioCache()
        self._fence = Fence()
        self.bars = SqlBarStore(self._connections, self._writing)

    def unit_of_work(self) -> SqlUnitOfWork:
        """A transaction that may write. Waits its turn; hold it only for as long as the ledger's own work takes."""
        return self._unit_of_work(writable=True)

    def reading(self) -> SqlUnitOfWork:
        """A transaction that may only read: sees the last commit and waits for nobody, however long a writer takes."""
        return self._unit_of_work(writable=False)

    def lease(
        self,
        holder: Holder | None = None,
        *,
        life: timedelta = TTL,
        sleep: Callable[[float], None] = _sleep,
    ) -> DatabaseLease:
        """The keeper of the one-process lease. Once acquired, every commit of this object is checked against it."""
        return DatabaseLease(
            self._unfenced_writing,
            self._connections.open,
            self._fence,
            holder or this_process(),
            life=life,
            sleep=sleep,
        )

    def installation(self) -> Installation:
        with self._connections.open() as connection:
            return _installation(connection)

    def begin_epoch(self, epoch: int, fencing: int = 0) -> None:
        """After a restore: neither order ids nor cards made from now on can meet those of the time that was lost.

        `fencing` is the highest known: a process that slept through the restore must not find its own number again.
        """
        with self._writing("epoch") as connection:
            begin_epoch(connection, epoch, fencing)

    def verify(self) -> list[str]:
        """What is wrong with the pages of the file or the hash-chained record, in words; empty when nothing is (X1)."""
        pages = page_faults(self.path)
        if pages:
            return pages
        with self._connections.open() as connection:
            return verify_chain(connection)

    def advice(self, wrong: str) -> str:
        """What to do about a ledger of which `wrong` is true, down to the command."""
        return in_words(self.path, wrong)

    def forget_runs(self, before: datetime) -> int:
        """Removes the records of runs that finished before then; returns how many."""
        with self._writing("old runs") as connection:
            runs = tables.job_runs
            return connection.execute(delete(runs).where(runs.c.finished_at < before)).rowcount

    def back_up(self) -> Path:
        """A copy in the folder `backups` beside the file, made while the ledger is in use."""
        with calling(self._checkpoint, "backup"):
            return back_up(self.path, self._clock.now())

    def checkpoint_log(self) -> None:
        """Writes all of the log into the file itself."""
        with self._connections.open() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def bear_witness(self) -> None:
        """Notes beside the file how far the ledger has come. Raises OSError."""
        with self.reading() as work:
            head = work.head()
        who = self.installation()
        write_witness(self.path, Witness(who.installation_id, who.epoch, head.seq, head.hash, self._clock.now()))

    def close(self) -> None:
        self._connections.close()

    def _unit_of_work(self, *, writable: bool) -> SqlUnitOfWork:
        return SqlUnitOfWork(
            self._connections,
            self._lock,
            self._portfolios,
            self._clock,
            self._fence.check,
            self._checkpoint,
            writable=writable,
        )

    @contextmanager
    def _writing(self, step: str) -> Iterator[Connection]:
        """A write transaction under its checkpoint's name. Raises LeaseLost, and changes nothing, when fenced out."""
        with self._unfenced_writing(step) as connection:
            self._fence.check(connection)
            yield connection

    def _unfenced_writing(self, step: str) -> AbstractContextManager[Connection]:
        return writing(self._connections, self._lock, self._checkpoint, step)


def open_database(
    where: str | Path,
    *,
    durable: bool = True,
    clock: Clock | None = None,
    world: World | None = None,
    installation_id: str | None = None,
    checkpoint: Checkpoint = nowhere,
) -> Database:
    """Opens a path or `sqlite:///` URL; creates or upgrades the file where needed.

    `clock` is the system clock. `durable=False` is for replays in a throw-away file. A new ledger is of `world` (real
    prices if None) and gets `installation_id` or a random one; an existing one keeps its own. `checkpoint` is called
    on both sides of every commit.
    Raises Fatal when the ledger cannot be used, or belongs to another world than the one asked for.
    """
    clock = clock or SystemClock()
    path = database_path(where)
    with calling(checkpoint, "migrate"):
        migrate(path, clock.now())
    database = Database(path, engine_for(path, durable=durable), clock, checkpoint)
    try:
        with database._writing("founding") as connection:
            _found(connection, world or World.REAL, installation_id, clock)
        known = database.installation().world
        if world is not None and known is not world:
            raise Fatal(f"{path} holds {known} prices: {world} prices need a database file of their own")
    except BaseException:
        database.close()
        raise
    return database


def _found(connection: Connection, world: World, installation_id: str | None, clock: Clock) -> None:
    if connection.execute(select(tables.installation.c.id)).first() is None:
        connection.execute(
            insert(tables.installation),
            {
                "id": 1,
                "installation_id": installation_id or secrets.token_hex(16),
                "epoch": 1,
                "world": world,
                "created_at": clock.now(),
            },
        )


def _installation(connection: Connection) -> Installation:
    row = connection.execute(select(tables.installation)).one()
    return Installation(row.installation_id, row.epoch, row.world)
