"""The plain rule that learning has to beat, as the engine trades it: an asset is held while its newest daily close is
above the mean of 200, sized so that all together aim at one volatility. Pure; no learning.

Its sizing supposes that instruments of a class move as one, and the classes independently of one another: each of the n
instruments of one of k classes gets target / (n * sqrt(k)) a year, divided by its own deviation. The engine buys that
size once and neither adds to it nor takes from it while it holds: core.learning.rules, which brings sizes back day by
day, is the same rule in research.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.domain.decisions import RULE_GATE, Verdict
from core.domain.instruments import AssetClass
from core.domain.values import plain
from core.series import BarSeries
from core.strategy.policy import Policy, Strategy
from core.strategy.snapshot import MarketView, Snapshot

AVERAGE_BARS = 200
DEVIATION_RETURNS = 60
DAYS_A_YEAR: Mapping[AssetClass, float] = {AssetClass.STOCK: 252.0, AssetClass.CRYPTO: 365.0}


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest daily close beside the mean of the newest 200, both in USD."""

    close: float
    mean: float

    @property
    def is_above(self) -> bool:
        return self.close > self.mean

    @property
    def words(self) -> str:
        relation = "above" if self.is_above else "not above"
        away = 100 * (self.close / self.mean - 1)
        mean = f"its mean of {AVERAGE_BARS} days, {_price(self.mean)} ({away:+.1f} %)"
        return f"daily close {_price(self.close)} is {relation} {mean}"


def standing(daily: BarSeries) -> Standing | None:
    """Where the newest of `daily` stands; None while there are too few valid bars."""
    closes = daily.last(AVERAGE_BARS).close
    if len(closes) < AVERAGE_BARS:
        return None
    mean = float(np.add.reduce(closes)) / AVERAGE_BARS
    return Standing(float(closes[-1]), mean) if math.isfinite(mean) and mean > 0 else None


def rule_verdict(daily: BarSeries) -> Verdict:
    """Passes where the asset is to be held."""
    found = standing(daily)
    if found is None:
        return Verdict(RULE_GATE, False, f"{len(daily)} daily bars, {AVERAGE_BARS} valid ones needed")
    return Verdict(RULE_GATE, found.is_above, found.words)


def sale_by_rule(market: MarketView | None, policy: Policy) -> tuple[str, str] | None:
    """(cause, reason) where the rule is followed and no longer wants what is held; what cannot be judged is kept."""
    if policy.strategy is not Strategy.RULE or market is None:
        return None
    found = standing(market.daily)
    return None if found is None or found.is_above else (RULE_GATE, found.words)


def yearly_deviation(market: MarketView) -> float | None:
    """Of the newest 60 daily returns, a fraction a year; None where there are fewer, or they are not valid."""
    closes = market.daily.last(DEVIATION_RETURNS + 1).close
    if len(closes) <= DEVIATION_RETURNS or not (np.isfinite(closes).all() and closes.min() > 0):
        return None
    days = DAYS_A_YEAR[market.instrument.asset_class]
    return float(np.std(closes[1:] / closes[:-1], ddof=1)) * math.sqrt(days)


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of an account's volatility, a fraction a year, one instrument may have, and why."""

    size: float
    words: str


def part_of(snapshot: Snapshot, market: MarketView, policy: Policy) -> Part:
    """The same part for each instrument of a class whose deviation is known."""
    known = snapshot.once(RULE_GATE, lambda: _members(snapshot))
    own = max(known[market.instrument.asset_class], 1)
    size = float(policy.volatility_target) / (own * math.sqrt(max(len(known), 1)))
    counted = " and ".join(_counted(known[each], each) for each in AssetClass if known[each])
    return Part(
        size, f"an equal part of {plain(100 * policy.volatility_target)} % a year for {counted or 'nothing yet'}"
    )


def share_of(part: Part, deviation: float) -> float:
    """The fraction of equity to hold; a deviation of zero sets no limit."""
    return part.size / deviation if deviation > 0 else math.inf


def _members(snapshot: Snapshot) -> Counter[AssetClass]:
    known = (market for market in snapshot.markets if (yearly_deviation(market) or 0.0) > 0)
    return Counter(market.instrument.asset_class for market in known)


def _counted(count: int, kind: AssetClass) -> str:
    one, many = _NAMES[kind]
    return f"{count} {one if count == 1 else many}"


_NAMES = {AssetClass.STOCK: ("stock or fund", "stocks and funds"), AssetClass.CRYPTO: ("coin", "coins")}


def _price(value: float) -> str:
    return f"{value:,.2f}" if value >= 10 else f"{value:.4f}"
