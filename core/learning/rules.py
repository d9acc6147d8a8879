"""The plain rules that a model has to beat: what fraction of equity each holds after each day. Pure; no learning.

Weights have the shape (days, instruments) of the market's grid and are NaN before they can be known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from core.domain.instruments import AssetClass
from core.learning.events import deviation_of_returns
from core.learning.history import History
from core.learning.market import Market
from core.learning.portfolio import Plan, Result, Rules, simulate
from core.series import Floats
from core.strategy.features import sma
from core.strategy.plain_rule import AVERAGE_BARS, DAYS_A_YEAR, DEVIATION_RETURNS

CHANNELS = (20, 55, 100)
VOLATILITY_TARGET = 0.12
"""What a rule aims at for the whole account, a year."""
ASSET_CAP = 0.25
PERIODS = DEVIATION_RETURNS


def donchian(close: Floats, high: Floats, low: Floats, period: int) -> Floats:
    """1 from a close above the highest high of the `period` bars before until one below the lowest low of the half as
    many before, else 0; NaN for the first `period` bars. The channel of Donchian (1960), with the faster way out of
    the Turtle rules (Faith, Way of the Turtle, 2007)."""
    state = np.full(len(close), np.nan)
    inside, out = False, period // 2
    for bar in range(period, len(close)):
        if not inside and close[bar] > high[bar - period : bar].max():
            inside = True
        elif inside and close[bar] < low[bar - out : bar].min():
            inside = False
        state[bar] = 1.0 if inside else 0.0
    return state


def channel_share(history: History) -> Floats:
    """The mean of the three channels, 0 to 1: shape (bars,)."""
    bars = history.bars
    states = np.array([donchian(bars.close, bars.high, bars.low, period) for period in CHANNELS])
    return np.asarray(states.mean(axis=0), np.float64)


def yearly_deviation(history: History, is_crypto: bool) -> Floats:
    """Deviation of the last 60 daily returns, a year: shape (bars,)."""
    scale = math.sqrt(DAYS_A_YEAR[AssetClass.CRYPTO if is_crypto else AssetClass.STOCK])
    return deviation_of_returns(history.bars.close, PERIODS) * scale


def above_average(history: History, period: int = AVERAGE_BARS) -> Floats:
    """1 where the close is above its mean of `period` bars, else 0; NaN before."""
    mean = sma(history.bars.close, period)
    return np.where(np.isnan(mean), np.nan, (history.bars.close > mean).astype(np.float64))


def equal_risk(market: Market, histories: Sequence[History], target: float = VOLATILITY_TARGET) -> Floats:
    """Weights that give each instrument of the day the same part of the volatility target, under the cap on one asset.

    Instruments of a class move together, and the classes hardly with one another: a class's deviation is the sum of its
    parts' (correlation 1 within), the account's the root of the sum of squares (0 between). So each of the n
    instruments of one of k classes gets target / (n * sqrt(k)), divided by its own deviation.
    """
    deviation = laid_out(market, [yearly_deviation(each, bool(is_coin)) for each, is_coin in _pairs(market, histories)])
    known = np.isfinite(deviation) & (deviation > 0)
    stocks, coins = (known[:, chosen].sum(axis=1) for chosen in (~market.crypto, market.crypto))
    classes = np.maximum((stocks > 0).astype(int) + (coins > 0).astype(int), 1)
    members = np.where(market.crypto[None, :], coins[:, None], stocks[:, None])
    part = target / (np.maximum(members, 1) * np.sqrt(classes)[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(known, np.minimum(part / deviation, ASSET_CAP), np.nan)
    return weight


def laid_out(market: Market, columns: Sequence[Floats]) -> Floats:
    """Values of bars on the market's grid; on a day without a bar the last one before it holds."""
    grid = market.from_bars(columns)
    rows = np.where(np.isnan(grid), 0, np.arange(len(grid))[:, None])
    filled: Floats = np.take_along_axis(grid, np.maximum.accumulate(rows, axis=0), axis=0)
    return filled


def held_at_target(market: Market, histories: Sequence[History]) -> Floats:
    """Everything, always, at the volatility target."""
    return equal_risk(market, histories)


def held_above_average(market: Market, histories: Sequence[History]) -> Floats:
    """Whatever is above its mean of 200 days, at the volatility target."""
    return equal_risk(market, histories) * laid_out(market, [above_average(each) for each in histories])


def channels(market: Market, histories: Sequence[History]) -> Floats:
    """Donchian channels of 20, 55 and 100 days, at the volatility target."""
    return equal_risk(market, histories) * laid_out(market, [channel_share(each) for each in histories])


RULES: Mapping[str, Callable[[Market, Sequence[History]], Floats]] = MappingProxyType(
    {"held at target": held_at_target, "held above average": held_above_average, "channels": channels}
)
"""By name. A weight of NaN holds nothing."""
BAND = 0.02
"""What is held is brought back to its weight once it is off by more than this part of equity."""


def play(market: Market, weight: Floats, rules: Rules, delay: int = 0) -> Result:
    """The account of a rule: no stop and no target, the rule itself says when to leave."""
    return simulate(market, Plan.of_weights(weight, BAND), replace(rules, stop=None, target=None, bars=None), delay)


def buy_and_hold(market: Market, start: float) -> Result:
    """An equal part of `start` USD for each instrument, spent at its first open and never touched again; until then,
    and with the dividends, it lies in cash."""
    there = ~np.isnan(market.open)
    first, days = np.argmax(there, axis=0), np.arange(len(market))[:, None]
    part = start / len(market.symbols)
    value = part / (1.0 + market.cost)
    units = value / market.open[first, np.arange(len(first))]
    held = days >= first
    paid = np.cumsum(np.where(days > first, units * market.paid, 0.0), axis=0)
    cash = np.where(held, paid, part).sum(axis=1)
    equity = cash + np.where(held, units * market.mark, 0.0).sum(axis=1)
    return Result(equity, cash, (), float((part - value).sum()), float(value.sum()), len(market.symbols))


def _pairs(market: Market, histories: Sequence[History]) -> Sequence[tuple[History, bool]]:
    return list(zip(histories, market.crypto.tolist(), strict=True))
