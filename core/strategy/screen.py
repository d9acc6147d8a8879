"""Where among many bars the rules of core.strategy may say yes at all: a quick look ahead for backtests, in floats and
with room for their roundings. What passes has still to be judged by the rules themselves.

It needs pandas, which the engine that judges one bar at a time does without.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.domain.instruments import Instrument
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


def may_afford(
    instrument: Instrument,
    price: Floats,
    equity: Floats,
    invested: Floats,
    in_coins: Floats,
    cash: float,
    policy: Policy,
) -> NDArray[np.bool_]:
    """Whether the limits of core.strategy.sizing may leave room for a smallest order of something that is not held:
    false only where they do not. All in USD, of the one account that holds anything; arrays of one shape."""
    rooms = [float(policy.max_asset_fraction) * equity, float(policy.max_exposure_fraction) * equity - invested]
    if instrument.is_crypto:
        rooms.append(float(policy.max_crypto_fraction) * equity - in_coins)
    slack = 1 + float(min(policy.band_fraction, policy.gap_fraction))
    rooms.append(cash / (1 + float(policy.cost_fraction)) * np.ones(len(price)))
    room = np.min(rooms, axis=0) + _NEAR * np.abs(equity)
    least = np.maximum(float(instrument.min_order_value), float(instrument.quantity_step) * price)
    may: NDArray[np.bool_] = room >= least * slack * (1 - _NEAR)
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
