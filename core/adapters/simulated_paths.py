"""The simulated market's five minutes: a Brownian bridge from each day's open to its close, month by month.

Highs and lows within a bar follow the exact law of a Brownian bridge's extremes (Karatzas and Shreve, Brownian Motion
and Stochastic Calculus, 4.3.40): max = (a + b + sqrt((b - a)^2 + 2 s^2 E)) / 2 with E exponential and s^2 the bar's
variance. So a daily bar is the aggregate of its five-minute bars by construction, and can be had without their volumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.adapters.simulated_days import COIN_BARS, Asset, Days, generator
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.series import BarSeries, Floats

FIVE_MINUTES = 300
STOCK_BARS = 78


@dataclass(frozen=True, slots=True, eq=False)
class _Month:
    """Log prices of a month's bars, a row a day; rows of half days are padded with the day's end."""

    inside: NDArray[np.bool_]
    start: Floats
    closes: Floats
    highs: Floats
    lows: Floats


@cache
def _shares(asset_class: AssetClass, bars: int, busy: float) -> Floats:
    """How a day's variance (busy 0.6) or volume (busy 1.5) is spread over its bars; sums to one.

    Stocks are busy after the open and before the close, coins while both Europe and America are awake.
    """
    bar = np.arange(bars, dtype=np.float64)
    if asset_class is AssetClass.STOCK:
        weight = 1 + busy * (1.1 * np.exp(-bar / 6) + 0.8 * np.exp(-(bars - 1 - bar) / 5))
    else:
        weight = 1 + 0.4 * busy * np.cos(2 * np.pi * (bar / bars - 15.5 / 24))
    shares: Floats = weight / weight.sum()
    shares.setflags(write=False)
    return shares


def _share_rows(asset: Asset, days: Days, rows: slice, busy: float) -> Floats:
    width = _width(asset)
    counts = days.bar_count[rows]
    matrix = np.zeros((len(counts), width))
    for count in np.unique(counts):
        matrix[counts == count, :count] = _shares(asset.asset_class, int(count), busy)
    return matrix


def _width(asset: Asset) -> int:
    return STOCK_BARS if asset.asset_class is AssetClass.STOCK else COIN_BARS


def _month(seed: int, asset: Asset, days: Days, rows: slice, month: int) -> _Month:
    shares = _share_rows(asset, days, rows, 0.6)
    shape = shares.shape
    rng = generator(seed, asset.symbol, "path", month)
    own = rng.standard_normal(shape, np.float32)
    above = rng.standard_exponential(shape, np.float32)
    below = rng.standard_exponential(shape, np.float32)
    common = generator(seed, asset.asset_class.value, "path", month).standard_normal(shape, np.float32)
    scale = days.spread[rows, None] * np.sqrt(shares)
    wander = np.cumsum(scale * (days.loading * common + np.sqrt(1 - days.loading**2) * own), axis=1)
    start, end, jump = days.start[rows], days.end[rows], days.jump[rows]
    slope = end - start - jump - wander[:, -1]
    closes = start[:, None] + wander + np.cumsum(shares, axis=1) * slope[:, None]
    closes += jump[:, None] * (np.arange(shape[1]) >= days.jump_bar[rows, None])
    inside = np.arange(shape[1]) < days.bar_count[rows, None]
    # The cumulated shares miss one by rounding: the day ends at its end, to the last digit.
    closes[np.arange(shape[1]) >= days.bar_count[rows, None] - 1] = np.repeat(end, shape[1] - days.bar_count[rows] + 1)
    opens = np.concatenate([start[:, None], closes[:, :-1]], axis=1)
    middle, square, doubled = (opens + closes) / 2, (closes - opens) ** 2, 2 * scale**2
    highs = middle + np.sqrt(square + doubled * above) / 2
    lows = middle - np.sqrt(square + doubled * below) / 2
    return _Month(inside, start, closes, highs, lows)


def _prices(logs: Floats, asset: Asset) -> Floats:
    return np.exp(logs).round(asset.decimals)


def daily_bars(seed: int, asset: Asset, days: Days, rows: slice, month: int) -> BarSeries:
    """The days `rows` of one month as daily bars."""
    path = _month(seed, asset, days, rows, month)
    return BarSeries(
        asset.symbol,
        BarSize.D1,
        days.opened_at[rows],
        days.opened_at[rows] + FIVE_MINUTES * days.bar_count[rows],
        _prices(path.start, asset),
        _prices(path.highs.max(axis=1), asset),
        _prices(path.lows.min(axis=1), asset),
        _prices(days.end[rows], asset),
        days.volume[rows],
    )


def five_minute_bars(seed: int, asset: Asset, days: Days, rows: slice, month: int) -> BarSeries:
    """The days `rows` of one month as five-minute bars."""
    path = _month(seed, asset, days, rows, month)
    opened = days.opened_at[rows, None] + FIVE_MINUTES * np.arange(path.inside.shape[1])
    opens = np.concatenate([path.start[:, None], path.closes[:, :-1]], axis=1)
    opened_flat = opened[path.inside]
    return BarSeries(
        asset.symbol,
        BarSize.M5,
        opened_flat,
        opened_flat + FIVE_MINUTES,
        _prices(opens[path.inside], asset),
        _prices(path.highs[path.inside], asset),
        _prices(path.lows[path.inside], asset),
        _prices(path.closes[path.inside], asset),
        _volumes(seed, asset, days, rows, month)[path.inside],
    )


def _volumes(seed: int, asset: Asset, days: Days, rows: slice, month: int) -> Floats:
    """Whole shares or coins a bar that add up to the day's volume exactly."""
    weights = _share_rows(asset, days, rows, 1.5)
    weights *= np.exp(0.5 * generator(seed, asset.symbol, "volume", month).standard_normal(weights.shape))
    cumulated = np.cumsum(weights, axis=1)
    reached = np.floor(days.volume[rows, None] * (cumulated / cumulated[:, -1:]))
    return np.diff(reached, axis=1, prepend=0.0)


def hourly_bars(five: BarSeries, day_starts: NDArray[np.int64]) -> BarSeries:
    """Hours counted from each day's open (`day_starts` are rows of `five`); the last one is cut short by the close."""
    row = np.arange(len(five))
    since = row - day_starts[np.searchsorted(day_starts, row, side="right") - 1]
    first = np.flatnonzero(since % 12 == 0)
    last = np.append(first[1:], len(five)) - 1
    return BarSeries(
        five.symbol,
        BarSize.H1,
        five.opened_at[first],
        five.closed_at[last],
        five.open[first],
        np.maximum.reduceat(five.high, first),
        np.minimum.reduceat(five.low, first),
        five.close[last],
        np.add.reduceat(five.volume, first),
    )


def minute_prices(seed: int, five: BarSeries, row: int) -> tuple[float, ...]:
    """The price at the 0th to 4th full minute of a bar. With the close they have exactly the bar's high and low."""
    rng = generator(seed, five.symbol, "minutes", int(five.opened_at[row]))
    low, high = float(five.low[row]), float(five.high[row])
    picks = rng.random(4).tolist()
    inner = [low + (high - low) * pick for pick in picks]
    early, late = sorted(rng.permutation(4)[:2].tolist())
    low_first = (five.close[row] >= five.open[row]) == (rng.random() < 0.8)
    inner[early], inner[late] = (low, high) if low_first else (high, low)
    return (float(five.open[row]), *inner)
