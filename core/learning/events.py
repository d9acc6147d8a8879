"""The events that a model may learn to foresee, each named in words. Pure; numpy only.

All but `direction` start from the purchase that a decision at the close of bar t leads to: at the open of bar t + 1.
Where a bar reaches both barriers the lower one counts, because the bar does not tell which came first; a bar that
opens beyond a barrier ends the trade at its open.

The triple barrier (a barrier above, one below, one in time) is from Lopez de Prado, Advances in Financial Machine
Learning (2018), section 3.4; scaling the first two by recent volatility is from section 3.3 there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.learning.labels import Labels, event_name
from core.series import BarSeries, Floats

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One value for each bar of a series that has matured: shape (m,), m at most the number of bars.

    `label` is 1 where the event came true, else 0. `gain` is what the purchase brought, a fraction, before costs.
    `ended` is the bar at whose close the outcome was known.
    """

    label: Labels
    gain: Floats
    ended: Places


@dataclass(frozen=True, slots=True)
class Event:
    """`horizon` is the most bars from the decision to the outcome; `cost` is the fraction that one side of a trade
    costs in the asset at hand, and is used only where the words say so."""

    key: str
    words: str
    horizon: int
    _outcomes: Callable[[BarSeries, float], Outcomes]

    def outcomes(self, bars: BarSeries, cost: float) -> Outcomes:
        return self._outcomes(bars, cost)


def direction(bars: BarSeries, horizon: int) -> Outcomes:
    """Whether the close `horizon` bars later is higher than this one."""
    matured = max(0, len(bars) - horizon)
    gain = bars.close[len(bars) - matured :] / bars.close[:matured] - 1.0
    return Outcomes((gain > 0).astype(np.int8), gain, np.arange(matured) + horizon)


def held_for(bars: BarSeries, horizon: int, cost: float) -> Outcomes:
    """Whether a purchase at the next open, sold `horizon` bars later at the open, gains after costs on both sides."""
    matured = max(0, len(bars) - horizon - 1)
    bought, sold = bars.open[1 : 1 + matured], bars.open[1 + horizon : 1 + horizon + matured]
    gain = sold / bought - 1.0
    net = (1.0 + gain) * (1.0 - cost) / (1.0 + cost) - 1.0
    return Outcomes((net > 0).astype(np.int8), gain, np.arange(matured) + horizon + 1)


def barriers(bars: BarSeries, above: Floats, below: Floats, horizon: int) -> Outcomes:
    """The purchase at the next open ends `above` (a fraction, one a bar) higher, `below` lower, or at the close of the
    `horizon`-th bar; 1 where it ends with a gain. A bar without a finite barrier is 0 with a NaN gain."""
    matured = max(0, len(bars) - horizon)
    bought = bars.open[1 : 1 + matured]
    top, bottom = bought * (1.0 + above[:matured]), bought * (1.0 - below[:matured])
    sold = np.full(matured, np.nan)
    ended = np.full(matured, horizon, np.int64)
    for step in range(1, horizon + 1):
        low, high, first = (column[step : step + matured] for column in (bars.low, bars.high, bars.open))
        fell = np.isnan(sold) & (low <= bottom)
        sold[fell], ended[fell] = np.minimum(first, bottom)[fell], step
        rose = np.isnan(sold) & (high >= top)
        sold[rose], ended[rose] = np.maximum(first, top)[rose], step
    late = np.isnan(sold) & np.isfinite(top) & np.isfinite(bottom)
    sold[late] = bars.close[horizon : horizon + matured][late]
    gain = sold / bought - 1.0
    return Outcomes((gain > 0).astype(np.int8), gain, np.arange(matured) + ended)


def deviation_of_returns(close: Floats, period: int = 20) -> Floats:
    """Sample standard deviation of the last `period` daily returns, a fraction; NaN before there are as many."""
    out = np.full(len(close), np.nan)
    if len(close) > period:
        returns = close[1:] / close[:-1] - 1.0
        out[period:] = np.lib.stride_tricks.sliding_window_view(returns, period).std(axis=1, ddof=1)
    return out


def _mission(bars: BarSeries, _cost: float) -> Outcomes:
    count = len(bars)
    return barriers(bars, np.full(count, 0.15), np.full(count, 0.05), 20)


def _scaled(bars: BarSeries, _cost: float) -> Outcomes:
    reach = deviation_of_returns(bars.close) * np.sqrt(20.0)
    return barriers(bars, SCALED_ABOVE * reach, SCALED_BELOW * reach, 20)


def _direction(horizon: int) -> Event:
    return Event("direction", event_name(horizon), horizon, lambda bars, _: direction(bars, horizon))


SCALED_ABOVE = SCALED_BELOW = 0.5
EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        event.key: event
        for event in (
            _direction(10),
            Event(
                "mission",
                "bought at the next open and sold at +15 %, at -5 % or after 20 bars, it ends with a gain",
                20,
                _mission,
            ),
            Event(
                "scaled",
                "half a usual move up before half of one down, or a gain after 20 bars",
                20,
                _scaled,
            ),
            Event(
                "net",
                "bought at the next open and sold at the open 10 bars later, it gains after costs",
                11,
                lambda bars, cost: held_for(bars, 10, cost),
            ),
        )
    }
)
"""By key. A usual move is the deviation of 20 daily returns, scaled to 20 days by the square root of time."""
_OF_WORDS: Mapping[str, Event] = MappingProxyType({event.words: event for event in EVENTS.values()})
_DIRECTION = re.compile(event_name(0).replace("0", r"([1-9]\d{0,3})"))


def event_named(words: str) -> Event | None:
    """The event that a prediction or model names by `words`, the direction over any number of bars among them: former
    models foresaw others than ten. None for words that this version of the program does not know."""
    if words in _OF_WORDS:
        return _OF_WORDS[words]
    told = _DIRECTION.fullmatch(words)
    return _direction(int(told.group(1))) if told else None
