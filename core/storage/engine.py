"""The connection to the database file: which file, which pragmas, who may write."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from core.checkpoints import Checkpoint
from core.errors import Fatal, Transient
from core.storage.advice import in_words
from core.storage.compiled import sharing_engine
from core.storage.connections import Connections
from core.storage.memory import memory_of

BUSY_SECONDS = 10


def database_path(where: str | Path) -> Path:
    """The file behind a path or a `sqlite:///` URL. Raises Fatal for any other kind of database."""
    text = str(where)
    if "://" not in text:
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme.split("+")[0] != "sqlite" or not rest.startswith("/") or len(rest) < 2:
        raise Fatal(
            f"DATABASE_URL names {scheme!r}, which is not supported: use a SQLite file, for example "
            "sqlite:///data/autotrader.db"
        )
    return Path(rest[1:])


def engine_for(path: Path, *, durable: bool) -> Engine:
    """An engine whose transactions we begin ourselves, so that a writer takes its lock at once.

    `durable` waits for the disk at every commit; without it a power cut may damage the file.
    """
    engine = sharing_engine(f"/{path}", connect_args={"timeout": BUSY_SECONDS})
    pragmas = (
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={'FULL' if durable else 'OFF'}",
        "PRAGMA foreign_keys=ON",
        f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}",
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(pragma)

    @event.listens_for(engine, "handle_error")
    def handle(context: ExceptionContext) -> None:
        _refuse_damaged(path, context.original_exception)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Straight to the driver: a tick begins ten transactions, and the way through SQLAlchemy costs most of each.
        driver: Any = connection.connection.driver_connection
        writes = connection.get_execution_options().get("writes")
        try:
            driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            # Its version also settles which state of the file the transaction sees.
            (version,) = driver.execute("PRAGMA data_version").fetchone()
        except sqlite3.OperationalError as error:
            raise Transient(f"another process is writing to {path.name}: {error}") from error
        except sqlite3.DatabaseError as error:
            _refuse_damaged(path, error)
            raise
        memory_of(connection).begin(version)

    return engine


def _refuse_damaged(path: Path, error: BaseException) -> None:
    """Raises Fatal, with what to do, where the library finds that the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        raise Fatal(in_words(path, f"it is damaged ({error})")) from error


class WriterLock:
    """One writer at a time within this process, in order of arrival and without polling the file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def acquire(self) -> None:
        """Raises Transient after ten seconds, RuntimeError when this very thread holds it already."""
        if self._owner == threading.get_ident():
            raise RuntimeError("a unit of work is open in this thread already: leave it before the next one")
        if not self._lock.acquire(timeout=BUSY_SECONDS):
            raise Transient("another thread is writing for too long")
        self._owner = threading.get_ident()

    def release(self) -> None:
        self._owner = None
        self._lock.release()


@contextmanager
def writing(connections: Connections, lock: WriterLock, checkpoint: Checkpoint, step: str) -> Iterator[Connection]:
    """A connection in a write transaction that is committed at the end of the block, or rolled back by an error.

    `step` names the checkpoints on both sides of the commit.
    """
    lock.acquire()
    try:
        with connections.open(writes=True) as connection, connection.begin():
            yield connection
            checkpoint(f"{step}.before_commit")
        checkpoint(f"{step}.after_commit")
    finally:
        lock.release()
