"""The bars of a run as a store: everything a source has, of which a reader sees what had closed by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

from core.domain.bars import BarSize
from core.domain.instruments import Instrument, instrument_for
from core.errors import DataFault
from core.feed.depth import DEPTH, bars_in
from core.ports import BarStore, Clock, MarketData
from core.series import BarSeries, Seconds, seconds_of, time_of

EVERY_BAR = 10_000_000
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
NEAR = 1e-9
Key = tuple[str, BarSize]
Levels = tuple[float, float]
"""The highest stop and the lowest target that rest for a symbol, USD; it has no other orders."""


class StoredPast:
    """The bars that an installation has stored, as a source, all read at once; of dividends and raw splits it knows
    nothing."""

    def __init__(self, store: BarStore, symbols: Iterable[str], sizes: Iterable[BarSize]) -> None:
        self.name = "stored bars"
        wanted = [(symbol, size) for size in sizes for symbol in symbols]
        self._known = {key: store.read(*key, LATEST, EVERY_BAR) for key in wanted}

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """Raises DataFault for a series that is not stored."""
        series = self._known.get((instrument.symbol, size))
        if series is None or not len(series):
            raise DataFault(instrument.symbol, f"no {size} bars are stored")
        stop = int(series.closed_at.searchsorted(seconds_of(end), side="right"))
        return series.part(slice(max(0, stop - count), stop))

    def reach(self, _size: BarSize) -> timedelta | None:
        """Whatever is stored."""
        return None


class SourceBars:
    """The read side of the BarStore port on a source that knows the past. Nothing can be written.

    A series begins where an installation that starts at `start` would begin it: the depth of a first collection before
    that.
    """

    def __init__(
        self,
        source: MarketData,
        instruments: Sequence[Instrument],
        sizes: Sequence[BarSize],
        start: datetime,
        end: datetime,
        clock: Clock,
    ) -> None:
        self._source = source
        self._end = end
        self._clock = clock
        self._first: dict[Key, int] = {}
        self._faults: dict[Key, str] = {}
        self.levels: Mapping[str, Levels] = {}
        self._lately: dict[tuple[str, BarSize, int], tuple[datetime, BarSeries]] = {}
        self._whole: dict[Key, BarSeries] = {}
        self._known = {(each.symbol, size): False for size in sizes for each in instruments}
        for size in sizes:
            for instrument in instruments:
                self._begin(instrument, size, start)

    def store(self) -> BarStore:
        """As the port: who writes to it has mistaken a past for a present."""
        return cast(BarStore, self)

    def read(self, symbol: str, size: BarSize, end: datetime, count: int) -> BarSeries:
        """A tick asks for the same bars several times."""
        key = (symbol, size, count)
        known = self._lately.get(key)
        if known is None or known[0] != end:
            known = self._lately[key] = (end, self._part(symbol, size, end, count))
        return known[1]

    def _part(self, symbol: str, size: BarSize, end: datetime, count: int) -> BarSeries:
        first = self._first.get((symbol, size))
        if first is None:
            return BarSeries.empty(symbol, size)
        series = self._source.bars(instrument_for(symbol), size, end, count)
        if len(series) and series.closed_at[0] < first:
            return series.part(slice(int(series.closed_at.searchsorted(first)), None))
        return series

    def traded(self, symbol: str, size: BarSize, after: datetime, until: datetime) -> BarSeries:
        """The bars closed after `after` and at or before `until` that can matter to the orders at `levels`, with the
        newest one: the others reach none of them."""
        series = self._part(symbol, size, until, (until - after) // size.span + 2).after(after)
        levels = self.levels.get(symbol)
        if levels is None or len(series) < 2:
            return series
        matters = (series.low <= levels[0] * (1 + NEAR)) | (series.high >= levels[1] * (1 - NEAR))
        matters[-1] = True
        return series.part(matters)

    def whole(self, symbol: str, size: BarSize) -> BarSeries:
        """Everything up to the end of the run."""
        if (symbol, size) not in self._whole:
            self._whole[symbol, size] = self.read(symbol, size, self._end, EVERY_BAR)
        return self._whole[symbol, size]

    def faults(self, now: datetime) -> dict[str, str]:
        """Why instruments take no entries at `now`, by symbol: a series that cannot be had or has not begun."""
        found: dict[str, str] = {}
        for (symbol, size), begun in self._known.items():
            if begun:
                continue
            self._known[symbol, size] = bool(len(self.read(symbol, size, now, 1)))
            if not self._known[symbol, size]:
                found[symbol] = self._faults.get((symbol, size), f"no {size} bars yet")
        return found

    def closes(self, symbol: str, size: BarSize, after: int, until: int) -> Seconds:
        return self.read(symbol, size, time_of(until), EVERY_BAR).after(time_of(after)).closed_at

    def newest_close(self, symbol: str, size: BarSize) -> datetime | None:
        series = self.read(symbol, size, self._clock.now(), 1)
        return time_of(series.closed_at[-1]) if len(series) else None

    def source_of(self, symbol: str, size: BarSize) -> str | None:
        return self._source.name if (symbol, size) in self._first else None

    def rescale(self, symbol: str, size: BarSize, until: datetime, ratio: Decimal) -> int:  # noqa: ARG002
        """The source tells every moment in the units of that moment already."""
        return 0

    def _begin(self, instrument: Instrument, size: BarSize, start: datetime) -> None:
        try:
            early = self._source.bars(instrument, size, start, bars_in(instrument, size, DEPTH[size]))
        except DataFault as fault:
            self._faults[instrument.symbol, size] = fault.reason
            return
        self._first[instrument.symbol, size] = int(early.closed_at[0]) if len(early) else seconds_of(start)
