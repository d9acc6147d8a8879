"""A quick account for research: daily bars, fills at the next open with costs, stops before targets within a bar.

Order of one date: coins trade at 0:00Z, before stocks open. Within a class what leaves is sold before anything is
bought, so that its cash is there. Then each bar's stop and target, the stop first; a bar that opens beyond a level
fills at its open. Decisions are made after the last close of a date, sized on what is known then, and wait for the
next bar of their instrument. Cash earns nothing and never goes below zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.learning.market import Market
from core.series import Floats, Mask

ENTRY, REBALANCE, LEFT, STOP, TARGET, TIME = "entry", "rebalance", "signal", "stop", "target", "time"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is wanted after the close of each day; shapes (days, instruments).

    `weight` is the fraction of equity to hold. An instrument that is not held is bought where `enter` says so, one that
    is held is sold where `leave` says so. `first` ranks purchases that compete for cash, the highest first. With a
    `band` the size of what is held is brought back to `weight` once it is off by more than that fraction of equity.
    """

    weight: Floats
    enter: Mask
    leave: Mask
    first: Floats
    band: float | None = None

    @classmethod
    def of_weights(cls, weight: Floats, band: float) -> Plan:
        """Follow `weight`: hold what is above zero. NaN means that nothing is known: nothing is held."""
        wanted = np.nan_to_num(weight)
        return cls(wanted, wanted > 0, wanted <= 0, wanted, band)


@dataclass(frozen=True, slots=True)
class Rules:
    """The account's own. `stop` and `target` are fractions of the price at which the entry was decided, as a bracket of
    the engine has them; the caps are fractions of equity; `bars` is the most bars a position is kept; None: off.
    `equity` is what the account begins with, USD."""

    stop: float | None = 0.05
    target: float | None = 0.15
    bars: int | None = None
    asset_cap: float = 0.25
    crypto_cap: float = 0.5
    equity: float = 100_000.0
    whole_units: bool = False


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed position. `entered` and `left` are rows of the grid; `gain` is net of costs, with dividends, as a
    fraction of all that was paid for it; `profit` in USD."""

    place: int
    entered: int
    left: int
    gain: float
    profit: float
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """`equity`, `cash`: at the end of each day, USD. `costs` and `traded` are sums in USD. Shapes (days,)."""

    equity: Floats
    cash: Floats
    trades: tuple[Trade, ...]
    costs: float
    traded: float
    open_at_end: int

    def returns(self) -> Floats:
        """Of each day but the first."""
        return self.equity[1:] / self.equity[:-1] - 1.0


@dataclass(slots=True, eq=False)
class _Account:
    market: Market
    rules: Rules
    cash: float
    units: Floats
    price: Floats
    paid: Floats
    got: Floats
    entered: NDArray[np.int64]
    trades: list[Trade] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    costs: float = 0.0
    traded: float = 0.0

    def buy(self, day: int, place: int, units: float) -> None:
        """As many of `units` at the day's open as cash pays for, in whole steps where the rules want it."""
        middle, cost = float(self.market.open[day, place]), float(self.market.cost[place])
        units = self.rounded(place, min(units, self.cash / (middle * (1.0 + cost))))
        if units <= 0.0:
            return
        value = units * middle
        if self.units[place] == 0.0:
            self.entered[place] = day
        self.units[place] += units
        self.paid[place] += value * (1.0 + cost)
        self._book(-value, value, cost)

    def sell(self, day: int, place: int, units: float, middle: float, why: str) -> None:
        cost, value = float(self.market.cost[place]), units * middle
        self.units[place] -= units
        self.got[place] += value * (1.0 - cost)
        self._book(value, value, cost)
        if self.units[place] <= 1e-12:
            self.units[place] = 0.0
            profit = float(self.got[place] - self.paid[place])
            gain = profit / float(self.paid[place])
            self.trades.append(Trade(place, int(self.entered[place]), day, gain, profit, why))
            self.paid[place] = self.got[place] = 0.0

    def rounded(self, place: int, units: float) -> float:
        if not self.rules.whole_units:
            return units
        step = float(self.market.steps[place])
        return float(np.floor(units / step + 1e-9)) * step

    def _book(self, flow: float, value: float, cost: float) -> None:
        self.cash = max(0.0, self.cash + flow - value * cost)
        self.costs += value * cost
        self.traded += value

    def collect(self, day: int) -> None:
        """Dividends of the day, before anything trades: they belong to whoever held the night before."""
        due = self.units * self.market.paid[day]
        self.got += due
        self.cash += float(due.sum())

    def equity(self, day: int) -> float:
        return self.cash + float(np.nansum(self.units * self.market.mark[day]))


