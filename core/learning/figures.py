"""What an account of research adds up to, and how it compares with another one at equal volatility. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.learning.market import Market
from core.learning.portfolio import Result
from core.learning.statistics import Interval, bootstrap, sharpe
from core.series import Floats

CALENDAR_DAYS, SESSION_DAYS = 365, 252
_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Figures:
    """Fractions, not percent; `costs` in USD; `win_rate` of closed trades, 0 without one. `sharpe` is annual, of daily
    returns, without a riskless rate; `halves` are those of the first and the second half of the days."""

    yearly: float
    volatility: float
    sharpe: float
    halves: tuple[float, float]
    drawdown: float
    trades: int
    win_rate: float
    exposure: float
    turnover: float
    costs: float


def days_a_year(market: Market) -> int:
    """365 where coins are among the instruments, which trade every day, else 252."""
    return CALENDAR_DAYS if bool(market.crypto.any()) else SESSION_DAYS


def figures_of(market: Market, result: Result) -> Figures:
    returns, scale = result.returns(), math.sqrt(days_a_year(market))
    years = float(market.day[-1] - market.day[0] + 1) / _YEAR
    peaks = np.maximum.accumulate(result.equity)
    halves = np.array_split(returns, 2)
    wins = [trade.gain > 0 for trade in result.trades]
    return Figures(
        float((result.equity[-1] / result.equity[0]) ** (1.0 / years) - 1.0),
        float(np.std(returns, ddof=1)) * scale,
        sharpe(returns) * scale,
        (sharpe(halves[0]) * scale, sharpe(halves[1]) * scale),
        float(np.max(1.0 - result.equity / peaks)),
        len(result.trades),
        float(np.mean(wins)) if wins else 0.0,
        float(np.mean(1.0 - result.cash / result.equity)),
        result.traded / float(np.mean(result.equity)) / years,
        result.costs,
    )


def excess(returns: Floats, rule: Floats) -> Floats:
    """Daily returns over those of the rule at equal volatility: each over its own deviation. Of a deviation of 1 a day
    each, so that only their differences mean anything."""
    return _unit(returns) - _unit(rule)


def sharpe_gain(returns: Floats, rule: Floats, scale: int, seed: int, rounds: int = 2000) -> Interval:
    """The annual Sharpe ratio less the rule's, which at equal volatility is the gain in return, with its 90 % interval
    by the paired stationary bootstrap: blocks of 20 days on average."""
    root = math.sqrt(scale)

    def difference(part: Floats) -> float:
        return (sharpe(part[:, 0]) - sharpe(part[:, 1])) * root

    rows = np.column_stack((returns, rule))
    return bootstrap(rows, difference, np.random.default_rng(seed), length=20.0, rounds=rounds, level=0.9)


def _unit(returns: Floats) -> Floats:
    spread = float(np.std(returns, ddof=1))
    return returns / spread if spread > 0 else returns
