"""What the account of a run was worth at each of its ticks, from what was booked and the prices of the bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from core.backtest.ledger import Booked
from core.performance import Curve
from core.series import BarSeries, Floats, Seconds, seconds_of


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """An account at each of `at` (seconds since 1970): USD in cash and, by symbol, in what is held. Equal lengths."""

    at: Seconds
    cash: Floats
    flow: Floats
    held: Mapping[str, Floats]

    @property
    def value(self) -> Floats:
        total: Floats = np.sum([self.cash, *self.held.values()], axis=0)
        return total

    def curve(self) -> Curve:
        return Curve(self.at, self.value, self.cash, self.flow)


def prices_at(series: Sequence[BarSeries], at: Seconds) -> Floats:
    """The close of what had closed last by each moment, of the first of `series` where two closed together; NaN where
    nothing had. `series` are of one symbol; shape as `at`."""
    price, closed = np.full(len(at), np.nan), np.full(len(at), -1, np.int64)
    for bars in series:
        row = np.searchsorted(bars.closed_at, at, side="right") - 1
        known = row >= 0
        newer = np.where(known, bars.closed_at[np.maximum(row, 0)], -1) if len(bars) else closed
        better = known & (newer > closed)
        price[better] = bars.close[row[better]]
        closed[better] = newer[better]
    return price


def holdings_of(booked: Sequence[Booked], account: str, prices: Mapping[str, Floats], at: Seconds) -> Holdings:
    """`prices` by symbol, in the shape of `at`, whose moments include every one at which something was booked."""
    own = [each for each in booked if each.entry.account == account]
    cash = _steps([(each.at, float(each.cash)) for each in own], at)
    flow = np.zeros(len(at))
    for each in own[1:]:
        # The opening deposit is what the curve begins with.
        flow[int(np.searchsorted(at, seconds_of(each.at)))] += float(each.flow)
    moves: dict[str, list[tuple[datetime, float]]] = {}
    for each in own:
        symbol = getattr(each.entry, "symbol", "")
        if symbol:
            moves.setdefault(symbol, []).append((each.at, float(each.units)))
    held = {symbol: np.nan_to_num(_steps(units, at) * prices[symbol]) for symbol, units in sorted(moves.items())}
    return Holdings(at, cash, flow, held)


def _steps(values: Sequence[tuple[datetime, float]], at: Seconds) -> Floats:
    """What the newest value by each moment is; zero before the first."""
    if not values:
        return np.zeros(len(at))
    times = np.array([seconds_of(when) for when, _ in values], np.int64)
    steps = np.array([0.0, *(value for _, value in values)])
    found: Floats = steps[np.searchsorted(times, at, side="right")]
    return found
