"""A BarStore in memory, a clock that stands still, small series to feed it, and where the real market data lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.clock import SystemClock
from core.domain.bar_records import NO_NOTES, BarNotes, KnownGap, Seam
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.series import BarSeries, Seconds, concatenated, seconds_of, time_of


class _NeedsSharedData:
    """Skips a test, with the reason, where the real market data is not beside the checkout."""

    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"

    def __call__(self, test: Callable[..., Any]) -> Any:
        reason = f"the real market data is not at {self.folder}"
        return pytest.mark.skipif(not self.folder.is_dir(), reason=reason)(test)


needs_shared_data = _NeedsSharedData()


class KeptHistory:
    """A source of past bars in memory, without dividends and splits; heirs fill `_series`."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, BarSize], BarSeries] = {}

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        series = self._series[instrument.symbol, size]
        stop = int(series.closed_at.searchsorted(seconds_of(end), side="right"))
        return series.part(slice(max(0, stop - count), stop))

    def reach(self, _size: BarSize) -> None:
        return None

    def actions(self, _symbol: str, _after: datetime, _until: datetime) -> Sequence[Any]:
        return ()

    def refused(self) -> dict[Any, Any]:
        return {}


class MemoryBarStore:
    """Keeps the bars of each symbol and size by close time, as the real store does."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, BarSize], BarSeries] = {}
        self._sources: dict[tuple[str, BarSize], dict[int, str]] = {}
        self._gaps: list[KnownGap] = []
        self._seams: list[Seam] = []

    def write(self, series: BarSeries, source: str) -> int:
        key = (series.symbol, series.size)
        known = self._series.get(key, BarSeries.empty(*key))
        kept = known.part(~np.isin(known.closed_at, series.closed_at))
        both = concatenated(kept, series)
        self._series[key] = both.part(np.argsort(both.closed_at, kind="stable"))
        self._sources.setdefault(key, {}).update(dict.fromkeys(series.closed_at.tolist(), source))
        return len(series)

    def write_all(self, parts: Sequence[tuple[BarSeries, str]], notes: BarNotes = NO_NOTES) -> Sequence[int]:
        for found in notes.gaps:
            whose = (found.symbol, found.size, found.source)
            self._gaps = [
                gap
                for gap in self._gaps
                if (gap.symbol, gap.size, gap.source) != whose or gap.first < found.first or gap.last > found.last
            ]
            self._gaps += found.gaps
        self._seams += [replace(seam, id=len(self._seams) + 1 + n) for n, seam in enumerate(notes.seams)]
        return [self.write(series, source) for series, source in parts]

    def closes(self, symbol: str, size: BarSize, after: int, until: int) -> Seconds:
        closed = self._series.get((symbol, size), BarSeries.empty(symbol, size)).closed_at
        return closed[(closed > after) & (closed <= until)]

    def known_gaps(self, symbol: str, size: BarSize) -> Sequence[KnownGap]:
        found = [gap for gap in self._gaps if (gap.symbol, gap.size) == (symbol, size)]
        return sorted(found, key=lambda gap: (gap.first, gap.source))

    def seams(self, after_id: int = 0) -> Sequence[Seam]:
        return [seam for seam in self._seams if seam.id > after_id]

    def read(self, symbol: str, size: BarSize, end: datetime, count: int) -> BarSeries:
        return self._series.get((symbol, size), BarSeries.empty(symbol, size)).until(end).last(count)

    def rescale(self, symbol: str, size: BarSize, until: datetime, ratio: Decimal) -> int:
        series = self._series.get((symbol, size))
        if series is None:
            return 0
        old, factor = series.until(until), float(ratio)
        bars = [
            replace(
                bar,
                open=bar.open / factor,
                high=bar.high / factor,
                low=bar.low / factor,
                close=bar.close / factor,
                volume=bar.volume * factor,
            )
            for bar in old.bars()
        ]
        return self.write(BarSeries.of(symbol, size, bars), self.source_of(symbol, size) or "")

    def newest_close(self, symbol: str, size: BarSize) -> datetime | None:
        series = self._series.get((symbol, size))
        return time_of(series.closed_at[-1]) if series is not None and len(series) else None

    def oldest_close(self, symbol: str, size: BarSize) -> datetime | None:
        series = self._series.get((symbol, size))
        return time_of(series.closed_at[0]) if series is not None and len(series) else None

    def source_of(self, symbol: str, size: BarSize) -> str | None:
        sources = self.sources_of(symbol, size)
        return sources[-1][1] if sources else None

    def sources_of(self, symbol: str, size: BarSize) -> list[tuple[int, str]]:
        """Close and source of each bar, ascending."""
        return sorted(self._sources.get((symbol, size), {}).items())


class StillClock:
    """Market time stands where a test puts it; the monotonic clock is the real one, for real time-outs."""

    def __init__(self, now: datetime) -> None:
        self.time = now
        self._system = SystemClock()

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self._system.monotonic()


def steady_series(
    symbol: str, size: BarSize, first_open: datetime, count: int, price: float = 100.0, step: timedelta | None = None
) -> BarSeries:
    """`count` good bars one after another, each a little higher than the last."""
    span = int((step or size.span).total_seconds())
    opened = seconds_of(first_open.astimezone(UTC)) + span * np.arange(count, dtype=np.int64)
    level = price + np.arange(count, dtype=np.float64)
    return BarSeries(symbol, size, opened, opened + span, level, level + 2.0, level - 2.0, level + 1.0, level * 10)
