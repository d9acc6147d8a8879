"""Whether a ledger file is whole, looked at without changing it.

At every start: what would lose money if it were broken, in milliseconds (every table but the bars, the newest links of
the chain, and that the file is not older than it was last seen). Every day and for every backup: everything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, select
from sqlalchemy.exc import DBAPIError

from core.domain.accounts import World
from core.storage import tables
from core.storage.chain import Head
from core.storage.compiled import sharing_engine
from core.storage.schema import HEAD
from core.storage.verify import check_links, verify_chain
from core.storage.witness import Witness, read_witness

NEWEST_LINKS: Final = 200
BIG: Final = frozenset({"bars"})
_HEADER: Final = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose ledger a file is, how far it goes and what its cards' numbers are; `revision` is its schema's."""

    installation_id: str
    epoch: int
    world: World
    revision: str
    head: Head
    lease: Mapping[str, Any] | None


@contextmanager
def looking(path: Path) -> Iterator[Connection]:
    """One read-only transaction on the file, in use or not: neither migrates nor writes. Raises DBAPIError."""
    wal = path.with_name(f"{path.name}-wal")
    # A file without a log beside it is nobody's at the moment; looking must not leave an empty log there.
    options = "mode=ro" if wal.exists() else "mode=ro&immutable=1"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, timeout=10, isolation_level=None)

    engine = sharing_engine("", creator=connect, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection
    finally:
        engine.dispose()


def identity_of(path: Path) -> Identity | None:
    """None for a file that cannot be read as a ledger of ours."""
    try:
        with looking(path) as connection:
            who = connection.exec_driver_sql("SELECT installation_id, epoch, world FROM installation").first()
            schema = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
            if who is None or schema is None:
                return None
            head = connection.execute(
                select(tables.chain.c.seq, tables.chain.c.hash).order_by(tables.chain.c.seq.desc()).limit(1)
            ).first()
            lease = _lease_in(connection)
            return Identity(
                who.installation_id,
                who.epoch,
                World(who.world),
                schema[0],
                Head(head.seq, head.hash) if head else Head(0, ""),
                lease,
            )
    except (DBAPIError, ValueError, sqlite3.Error):
        return None


def _lease_in(connection: Connection) -> Mapping[str, Any] | None:
    """The lease's row; the oldest schemas have no such table."""
    if not connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'lease'").first():
        return None
    row = connection.execute(select(tables.lease)).mappings().first()
    return dict(row) if row else None


def faults_at_start(path: Path) -> list[str]:
    """What is wrong with a ledger about to be used, in words; a missing file only where one was seen before."""
    witness = read_witness(path)
    if not path.exists() or path.stat().st_size == 0:
        return [f"it is missing, though it was there until {witness.at:%Y-%m-%d %H:%M} UTC"] if witness else []
    return _found(path, lambda connection: [*_quick(connection), *_tail(connection), *_older(connection, witness)])


def faults(path: Path) -> list[str]:
    """Everything that is wrong with the file, in words: its pages, its chain, and the rows that the chain vouches for.

    Of an older schema only the pages and the links are looked at: its rows are compared once it is brought forward.
    """

    def everything(connection: Connection) -> list[str]:
        pages = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
        schema = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
        is_current = schema is not None and schema[0] == HEAD
        return [*pages, *(verify_chain(connection) if is_current else check_links(connection))]

    return _found(path, everything)


def page_faults(path: Path) -> list[str]:
    """What is wrong with the pages of any database file."""
    return _found(path, lambda c: [row[0] for row in c.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"])


def _found(path: Path, look: Any) -> list[str]:
    cut = _cut_short(path)
    if cut:
        return [cut]
    try:
        with looking(path) as connection:
            return list(look(connection))
    except DBAPIError as error:
        return [f"it cannot be read ({error.orig})"]
    except sqlite3.Error as error:
        return [f"it cannot be read ({error})"]


def _cut_short(path: Path) -> str | None:
    """A file that is shorter than it says of itself, and has no log that could hold the rest."""
    wal = path.with_name(f"{path.name}-wal")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(_HEADER)
        has_log = wal.exists() and wal.stat().st_size > 0
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if len(header) < _HEADER:
        return "it is cut short"
    page = int.from_bytes(header[16:18], "big")
    wanted = (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    return f"it is cut short: {size:,} bytes of {wanted:,}" if size < wanted and not has_log else None


def _quick(connection: Connection) -> Iterator[str]:
    names = [row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        if name not in BIG:
            for (words,) in connection.exec_driver_sql(f'PRAGMA quick_check("{name}")'):
                if words != "ok":
                    yield words


def _tail(connection: Connection) -> Iterator[str]:
    newest = connection.execute(select(tables.chain.c.seq).order_by(tables.chain.c.seq.desc()).limit(1)).scalar() or 0
    yield from check_links(connection, after=max(newest - NEWEST_LINKS, 0))


def _older(connection: Connection, witness: Witness | None) -> Iterator[str]:
    """Finds a log that went missing, or an older copy that somebody put here by hand."""
    if witness is None or witness.seq == 0:
        return
    hash_there = connection.execute(select(tables.chain.c.hash).where(tables.chain.c.seq == witness.seq)).scalar()
    if hash_there != witness.hash:
        yield (
            f"it is older than it was at {witness.at:%Y-%m-%d %H:%M:%S} UTC: what was written last is not in it. Its "
            f"log ({connection.engine.url.database or 'ledger'}-wal) is missing, or an older copy was put here by hand"
        )
