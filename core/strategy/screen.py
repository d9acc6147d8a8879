"""At which of many bars SMA, RSI and MACD may agree at all, and what the plain rule may want: a quick look ahead for
backtests.

It needs pandas, which the engine that judges one bar at a time does without.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.series import BarSeries, Floats
from core.strategy.features import FAST, FLAT, SIGNAL, SLOW, sma
from core.strategy.plain_rule import AVERAGE_BARS
from core.strategy.policy import Policy
from core.strategy.signal import MIN_CONFIRM_BARS

SURE_BARS = 250
"""From so many confirming bars on the beginning of a recursive average weighs less than a billionth in its end."""
_NEAR = 1e-7
_NEAR_RSI = 0.01


def may_confirm(bars: BarSeries, policy: Policy) -> NDArray[np.bool_]:
    """Whether SMA, RSI and MACD may confirm at each bar, shape (len(bars),): false only where they do not.

    For many bars at once, by averages over the whole series and with room for what the window of `confirmation` and
    the order of additions make of them: what may confirm has still to be judged.
    """
    close = bars.close
    trend = (close * (1 + _NEAR) > sma(close, 20)) & (sma(close, 20) * (1 + _NEAR) > sma(close, 50))
    enough = np.arange(len(close)) >= MIN_CONFIRM_BARS - 1
    if policy.confirm_bars < SURE_BARS:
        return enough & trend
    moves = np.diff(close, prepend=close[:1])
    gain, loss = smooth(np.maximum(moves, 0.0), 14, 14, 1 / 14), smooth(np.maximum(-moves, 0.0), 14, 14, 1 / 14)
    total = gain + loss
    with np.errstate(divide="ignore", invalid="ignore"):
        rsi = np.where(total <= FLAT * close, 50.0, 100.0 * gain / total)
    banded = (rsi >= policy.rsi_low - _NEAR_RSI) & (rsi <= policy.rsi_high + _NEAR_RSI)
    line = smooth(close, SLOW - 1, FAST, 2 / (FAST + 1)) - smooth(close, SLOW - 1, SLOW, 2 / (SLOW + 1))
    histogram = line - smooth(line, SLOW + SIGNAL - 2, SIGNAL, 2 / (SIGNAL + 1))
    may: NDArray[np.bool_] = enough & trend & banded & (histogram > -_NEAR * close)
    return may


def may_hold(daily: BarSeries) -> NDArray[np.bool_]:
    """Whether the plain rule may want the asset after each daily bar, shape (len(daily),): false only where it does
    not."""
    may: NDArray[np.bool_] = daily.close * (1 + _NEAR) > sma(daily.close, AVERAGE_BARS)
    return may


def may_leave(daily: BarSeries) -> NDArray[np.bool_]:
    """Whether the plain rule may sell the asset after each daily bar, shape as above."""
    may: NDArray[np.bool_] = daily.close * (1 - _NEAR) <= sma(daily.close, AVERAGE_BARS)
    return may


def smooth(values: Floats, first: int, period: int, weight: float) -> Floats:
    """The recursive average of core.strategy.features for a long series, equal up to rounding: seeded at index `first`
    with the mean of the `period` values that end there, NaN before it. Shape as given."""
    out = np.full(len(values), np.nan)
    if len(values) > first:
        seeded = values[first:].copy()
        seeded[0] = values[first - period + 1 : first + 1].mean()
        out[first:] = pd.Series(seeded).ewm(alpha=weight, adjust=False).mean().to_numpy()
    return out
