"""What lies ahead in a run, as columns over its ticks: where bars close, where something may be bought, what all is
worth. Looked up to find the next tick that matters; no decision is made from it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.backtest.curve import prices_at
from core.series import BarSeries, Floats, Mask, Seconds, seconds_of, time_of
from core.strategy.policy import Policy, Strategy
from core.strategy.screen import may_confirm, may_hold, may_leave

Ticks = NDArray[np.int64]
"""Indices into the ticks of a run."""
CHUNK = 512
NEAR = 1e-9
"""Prices are compared with so much room: a tick too many costs time, one too few would cost the truth."""


@dataclass(frozen=True, slots=True, eq=False)
class SymbolAhead:
    """One symbol: `tick` is the first that sees each of its confirming bars in the period; `closed`, `low` and
    `high` are theirs.

    `wanted` are the ticks at which an entry may be decided, `unwanted` those at which the plain rule may sell it;
    `price` is what each tick knows, shape of the ticks.
    """

    tick: Ticks
    closed: Seconds
    low: Floats
    high: Floats
    wanted: Ticks
    unwanted: Ticks
    price: Floats

    def next_reach(self, after: int, stop: float, target: float, none: int) -> int:
        """The first tick after `after` whose bar comes down to `stop` or up to `target`; `none` without one."""
        row, size = int(np.searchsorted(self.tick, after, side="right")), CHUNK
        floor, roof = stop * (1 + NEAR), target * (1 - NEAR)
        while row < len(self.tick):
            part = slice(row, row + size)
            hit = (self.low[part] <= floor) | (self.high[part] >= roof)
            if hit.any():
                return int(self.tick[row + int(hit.argmax())])
            row, size = row + size, 4 * size
        return none

    def next_price(self, after: int, target: float, before: int) -> int:
        """The first tick after `after`, and before `before`, that knows a price of `target` or more; `before` without
        one."""
        row, size, roof = after + 1, CHUNK, target * (1 - NEAR)
        while row < before:
            hit = self.price[row : min(row + size, before)] >= roof
            if hit.any():
                return row + int(hit.argmax())
            row, size = row + size, 4 * size
        return before

    def newest(self, tick: int) -> int | None:
        """When the newest confirming bar of the period closed that the tick knows; None before the first."""
        row = int(np.searchsorted(self.tick, tick, side="right")) - 1
        return int(self.closed[row]) if row >= 0 else None

    def is_wanted(self, tick: int) -> bool:
        row = int(np.searchsorted(self.wanted, tick))
        return row < len(self.wanted) and int(self.wanted[row]) == tick

    def wanted_between(self, after: int, before: int) -> Ticks:
        """The wanted ticks after `after` and before `before`."""
        first, last = np.searchsorted(self.wanted, (after + 1, before))
        return self.wanted[first:last]

    def next_unwanted(self, after: int, none: int) -> int:
        row = int(np.searchsorted(self.unwanted, after, side="right"))
        return int(self.unwanted[row]) if row < len(self.unwanted) else none


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """The whole period. `day_end` is when the trading day of each tick ends, in seconds; `actions` by symbol the ticks
    that see a dividend or split first."""

    ticks: Seconds
    day_end: Seconds
    symbols: Mapping[str, SymbolAhead]
    actions: Mapping[str, Ticks]
    seconds: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """The ticks once more as whole numbers, among which a single one is found faster than in an array."""
        object.__setattr__(self, "seconds", self.ticks.tolist())

    @property
    def last(self) -> int:
        return len(self.ticks) - 1

    def without(self, held_back: Callable[[str, Seconds], Mask]) -> Ahead:
        """Nothing is wanted where `held_back` says so of a symbol and the ticks at which it was wanted, in seconds."""
        symbols = {
            name: replace(each, wanted=each.wanted[~held_back(name, self.ticks[each.wanted])])
            for name, each in self.symbols.items()
        }
        return replace(self, symbols=symbols)

    def index_at(self, moment: datetime) -> int:
        """The first tick at or after `moment`, the last one where there is none."""
        return min(bisect_left(self.seconds, moment.timestamp()), self.last)

    def next_action(self, symbol: str, after: int) -> int:
        """The tick before the next dividend or split, so that a venue has played the bars in old units by then, or
        that tick itself where it comes next."""
        known = self.actions.get(symbol)
        row = 0 if known is None else int(np.searchsorted(known, after, side="right"))
        return max(int(known[row]) - 1, after + 1) if known is not None and row < len(known) else self.last

    def value(self, cash: float, held: Mapping[str, float], part: slice | Ticks) -> Floats:
        """What cash and units held are worth at a part of the ticks, USD."""
        worth = np.full(len(self.ticks[part]), cash)
        for symbol, units in held.items():
            worth += units * self.symbols[symbol].price[part]
        return worth


def symbol_ahead(
    daily: BarSeries,
    confirm: BarSeries,
    probability: Floats,
    units: Floats,
    ticks: Seconds,
    start: datetime,
    policy: Policy,
) -> SymbolAhead:
    """`confirm` are the bars that confirm entries, daily ones or smaller; `probability` is of each tick, and so is
    `units`: by how much prices of that moment exceed those of the series because of later splits."""
    first = int(np.searchsorted(confirm.closed_at, seconds_of(start), side="right"))
    tick = np.searchsorted(ticks, confirm.closed_at[first:]).astype(np.int64)
    # Of bars that one tick sees together the newest is judged; a bar that no tick sees is never judged.
    newest = np.append(tick[1:] != tick[:-1], True) if len(tick) else np.empty(0, np.bool_)
    may = newest & (tick < len(ticks))
    if policy.strategy is Strategy.RULE:
        held, left = (_known_at(ticks, daily, each) for each in (may_hold(daily), may_leave(daily)))
        may[may] = held[tick[may]]
        unwanted = np.flatnonzero(left)
    else:
        may &= may_confirm(confirm, policy)[first:]
        may[may] = (probability > policy.min_probability)[tick[may]]
        unwanted = np.empty(0, np.int64)
    price = prices_at([confirm] if confirm.size is daily.size else [confirm, daily], ticks) * units
    then = units[np.minimum(tick, len(ticks) - 1)]
    low, high = confirm.low[first:] * then, confirm.high[first:] * then
    return SymbolAhead(tick, confirm.closed_at[first:], low, high, tick[may], unwanted, price)


def _known_at(ticks: Seconds, daily: BarSeries, values: Mask) -> Mask:
    """What is true after the newest of `daily` that each tick knows; false before the first."""
    row = np.searchsorted(daily.closed_at, ticks, side="right") - 1
    return (row >= 0) & values[np.maximum(row, 0)] if len(daily) else np.zeros(len(ticks), np.bool_)


def units_at(splits: Sequence[tuple[datetime, float]], ticks: Seconds) -> Floats:
    """How many units of the end of the period one unit of each tick has become; `splits` with new units for one old."""
    units = np.ones(len(ticks))
    for at, ratio in splits:
        units[ticks < seconds_of(at)] *= ratio
    return units


def day_ends(ticks: Seconds, day_end: Callable[[datetime], datetime]) -> Seconds:
    """When the trading day of each tick ends; a tick at which one ends belongs to it. `day_end` gives the next end
    strictly after a moment."""
    ends = np.empty(len(ticks), np.int64)
    row = 0
    while row < len(ticks):
        end = seconds_of(day_end(time_of(int(ticks[row]) - 1)))
        following = int(np.searchsorted(ticks, end, side="right"))
        ends[row:following] = end
        row = following
    return ends


def first_ticks(moments: Sequence[datetime], ticks: Seconds) -> Ticks:
    """The first tick at or after each moment."""
    at = np.array(sorted(seconds_of(moment) for moment in moments), np.int64)
    found = np.searchsorted(ticks, at).astype(np.int64)
    return np.unique(found[found < len(ticks)])
