"""Which ticks of a run can be passed over, and what is written down in their stead.

A tick may be passed over while nothing is under way but stops and targets that rest at the venue, no bar reaches one of
them, nothing may be bought, the plain rule wants what is held, no brake ends or falls due, and no dividend or split
comes: then the live tick would only write that nothing happened. What a later tick would find written (which bars were
judged, from where losses are counted, when a stop was last seen) is brought up to where it would stand. Proven equal in
tests/golden.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from core.backtest.ahead import CHUNK, Ahead, Ticks
from core.backtest.bars import Levels, SourceBars
from core.backtest.ledger import Books
from core.domain.bars import BarSize
from core.domain.decisions import BrakeKind
from core.domain.dust import without_dust
from core.domain.instruments import Instrument, instrument_for
from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import Guard, GuardKind, Portfolio
from core.domain.values import exact
from core.execution.desk import Desk
from core.execution.equity import record_equity, record_of
from core.execution.protect import SEEN_EVERY, protect
from core.reporting import AccountRecord
from core.series import time_of
from core.strategy.policy import Strategy
from core.strategy.screen import may_afford

ROOM = 1e-9
_DAILY = (BarSize.D1,)
NOTHING: Levels = (0.0, float("inf"))


class Skipper:
    """Finds the next tick that has to be made, after one that was."""

    def __init__(
        self, desk: Desk, books: Books, bars: SourceBars, ahead: Ahead, account: str, patience: timedelta | None
    ) -> None:
        """`patience`: after so long a brake on the drawdown is released."""
        self._desk = desk
        self._bars = bars
        self._books = books
        self._ahead = ahead
        self._account = account
        self._patience = patience
        self._touched: set[str] = set()
        self._reached: dict[str, tuple[tuple[float, float, float], int]] = {}

    def next(self, done: int) -> int:
        """The index of the next tick to be made after tick `done`; what is passed over is made good."""
        ahead = self._ahead
        levels = self._resting()
        self._bars.levels = {}
        if done >= ahead.last:
            return done + 1
        if levels is None or self._is_triggered(done):
            self._note_judged(done + 1)
            return done + 1
        portfolio, self._bars.levels = self._books.portfolios[self._account], levels
        held = self._held(portfolio)
        found = max(min(self._next_reach(done, levels), self._next_end_of_brake(done)), done + 1)
        found = max(self._next_entry(done, found, portfolio, held), done + 1)
        if found > done + 1 and held:
            found = self._next_loss(done, found, portfolio, held)
        if found > done + 1 and self._see_guards(done + 1):
            self._make_good(done, found, portfolio, held)
        else:
            found = done + 1
        self._note_judged(found)
        return found

    def _next_reach(self, done: int, levels: Mapping[str, Levels]) -> int:
        """Where a bar reaches what rests, a price what is watched, the plain rule may let go, or a dividend or split is
        due."""
        ahead = self._ahead
        found = ahead.last
        for symbol, (stop, target) in levels.items():
            guard = self._books.guards.get((self._account, symbol))
            # Where the stop rests alone the engine watches the target.
            watched = float(guard.target) if guard is not None else float("inf")
            reached = min(
                self._reach(symbol, done, stop, target, watched), ahead.symbols[symbol].next_unwanted(done, ahead.last)
            )
            found = min(found, reached, ahead.next_action(symbol, done))
        return found

    def _reach(self, symbol: str, done: int, stop: float, target: float, watched: float) -> int:
        """Where a bar or a price reaches a level next; the levels of a position stay for hundreds of ticks."""
        levels, known = (stop, target, watched), self._reached.get(symbol)
        if known is not None and known[0] == levels and done < known[1]:
            return known[1]
        ahead, last = self._ahead.symbols[symbol], self._ahead.last
        found = ahead.next_price(done, watched, ahead.next_reach(done, stop, target, last))
        self._reached[symbol] = levels, found
        return found

    def wanted(self, tick: int) -> set[str]:
        """The symbols that may be bought at a tick. The first one judges what had closed before the period, too."""
        symbols = self._ahead.symbols
        return set(symbols) if tick == 0 else {name for name, each in symbols.items() if each.is_wanted(tick)}

    def bound(self) -> set[str]:
        """The symbols that a tick has to look at whether or not they may be bought: what is held or ordered. The plain
        rule shares its target out among all of them."""
        if self._desk.policy.strategy is Strategy.RULE:
            return set(self._ahead.symbols)
        ordered = {order.symbol for order in self._books.live.values()}
        return ordered | self._books.portfolios[self._account].positions.keys()

    def _resting(self) -> Mapping[str, Levels] | None:
        """Where orders rest, by symbol, if nothing else is under way; None otherwise."""
        books, policy = self._books, self._desk.policy
        levels: dict[str, Levels] = {}
        for order in books.live.values():
            if not _rests(order):
                return None
            stop, target = levels.get(order.symbol, NOTHING)
            if order.stop_price is not None:
                stop = max(stop, float(order.stop_price))
            elif order.limit_price is not None:
                target = min(target, float(order.limit_price))
            levels[order.symbol] = (stop, target)
        if any(brake.kind is BrakeKind.FLATTEN for brake in books.brakes.values()):
            return None
        positions = without_dust(books.portfolios[self._account].positions)
        follows = policy.trailing_fraction is not None or policy.break_even_fraction is not None
        if positions and follows:
            return None
        for symbol in positions:
            if (self._account, symbol) not in books.guards or levels.get(symbol, NOTHING)[0] <= 0:
                return None
        return levels

    def _is_triggered(self, done: int) -> bool:
        """Whether a stop was reached and rests all the same: too little was traded, and any bar may sell it now."""
        books, symbols = self._books, self._ahead.symbols
        now = self._at(done)
        for name, order in books.live.items():
            # One that the engine has just placed has seen no bar yet; a leg has, if its purchase was filled in it.
            is_new = order.parent_id is None and order.created_at >= now
            if order.stop_price is None or is_new:
                continue
            if symbols[order.symbol].next_reach(done - 1, float(order.stop_price), float("inf"), -1) == done:
                self._touched.add(name)
        self._touched &= books.live.keys()
        return bool(self._touched)

    def _held(self, portfolio: Portfolio) -> dict[str, float]:
        return {symbol: float(position.quantity) for symbol, position in portfolio.positions.items()}

    def _next_entry(self, done: int, before: int, portfolio: Portfolio, held: Mapping[str, float]) -> int:
        """The first tick after `done` at which an entry may be decided, `before` without one: nothing is bought while a
        brake on everything holds, soon after a sale, or where the limits leave no room."""
        if any(brake.scope in ("*", self._account) for brake in self._books.brakes.values()):
            return before
        for instrument in self._desk.instruments:
            symbol = instrument.symbol
            if abs(portfolio.quantity(symbol)) >= instrument.quantity_step:
                continue
            ticks = self._ahead.symbols[symbol].wanted_between(self._gap_until(done, symbol, portfolio), before)
            for first in range(0, len(ticks), CHUNK):
                part = ticks[first : first + CHUNK]
                may = self._may_afford(instrument, part, portfolio, held)
                if may.any():
                    before = int(part[may.argmax()])
                    break
        return before

    def _gap_until(self, done: int, symbol: str, portfolio: Portfolio) -> int:
        """The last tick at which it is too soon to buy again, `done` at least."""
        traded = portfolio.last_trade_at.get(symbol)
        if traded is None:
            return done
        return max(done, self._ahead.index_at(traded + self._desk.policy.min_trade_gap) - 1)

    def _may_afford(
        self, instrument: Instrument, ticks: Ticks, portfolio: Portfolio, held: Mapping[str, float]
    ) -> NDArray[np.bool_]:
        ahead, cash = self._ahead, float(portfolio.cash)
        coins = {symbol: units for symbol, units in held.items() if instrument_for(symbol).is_crypto}
        price, equity = ahead.symbols[instrument.symbol].price[ticks], ahead.value(cash, held, ticks)
        in_coins = ahead.value(0.0, coins, ticks)
        return may_afford(instrument, price, equity, equity - cash, in_coins, cash, self._desk.policy)

    def _next_end_of_brake(self, done: int) -> int:
        brakes = self._books.brakes.values()
        ends = [brake.until for brake in brakes if brake.until is not None]
        if self._patience is not None:
            ends += [brake.since + self._patience for brake in brakes if brake.kind is BrakeKind.DRAWDOWN]
        return min((max(self._ahead.index_at(end), done + 1) for end in ends), default=self._ahead.last)

    def _next_loss(self, done: int, before: int, portfolio: Portfolio, held: Mapping[str, float]) -> int:
        """The first tick after `done`, and before `before`, at which a brake on losses may fall due."""
        record = self._record()
        part = slice(done + 1, before)
        value = self._ahead.value(float(portfolio.cash), held, part)
        index = value * (float(record.index) / float(record.equity))
        days = self._ahead.day_end[part]
        # A day's loss counts from the last tick of the day before; that of the record's own day from where it says.
        begun = np.concatenate(([float(record.index)], index[:-1]))
        opens = np.concatenate(([days[0] > record.day_end.timestamp()], days[1:] > days[:-1]))
        loss_index = float(record.loss_index if record.loss_index is not None else record.index)
        bases = np.where(opens, begun, np.nan)
        if not opens[0]:
            bases[0] = loss_index
        base = bases[np.maximum.accumulate(np.where(np.isfinite(bases), np.arange(len(bases)), 0))]
        peak_index = float(record.peak_index if record.peak_index is not None else record.index)
        peak = np.maximum(np.maximum.accumulate(index), peak_index)
        policy, standing = self._desk.policy, {brake.kind for brake in self._books.brakes.values()}
        due = np.zeros(len(index), np.bool_)
        # A brake that stands is not set again while its cause goes on.
        if BrakeKind.DAILY_LOSS not in standing:
            due |= 1 - index / base >= float(policy.daily_loss_fraction) - ROOM
        if BrakeKind.DRAWDOWN not in standing:
            due |= 1 - index / peak >= float(policy.drawdown_fraction) - ROOM
        return done + 1 + int(due.argmax()) if due.any() else before

    def _see_guards(self, following: int) -> bool:
        """Whether every position is guarded by the venue once the tick after this one has looked at what rests there,
        as it begins with: until then the engine watches a stop that was just placed."""
        books = self._books
        if any(guard.kind is not GuardKind.VENUE for guard in books.guards.values()):
            protect(self._desk, self._at(following), (self._account,))
        return all(guard.kind is GuardKind.VENUE for guard in books.guards.values())

    def _make_good(self, done: int, found: int, portfolio: Portfolio, held: Mapping[str, float]) -> None:
        """Writes what the ticks between `done` and `found` would have left behind."""
        if held:
            self._keep_records(done, found, portfolio, held)
            self._see_stops(done, found)

    def _note_judged(self, found: int) -> None:
        """Every bar that a tick before `found` has seen was judged by it."""
        judged = self._books.judged.setdefault(self._account, {})
        for instrument in self._desk.instruments:
            symbol = instrument.symbol
            newest = self._ahead.symbols[symbol].newest(found - 1)
            closed = time_of(newest) if newest is not None else self._newest_before(symbol, self._at(found - 1))
            if closed is not None:
                judged[symbol] = closed

    def _newest_before(self, symbol: str, at: datetime) -> datetime | None:
        """Of a symbol that no bar of the period has come for yet."""
        for size in dict.fromkeys((self._desk.confirm_size, *_DAILY)):
            series = self._desk.bars.read(symbol, size, at, 1)
            if len(series):
                return time_of(series.closed_at[-1])
        return None

    def _keep_records(self, done: int, found: int, portfolio: Portfolio, held: Mapping[str, float]) -> None:
        """The highest value passed over, and the last of the trading day before that of `found`."""
        ahead = self._ahead
        value = ahead.value(float(portfolio.cash), held, slice(done + 1, found))
        kept = {done + 1 + int(value.argmax())}
        earlier = np.flatnonzero(ahead.day_end[done + 1 : found] < ahead.day_end[found])
        if len(earlier):
            kept.add(done + 1 + int(earlier[-1]))
        for tick in sorted(kept):
            prices = {symbol: exact(float(ahead.symbols[symbol].price[tick])) for symbol in held}
            with self._desk.committing("intents") as work:
                record_equity(work, self._desk, list(self._books.portfolios.values()), prices, self._at(tick))

    def _see_stops(self, done: int, found: int) -> None:
        """The time of a stop's last sighting is written anew every hour."""
        for guard in list(self._books.guards.values()):
            seen = self._seen_at(guard, done, found)
            if seen != guard.last_seen_at:
                self._books.guards[guard.account, guard.symbol] = replace(guard, last_seen_at=seen)

    def _seen_at(self, guard: Guard, done: int, found: int) -> datetime:
        seconds, every = self._ahead.seconds, SEEN_EVERY.total_seconds()
        seen = first = guard.last_seen_at.timestamp()
        while True:
            tick = max(bisect_left(seconds, seen + every, done + 1, found), done + 1)
            if tick >= found:
                return guard.last_seen_at if seen == first else time_of(int(seen))
            seen = seconds[tick]

    def _record(self) -> AccountRecord:
        with self._desk.reading() as work:
            record = record_of(work, self._account)
        assert record is not None, "the first tick of a run writes the first record"
        return record

    def _at(self, tick: int) -> datetime:
        return time_of(self._ahead.ticks[tick])


def _rests(order: Order) -> bool:
    """A stop or target as it was placed; one that was filled in part may go on at any bar."""
    rests = order.purpose in (Purpose.STOP, Purpose.TARGET) and order.state is OrderState.ACCEPTED
    return rests and order.filled_quantity == Decimal(0)
