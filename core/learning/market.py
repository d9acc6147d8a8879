"""The daily bars of several instruments on one grid of dates, and what trading each of them costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.domain.instruments import AssetClass, instrument_for
from core.learning.history import DAY, History
from core.series import Floats, Mask, Seconds

SIDE_COSTS: Mapping[AssetClass, float] = MappingProxyType({AssetClass.STOCK: 0.000_33, AssetClass.CRYPTO: 0.003_5})
"""Fraction of a trade's value that one side costs. Stocks: 3 basis points of spread and slippage and the regulators'
fees on sales, 0.278 basis points and about as much again by the share, charged here on both sides. Coins: 10 basis
points of spread and slippage and the 25 of a taker. As core/adapters/simulated_profiles.py has them, with sources."""


def side_cost(symbol: str) -> float:
    return SIDE_COSTS[instrument_for(symbol).asset_class]


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Arrays of shape (days, instruments); NaN where an instrument has no bar that day, before its first and between.

    `day` counts whole days since 1970. `mark` is the last known close, NaN before the first. `paid` is the dividend in
    USD a unit. `bar` is the place of the day's bar in its instrument's history, -1 without one. `crypto` and `cost`
    have one value an instrument. `steps` is the smallest quantity that can be traded.
    """

    symbols: tuple[str, ...]
    day: Seconds
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    mark: Floats
    paid: Floats
    bar: NDArray[np.int64]
    crypto: Mask
    cost: Floats
    steps: Floats

    def __len__(self) -> int:
        return len(self.day)

    def from_bars(self, columns: Sequence[Floats]) -> Floats:
        """One array a history, a value a bar, laid out on the grid; NaN where there is no bar."""
        out = np.full(self.bar.shape, np.nan)
        for place, values in enumerate(columns):
            there = (self.bar[:, place] >= 0) & (self.bar[:, place] < len(values))
            out[there, place] = values[self.bar[there, place]]
        return out

    def only(self, chosen: Sequence[str]) -> NDArray[np.int64]:
        """The places of `chosen` symbols."""
        return np.array([self.symbols.index(symbol) for symbol in chosen], np.int64)


def market_of(histories: Sequence[History], first: int, last: int, cost_factor: float = 1.0) -> Market:
    """The grid of all dates from `first` to `last` (whole days since 1970) on which an instrument has a bar."""
    spans = [np.flatnonzero((history.days() >= first) & (history.days() <= last)) for history in histories]
    days = np.unique(np.concatenate([history.days()[span] for history, span in zip(histories, spans, strict=True)]))
    shape = (len(days), len(histories))
    columns = {name: np.full(shape, np.nan) for name in ("open", "high", "low", "close")}
    paid, bar, mark = np.zeros(shape), np.full(shape, -1, np.int64), np.full(shape, np.nan)
    for place, (history, span) in enumerate(zip(histories, spans, strict=True)):
        rows = np.searchsorted(days, history.days()[span])
        for name, column in columns.items():
            column[rows, place] = getattr(history.bars, name)[span]
        paid[rows, place], bar[rows, place] = history.dividend[span], span
        mark[:, place] = _last_known(history, days)
    instruments = [instrument_for(history.symbol) for history in histories]
    return Market(
        tuple(history.symbol for history in histories),
        days,
        columns["open"],
        columns["high"],
        columns["low"],
        columns["close"],
        mark,
        paid,
        bar,
        np.array([instrument.is_crypto for instrument in instruments]),
        np.array([cost_factor * side_cost(history.symbol) for history in histories]),
        np.array([float(instrument.quantity_step) for instrument in instruments]),
    )


def _last_known(history: History, days: Seconds) -> Floats:
    places = np.searchsorted(history.days(), days, side="right") - 1
    return np.where(places >= 0, history.bars.close[np.maximum(places, 0)], np.nan)


def day_of(seconds: int) -> int:
    return seconds // DAY
