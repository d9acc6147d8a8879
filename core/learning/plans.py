"""From forecasts to what is wanted each day: the mission's gate, its exits, the forest as a gate on a plain rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from core.learning.declared import Configuration
from core.learning.events import EVENTS, deviation_of_returns
from core.learning.history import History
from core.learning.market import Market, side_cost
from core.learning.portfolio import Plan, Result, Rules, simulate
from core.learning.rules import BAND, RULES, laid_out
from core.series import Floats, Mask
from core.strategy.features import FEATURE_NAMES, feature_matrix
from core.strategy.policy import Policy

EVEN = 0.5
FEWEST_SIGNALS = 12.0
"""A year, in all instruments together: a gate that opens less than once a month is shut."""
LONGEST = 20
_POLICY = Policy()
DAILY_RISK = 0.0075
"""What an ordinary day may move a position by in the accounts of the research, a fraction of equity. The engine's own
default has been lowered since, to keep within its budget of drawdown (core/settings/PROFILES.md)."""


def confirms(history: History) -> Mask:
    """Whether SMA, RSI and MACD confirm an entry at each bar, as core/strategy/signal.py does: shape (bars,)."""
    rows = feature_matrix(history.bars)
    short, long, rsi, histogram = (
        rows[:, FEATURE_NAMES.index(name)] for name in ("sma20_distance", "sma50_distance", "rsi14", "macd_histogram")
    )
    # close / SMA 50 above close / SMA 20 is SMA 20 above SMA 50.
    trend = (short > 0) & (long > short)
    found: Mask = trend & (rsi >= _POLICY.rsi_low / 100) & (rsi <= _POLICY.rsi_high / 100) & (histogram > 0)
    return found


def usual_size(history: History) -> Floats:
    """The fraction of equity that an entry gets: an ordinary day moves it by 0.75 % of equity, under the cap."""
    with np.errstate(divide="ignore"):
        sized = DAILY_RISK / deviation_of_returns(history.bars.close, _POLICY.volatility_bars)
    return np.minimum(sized, float(_POLICY.max_asset_fraction))


def opens(history: History, probability: Floats, threshold: float) -> Mask:
    """The bars that the gate lets through: a probability above `threshold`, confirmed."""
    with np.errstate(invalid="ignore"):
        passed: Mask = (probability > threshold) & confirms(history)
    return passed


def play(
    market: Market,
    histories: Sequence[History],
    config: Configuration,
    probability: Sequence[Floats],
    threshold: float,
    rules: Rules,
    delay: int = 0,
) -> Result:
    """The account of one configuration. `probability` has one array a history, a value a bar."""
    if config.use == "meta":
        weight = RULES[config.rule](market, histories) * _agrees(market, probability)
        free = replace(rules, stop=None, target=None, bars=None)
        return simulate(market, Plan.of_weights(weight, BAND), free, delay)
    said = market.from_bars(probability)
    enter = market.from_bars(
        [opens(*each, threshold).astype(float) for each in zip(histories, probability, strict=True)]
    )
    weight = market.from_bars([usual_size(history) for history in histories])
    leave = np.zeros(said.shape, bool)
    if config.use == "exits":
        with np.errstate(invalid="ignore"):
            leave = said < EVEN
        rules = replace(rules, bars=LONGEST)
    return simulate(market, Plan(np.nan_to_num(weight), enter == 1, leave, np.nan_to_num(said)), rules, delay)


def _agrees(market: Market, probability: Sequence[Floats]) -> Floats:
    """1 where the forest gives a trade even chances or better, or has no opinion yet."""
    said = laid_out(market, probability)
    return np.where(np.isnan(said) | (said >= EVEN), 1.0, 0.0)


def long_bars(market_rule: str, histories: Sequence[History], market: Market) -> list[Floats]:
    """1 at the bars at which the rule holds an instrument, one array a history: what a meta model learns from."""
    weight = RULES[market_rule](market, histories)
    marks = []
    for place, history in enumerate(histories):
        mark = np.zeros(len(history))
        there = market.bar[:, place] >= 0
        mark[market.bar[there, place]] = np.nan_to_num(weight[there, place]) > 0
        marks.append(mark)
    return marks


def base_rates(histories: Sequence[History], event: str, first: int, end: int) -> Mapping[str, float]:
    """How often the event came true in each instrument, whatever anybody forecast, on bars closed in [first, end)."""
    rates = {}
    for history in histories:
        outcomes = EVENTS[event].outcomes(history.bars, side_cost(history.symbol))
        closed = history.bars.closed_at[: len(outcomes.label)]
        usable = np.isfinite(outcomes.gain) & (closed >= first) & (closed < end)
        rates[history.symbol] = float(outcomes.label[usable].mean())
    return rates


def signals(
    histories: Sequence[History], probability: Sequence[Floats], threshold: float, years: float
) -> Mapping[str, float]:
    """How many bars a year the gate lets through in each instrument."""
    return {
        history.symbol: float(opens(history, said, threshold).sum()) / years
        for history, said in zip(histories, probability, strict=True)
    }


def gate_faults(rates: Mapping[str, float], opened: Mapping[str, float], threshold: float) -> list[str]:
    """Why a threshold on an event is no gate, a sentence each; none where it is one."""
    faults = [
        f"{symbol}: the event happens {100 * rate:.0f} % of the time, which passes {100 * threshold:.0f} % by itself"
        for symbol, rate in rates.items()
        if rate >= threshold
    ]
    if sum(opened.values()) < FEWEST_SIGNALS:
        faults.append(f"it opens {sum(opened.values()):.1f} times a year in all instruments together")
    return faults
