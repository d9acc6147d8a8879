"""Sources of bars that come and go, and a line of ticks over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.errors import DataFault, Unreachable
from core.series import COLUMNS, BarSeries


class Feed:
    """Gives what it holds as far as it has come, while it is up; remembers what it was asked.

    Its prices lie up to a fraction `off` from the truth, its volumes are `volume` times it; `holds` marks the bars that
    it has at all. Before each answer `meets` may raise.
    """

    def __init__(
        self,
        name: str,
        series: Sequence[BarSeries],
        *,
        off: float = 0.0,
        volume: float = 1.0,
        reach: timedelta | None = None,
    ) -> None:
        self.name = name
        self.is_up = True
        self.asked: list[tuple[str, BarSize, int]] = []
        self.meets: Callable[[Instrument, BarSize], None] = lambda _instrument, _size: None
        self.held = {(each.symbol, each.size): told_otherwise(each, off, volume) for each in series}
        self._reach = reach

    def bars(self, instrument: Instrument, size: BarSize, end: object, count: int) -> BarSeries:
        self.asked.append((instrument.symbol, size, count))
        if not self.is_up:
            raise Unreachable("its servers are out of order")
        self.meets(instrument, size)
        known = self.held.get((instrument.symbol, size))
        if known is None:
            raise DataFault(instrument.symbol, "never heard of it")
        return known.until(end).last(count)  # type: ignore[arg-type]

    def reach(self, size: BarSize) -> timedelta | None:
        return self._reach

    def loses(self, symbol: str, size: BarSize, which: Callable[[BarSeries], np.ndarray]) -> None:
        """Bars of the mask are no longer there."""
        series = self.held[symbol, size]
        self.held[symbol, size] = series.part(~which(series))


def told_otherwise(series: BarSeries, off: float, volume: float) -> BarSeries:
    factor = 1 + off * np.cos(np.arange(len(series)))
    opened, closed = series.open * factor, series.close * factor
    return replace(
        series,
        open=opened,
        high=np.maximum(series.high, np.maximum(opened, closed)),
        low=np.minimum(series.low, np.minimum(opened, closed)),
        close=closed,
        volume=series.volume * volume,
    )


def same_bars(one: BarSeries, other: BarSeries) -> bool:
    """To the last bit."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)
