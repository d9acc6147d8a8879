"""Bars on disk (core.ports.BarStore): written in bulk, read as columns, the newest kept in memory.

The memory is right as long as this process alone writes bars, which the lease sees to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice, repeat
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, select, update

from core.domain.bar_records import NO_NOTES, BarNotes, KnownGap, Seam
from core.domain.bars import BarSize
from core.errors import DataFault
from core.series import COLUMNS, PRICES, VALUES, BarSeries, Seconds, equal_bars, merged, sealed, seconds_of, time_of
from core.storage import bar_notes, tables
from core.storage.connections import Connections
from core.storage.statements import read_plain, upsert, write_plain

KEPT: Final = 2_000
ROWS_AT_ONCE: Final = 2_000

_B = tables.bars
_NAMES = tuple(_B.c.keys())
_UPSERT = upsert(_B, ("symbol", "size", "closed_at"))
_OF = (_B.c.symbol == bindparam("of_symbol")) & (_B.c.size == bindparam("of_size"))
_READ = (
    select(*(_B.c[name] for name in COLUMNS))
    .where(_OF, _B.c.closed_at <= bindparam("end"))
    .order_by(_B.c.closed_at.desc())
    .limit(bindparam("most"))
)
_CLOSES = (
    select(_B.c.closed_at)
    .where(_OF, _B.c.closed_at > bindparam("after"), _B.c.closed_at <= bindparam("until"))
    .order_by(_B.c.closed_at)
)
_HELD = select(*(_B.c[name] for name in COLUMNS), _B.c.source).where(_OF).order_by(_B.c.closed_at)
_OLDEST = select(func.min(_B.c.closed_at)).where(_OF)
_SOURCE = select(_B.c.source).where(_OF).order_by(_B.c.closed_at.desc()).limit(1)
_FORGET = delete(_B).where(_OF, _B.c.closed_at < bindparam("end"), _B.c.source != bindparam("spared"))
_FAR_AWAY: Final = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """All stored bars from the first of `series` on; with `is_all`, all there are. `source` is the newest bar's."""

    series: BarSeries
    is_all: bool
    source: str | None


