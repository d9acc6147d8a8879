"""The simulated venue's journal: an append-only table of events in an SQLite file of its own, apart from our ledger.

Besides the events it keeps, for each symbol, the close of the last bar that was matched, so that bars which are revised
later change nothing that has been answered.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from core.adapters.simulated_events import KINDS, VenueEvent
from core.domain.codec import canonical, decode
from core.errors import Fatal, Transient

VERSION = 3
OLDER = (1, 2)
"""Versions whose files are read as they are: they knew fewer kinds of event."""
_SCHEMA = f"""
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_remain BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TABLE matched (symbol TEXT PRIMARY KEY, closed_at TEXT NOT NULL) STRICT;
PRAGMA user_version = {VERSION};
"""
_NAMES = {kind: name for name, kind in KINDS.items()}


def newest_time(path: Path) -> datetime | None:
    """The newest market time in a journal, read without changing it; None where it cannot be."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as journal:
            rows = journal.execute("SELECT at FROM events UNION ALL SELECT closed_at FROM matched").fetchall()
    except sqlite3.DatabaseError:
        return None
    return max((datetime.fromisoformat(at) for (at,) in rows), default=None)


class MemoryJournal:
    """The journal of a venue that ends with its process."""

    def __init__(self, checkpoint: Callable[[str], None], fence: Callable[[], None]) -> None:
        self._checkpoint = checkpoint
        self._fence = fence
        self._events: list[tuple[int, VenueEvent]] = []
        self._matched: dict[str, datetime] = {}

    def events(self) -> Iterator[tuple[int, VenueEvent]]:
        return iter(tuple(self._events))

    def matched(self) -> dict[str, datetime]:
        return dict(self._matched)

    def append(
        self, step: str, events: Sequence[tuple[int, VenueEvent]], matched: Mapping[str, datetime] | None = None
    ) -> None:
        """As that of the file: what a checkpoint or the fence raises before it leaves nothing written."""
        self._checkpoint(f"venue.{step}.before_commit")
        self._fence()
        self._events += events
        self._matched |= matched or {}
        self._checkpoint(f"venue.{step}.after_commit")

    def version(self) -> int:
        """Nobody else writes."""
        return 0

    def close(self) -> None:
        """Nothing to let go of."""


class VenueJournal:
    """Every append is one durable transaction. Raises Fatal for an unusable file."""

    def __init__(self, path: Path, checkpoint: Callable[[str], None], fence: Callable[[], None] = lambda: None) -> None:
        self._name = str(path)
        self._checkpoint = checkpoint
        self._fence = fence
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One lock in the broker serialises all use, whichever thread it comes from.
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise Fatal(f"{self._name} cannot be opened: {error}") from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise Fatal(f"{self._name} is not a journal of the simulated venue or is damaged: {error}") from error
        except Fatal:
            self._database.close()
            raise

    def _prepare(self) -> None:
        self._database.execute("PRAGMA busy_timeout = 5000")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._database.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        elif version in OLDER:
            self._database.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise Fatal(f"{self._name} was written by another version ({version}, not {VERSION}) of this program")

    def events(self) -> Iterator[tuple[int, VenueEvent]]:
        """Every event with its sequence number, in order. Raises Fatal where a row cannot be read."""
        with self._usable():
            rows = self._database.execute("SELECT sequence, kind, body FROM events ORDER BY sequence").fetchall()
        for sequence, kind, body in rows:
            try:
                event: VenueEvent = decode(KINDS[kind], json.loads(body))
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                raise Fatal(f"{self._name}: event {sequence} cannot be read; restore the file from a backup") from error
            yield sequence, event

    def matched(self) -> dict[str, datetime]:
        """For each symbol the close of the last bar that was matched."""
        with self._usable():
            rows = self._database.execute("SELECT symbol, closed_at FROM matched").fetchall()
        return {symbol: datetime.fromisoformat(closed_at) for symbol, closed_at in rows}

    def append(
        self, step: str, events: Sequence[tuple[int, VenueEvent]], matched: Mapping[str, datetime] | None = None
    ) -> None:
        """All of it in one transaction, or none. `step` names the checkpoints on both sides of the commit.

        Raises Transient where the disk refuses or another process was faster (nothing was written), and what the fence
        raises.
        """
        rows = [(number, _NAMES[type(event)], event.at.isoformat(), canonical(event)) for number, event in events]
        marks = [(symbol, at.isoformat()) for symbol, at in (matched or {}).items()]
        with self._transaction():
            self._database.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
            self._database.executemany(
                "INSERT INTO matched VALUES (?, ?) ON CONFLICT (symbol) DO UPDATE SET closed_at = excluded.closed_at",
                marks,
            )
            self._checkpoint(f"venue.{step}.before_commit")
            self._fence()
        self._checkpoint(f"venue.{step}.after_commit")

    def version(self) -> int:
        """Changes when another connection has written to the file."""
        with self._usable():
            return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._usable():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Maps the library's errors to ours: a full or busy disk may mend, a damaged file or a second writer not."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise Transient(f"another process has written to {self._name} meanwhile; it is read again") from error
        except sqlite3.OperationalError as error:
            raise Transient(f"{self._name} cannot be used now: {error}") from error
        except sqlite3.DatabaseError as error:
            raise Fatal(f"{self._name} is damaged ({error}); restore it from a backup") from error