def simulate(market: Market, plan: Plan, rules: Rules = Rules(), delay: int = 0) -> Result:
    """Plays `plan` over all days of `market`. `delay` is how many bars later than the next one an order fills."""
    count = len(market.symbols)
    units, price, paid, got = np.zeros((4, count))
    account = _Account(market, rules, rules.equity, units, price, paid, got, np.full(count, -1, np.int64))
    wanted = np.zeros(count)
    waits = np.full(count, -1, np.int64)
    equity, cash = np.empty(len(market)), np.empty(len(market))
    for day in range(len(market)):
        account.collect(day)
        there = ~np.isnan(market.open[day])
        for group in (market.crypto & there, ~market.crypto & there):
            _trade_at_open(account, day, group & (waits == 0), wanted, plan.first[max(day - 1, 0)])
        waits[there] -= 1
        _reach_levels(account, day, there & (account.units > 0))
        equity[day], cash[day] = account.equity(day), account.cash
        _decide(account, plan, day, equity[day], wanted, waits, delay)
    still = int(np.count_nonzero(account.units))
    return Result(equity, cash, tuple(account.trades), account.costs, account.traded, still)


def _trade_at_open(account: _Account, day: int, due: Mask, wanted: Floats, first: Floats) -> None:
    changes = np.flatnonzero(due)
    if not len(changes):
        return
    for place in changes.tolist():
        less = account.units[place] - wanted[place]
        if less > 0:
            why = account.reasons.pop(place, REBALANCE) if wanted[place] == 0 else REBALANCE
            units = account.rounded(place, float(less)) if wanted[place] > 0 else float(less)
            if units > 0:
                account.sell(day, place, units, float(account.market.open[day, place]), why)
    for place in sorted(changes.tolist(), key=lambda each: (-first[each], each)):
        more = wanted[place] - account.units[place]
        if more > 0:
            account.buy(day, place, float(more))


def _reach_levels(account: _Account, day: int, held: Mask) -> None:
    market, rules = account.market, account.rules
    for place in np.flatnonzero(held):
        first, low, high = (float(column[day, place]) for column in (market.open, market.low, market.high))
        # A position that opened with this bar starts at its open; an older one may be met by a gap.
        if rules.stop is not None and low <= account.price[place] * (1.0 - rules.stop):
            level = float(account.price[place]) * (1.0 - rules.stop)
            account.sell(day, int(place), float(account.units[place]), min(first, level), STOP)
        elif rules.target is not None and high >= account.price[place] * (1.0 + rules.target):
            level = float(account.price[place]) * (1.0 + rules.target)
            account.sell(day, int(place), float(account.units[place]), max(first, level), TARGET)


def _decide(
    account: _Account, plan: Plan, day: int, equity: float, wanted: Floats, waits: NDArray[np.int64], delay: int
) -> None:
    """Sets what is `wanted` (units) and how many bars that `waits`; what waits already is not asked again."""
    market, rules = account.market, account.rules
    fresh = ~np.isnan(market.close[day]) & (waits < 0)
    if not fresh.any():
        return
    with np.errstate(invalid="ignore"):
        value = np.nan_to_num(np.minimum(plan.weight[day], rules.asset_cap) * equity)
        own = np.nan_to_num(account.units * market.mark[day])
    is_held = account.units > 0
    leaves = fresh & is_held & plan.leave[day]
    if rules.bars is not None:
        ages = np.array([_age(market, account, day, place) for place in range(len(is_held))])
        leaves |= fresh & is_held & (ages >= rules.bars)
    for left in np.flatnonzero(leaves).tolist():
        account.reasons[left] = LEFT if plan.leave[day, left] else TIME
    enters = fresh & ~is_held & plan.enter[day] & (value > 0)
    changes = leaves | enters
    if plan.band is not None:
        changes |= fresh & is_held & ~leaves & (np.abs(value - own) > plan.band * equity)
    if not changes.any():
        return
    value = np.where(leaves, 0.0, value)
    _cap_coins(market, rules, equity, own, value, changes & ~leaves)
    for place in np.flatnonzero(changes):
        units = value[place] / market.close[day, place]
        if not is_held[place]:
            account.price[place] = market.close[day, place]
        wanted[place] = account.rounded(int(place), float(units))
        waits[place] = delay


def _cap_coins(market: Market, rules: Rules, equity: float, own: Floats, value: Floats, changes: Mask) -> None:
    """Scales what is to be in coins, in place, so that all coins together stay within their cap."""
    asked = changes & market.crypto
    if not asked.any():
        return
    rest = float(own[market.crypto & ~changes].sum())
    room, total = max(0.0, rules.crypto_cap * equity - rest), float(value[asked].sum())
    if total > room:
        value[asked] *= room / total


def _age(market: Market, account: _Account, day: int, place: int) -> int:
    """How many bars a position has been held, the one it was bought in included."""
    if account.units[place] <= 0:
        return 0
    return int(market.bar[day, place] - market.bar[account.entered[place], place]) + 1