class SqlBarStore:
    """`writing` opens a write transaction by the name of its checkpoint."""

    def __init__(self, connections: Connections, writing: Callable[[str], AbstractContextManager[Connection]]) -> None:
        self._connections = connections
        self._writing = writing
        self._lock = threading.Lock()
        self._one_by_one = threading.Lock()
        self._tails: dict[tuple[str, BarSize], Tail] = {}
        self._writes: dict[tuple[str, BarSize], int] = {}

    def write(self, series: BarSeries, source: str) -> int:
        """Inserts or replaces; bars that stand there already are not written again. Returns how many rows were.

        Raises DataFault, and writes nothing, for bars out of order or with a number that is not finite.
        """
        return self.write_all([(series, source)])[0]

    def write_all(self, parts: Sequence[tuple[BarSeries, str]], notes: BarNotes = NO_NOTES) -> Sequence[int]:
        """Writes several series, none twice, each with its source, and `notes` on them, in one transaction; how many
        rows of each.

        Raises DataFault, and writes nothing at all, for what `write` refuses.
        """
        for series, _ in parts:
            check_series(series)
        news = [(self._news(series, source), source) for series, source in parts]
        if not notes and not any(len(series) for series, _ in news):
            return [0] * len(parts)
        rows = (row for series, source in news for row in _rows_of(series, source))
        # Two threads must not bring the file and the memory up to date in different orders.
        with self._one_by_one:
            with self._writing("bars") as connection:
                # Months of eight assets made into rows all at once would take a hundred megabytes.
                while some := list(islice(rows, ROWS_AT_ONCE)):
                    write_plain(connection, _UPSERT, _NAMES, some)
                bar_notes.write_notes(connection, notes)
            with self._lock:
                for series, source in news:
                    self._note(series, source)
        return [len(series) for series, _ in news]

    def rescale(self, symbol: str, size: BarSize, until: datetime, ratio: Decimal) -> int:
        """Divides prices and multiplies volumes of the bars closed at or before `until`; returns how many bars."""
        factor = float(ratio)
        values = {name: _B.c[name] / factor for name in PRICES}
        key = (symbol, size)
        statement = update(_B).where(_OF, _B.c.closed_at <= bindparam("end"))
        with self._one_by_one:
            with self._writing("bars.rescale") as connection:
                done = connection.execute(
                    statement.values(**values, volume=_B.c.volume * factor),
                    {"of_symbol": symbol, "of_size": size, "end": seconds_of(until)},
                ).rowcount
            with self._lock:
                self._writes[key] = self._writes.get(key, 0) + 1
                self._tails.pop(key, None)
        return done

    def forget(self, before: Mapping[BarSize, datetime], spared: str) -> int:
        """Removes the bars of each size that closed before its time, except those of the source `spared`, and what is
        noted of them; returns how many."""
        keys = [key for key in self.all_series() if key[1] in before]
        with self._one_by_one:
            with self._writing("old bars") as connection:
                gone = 0
                for symbol, size in keys:
                    old = {"of_symbol": symbol, "of_size": size, "end": seconds_of(before[size]), "spared": spared}
                    gone += connection.execute(_FORGET, old).rowcount
                for size, at in before.items():
                    bar_notes.forget(connection, size, seconds_of(at))
            with self._lock:
                for key in keys:
                    self._writes[key] = self._writes.get(key, 0) + 1
                    self._tails.pop(key, None)
        return gone

    def _news(self, series: BarSeries, source: str) -> BarSeries:
        known = self._tail((series.symbol, series.size))
        return series.part(~equal_bars(series, known.series)) if source == known.source else series

    def _note(self, news: BarSeries, source: str) -> None:
        """Brings the memory up to what was just written."""
        if not len(news):
            return
        key = (news.symbol, news.size)
        self._writes[key] = self._writes.get(key, 0) + 1
        tail = self._tails.get(key)
        if tail is not None:
            self._tails[key] = _after_write(tail, news, source)

    def read(self, symbol: str, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end`, ascending. The columns cannot be written to."""
        tail = self._tail((symbol, size))
        known = tail.series.until(end)
        if tail.is_all or len(known) >= count:
            return known.last(count)
        return self._load((symbol, size), seconds_of(end), count)

    def held(self, symbol: str, size: BarSize) -> tuple[BarSeries, Sequence[str]]:
        """Every stored bar of a series, ascending, and the source of each."""
        with self._connections.open() as connection:
            rows = read_plain(connection, _HELD, {"of_symbol": symbol, "of_size": size.value})
        *columns, sources = zip(*rows, strict=True) if rows else ((),) * (len(COLUMNS) + 1)
        return _series_of(symbol, size, columns), sources

    def closes(self, symbol: str, size: BarSize, after: int, until: int) -> Seconds:
        """When the stored bars close that close after `after` and at or before `until`, in seconds, ascending."""
        asked = {"of_symbol": symbol, "of_size": size, "after": after, "until": until}
        with self._connections.open() as connection:
            return np.array(connection.execute(_CLOSES, asked).scalars().all(), np.int64)

    def known_gaps(self, symbol: str, size: BarSize) -> Sequence[KnownGap]:
        """What the sources are known not to have of the series, ascending."""
        with self._connections.open() as connection:
            return bar_notes.known_gaps(connection, symbol, size)

    def seams(self, after_id: int = 0) -> Sequence[Seam]:
        """Those recorded after the one of that id, of all series, in the order of their recording."""
        with self._connections.open() as connection:
            return bar_notes.seams(connection, after_id)

    def all_series(self) -> Sequence[tuple[str, BarSize]]:
        """Symbol and size of every stored series, sorted."""
        with self._connections.open() as connection:
            found = connection.execute(select(_B.c.symbol, _B.c.size).distinct()).all()
        return sorted((symbol, size) for symbol, size in found)

    def refusals(self) -> Mapping[tuple[str, BarSize], Mapping[str, int]]:
        """By series and class of defect, how many bars were refused."""
        with self._connections.open() as connection:
            return bar_notes.refusals(connection)

    def newest_close(self, symbol: str, size: BarSize) -> datetime | None:
        series = self._tail((symbol, size)).series
        return time_of(series.closed_at[-1]) if len(series) else None

    def oldest_close(self, symbol: str, size: BarSize) -> datetime | None:
        tail = self._tail((symbol, size))
        if not len(tail.series):
            return None
        return time_of(tail.series.closed_at[0] if tail.is_all else self._value(_OLDEST, (symbol, size)))

    def source_of(self, symbol: str, size: BarSize) -> str | None:
        """The source of the newest stored bar: two sources are never mixed in one series."""
        return self._tail((symbol, size)).source

    def _value(self, statement: Any, key: tuple[str, BarSize]) -> Any:
        with self._connections.open() as connection:
            return connection.execute(statement, {"of_symbol": key[0], "of_size": key[1]}).scalar()

    def _tail(self, key: tuple[str, BarSize]) -> Tail:
        with self._lock:
            known = self._tails.get(key)
            writes = self._writes.get(key, 0)
        if known is not None:
            return known
        series = self._load(key, _FAR_AWAY, KEPT)
        loaded = Tail(series, len(series) < KEPT, self._value(_SOURCE, key))
        with self._lock:
            # What was read while another thread wrote may miss what it wrote: good for this answer, not for later ones.
            if self._writes.get(key, 0) == writes:
                self._tails[key] = loaded
        return loaded

    def _load(self, key: tuple[str, BarSize], end: int, count: int) -> BarSeries:
        symbol, size = key
        with self._connections.open() as connection:
            asked = {"of_symbol": symbol, "of_size": size.value, "end": end, "most": count}
            rows = read_plain(connection, _READ, asked)
        return _series_of(symbol, size, list(zip(*reversed(rows), strict=True)) or [()] * len(COLUMNS))


def _series_of(symbol: str, size: BarSize, columns: Sequence[Sequence[Any]]) -> BarSeries:
    """COLUMNS, ascending, as a series that cannot be written to."""
    opened, closed, *prices = columns
    times = np.array(opened, np.int64), np.array(closed, np.int64)
    return sealed(BarSeries(symbol, size, *times, *(np.array(column, np.float64) for column in prices)))


def _rows_of(series: BarSeries, source: str) -> Iterator[tuple[object, ...]]:
    """In the order of the table's columns."""
    whose = {"symbol": series.symbol, "size": series.size.value, "source": source}
    columns = [repeat(whose[name]) if name in whose else getattr(series, name).tolist() for name in _NAMES]
    return zip(*columns, strict=False)


def check_series(series: BarSeries) -> None:
    """Raises DataFault for what must never stand in the store."""
    if np.any(np.diff(series.closed_at) <= 0):
        raise DataFault(series.symbol, "bars are out of order or doubled")
    if np.any(series.opened_at >= series.closed_at):
        raise DataFault(series.symbol, "a bar closes before it opens")
    if not all(np.isfinite(getattr(series, name)).all() for name in VALUES):
        raise DataFault(series.symbol, "a bar holds a number that is not finite")


def _after_write(tail: Tail, news: BarSeries, source: str) -> Tail:
    """`tail` after `news` were stored. Bars before its start are left out unless it holds all there are."""
    old = tail.series
    if len(old) and news.closed_at[-1] < old.closed_at[-1]:
        source = tail.source or source
    if not tail.is_all:
        news = news.part(news.closed_at >= old.closed_at[0])
    series = merged(old, news)
    if len(series) < 2 * KEPT:
        return Tail(sealed(series), tail.is_all, source)
    # Picked by number, which copies: a slice would keep all the rest in memory.
    newest = series.part(np.arange(len(series) - KEPT, len(series)))
    return Tail(sealed(newest), is_all=False, source=source)
