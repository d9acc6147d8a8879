"""Bars as columns: what the strategy computes on and what moves between sources, the store and the cycle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.domain.bars import Bar, BarSize

Floats = NDArray[np.float64]
Seconds = NDArray[np.int64]
Mask = NDArray[np.bool_]

PRICES: Final = ("open", "high", "low", "close")
VALUES: Final = (*PRICES, "volume")
COLUMNS: Final = ("opened_at", "closed_at", *VALUES)


def seconds_of(at: datetime) -> int:
    """Whole seconds since 1970 of an aware time."""
    return int(at.timestamp())


def time_of(seconds: int | np.int64) -> datetime:
    """The aware UTC time of whole seconds since 1970."""
    return datetime.fromtimestamp(int(seconds), UTC)


@dataclass(frozen=True, slots=True, eq=False)
class BarSeries:
    """Bars of one symbol and size in ascending order of close. Columns of equal length; times in whole seconds UTC."""

    symbol: str
    size: BarSize
    opened_at: Seconds
    closed_at: Seconds
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.closed_at)

    @classmethod
    def empty(cls, symbol: str, size: BarSize) -> BarSeries:
        none_f, none_i = np.empty(0, np.float64), np.empty(0, np.int64)
        return cls(symbol, size, none_i, none_i, none_f, none_f, none_f, none_f, none_f)

    @classmethod
    def of(cls, symbol: str, size: BarSize, bars: Iterable[Bar]) -> BarSeries:
        rows = list(bars)
        return cls(
            symbol,
            size,
            np.array([seconds_of(bar.opened_at) for bar in rows], np.int64),
            np.array([seconds_of(bar.closed_at) for bar in rows], np.int64),
            *(np.array([getattr(bar, column) for bar in rows], np.float64) for column in VALUES),
        )

    def part(self, which: slice | NDArray[np.bool_] | NDArray[np.int64]) -> BarSeries:
        """The rows that a slice, mask or index array names."""
        return BarSeries(
            self.symbol,
            self.size,
            self.opened_at[which],
            self.closed_at[which],
            self.open[which],
            self.high[which],
            self.low[which],
            self.close[which],
            self.volume[which],
        )

    def until(self, end: datetime) -> BarSeries:
        """The bars closed at or before `end`."""
        if not len(self) or self.closed_at[-1] <= end.timestamp():
            return self
        return self.part(slice(0, int(np.searchsorted(self.closed_at, seconds_of(end), side="right"))))

    def after(self, start: datetime) -> BarSeries:
        """The bars closed after `start`."""
        return self.part(slice(int(np.searchsorted(self.closed_at, seconds_of(start), side="right")), None))

    def last(self, count: int) -> BarSeries:
        """The newest `count` bars, or all if there are fewer."""
        if len(self) <= count:
            return self
        return self.part(slice(max(0, len(self) - count), None))

    def bar(self, index: int) -> Bar:
        return Bar(
            self.symbol,
            self.size,
            time_of(self.opened_at[index]),
            time_of(self.closed_at[index]),
            float(self.open[index]),
            float(self.high[index]),
            float(self.low[index]),
            float(self.close[index]),
            float(self.volume[index]),
        )

    def bars(self) -> Iterator[Bar]:
        return (self.bar(index) for index in range(len(self)))


def concatenated(first: BarSeries, *more: BarSeries) -> BarSeries:
    """The bars of several series of one symbol and size, one after another as they are."""
    columns = [np.concatenate([getattr(part, name) for part in (first, *more)]) for name in COLUMNS]
    return BarSeries(first.symbol, first.size, *columns)


def merged(old: BarSeries, new: BarSeries) -> BarSeries:
    """The bars of two ascending series, ascending; of two that close at one time the new one."""
    both = concatenated(old, new)
    if not len(old) or not len(new) or new.closed_at[0] > old.closed_at[-1]:
        return both
    order = np.argsort(both.closed_at, kind="stable")
    closed = both.closed_at[order]
    return both.part(order[np.append(closed[1:] != closed[:-1], True)])


def equal_bars(series: BarSeries, held: BarSeries) -> Mask:
    """Which bars of `series` stand in `held`, ascending, with the very same numbers."""
    places = np.searchsorted(held.closed_at, series.closed_at)
    same: Mask = places < len(held)
    at = np.where(same, places, 0)
    for name in COLUMNS if same.any() else ():
        same = same & (getattr(held, name)[at] == getattr(series, name))
    return same


def sealed(series: BarSeries) -> BarSeries:
    """The same series; its columns cannot be written to any more."""
    for name in COLUMNS:
        getattr(series, name).setflags(write=False)
    return series
