"""What a minute and a tick cost does not grow with what the ledger has behind it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, overload

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from core.domain.decisions import Decision
from core.domain.events import ErrorRaised
from core.domain.instruments import instrument_for
from core.domain.orders import OrderState, Purpose, Side
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, Fill, Portfolio, PositionAdjustment
from core.domain.round_trips import RoundTrip
from core.domain.values import ZERO
from core.execution.watch import guard
from core.strategy.brakes import losing_streak
from tests.builders import COIN, MONDAY, Bench, a_buy_signal, an_entry, an_exit

LONG_AGO = MONDAY - timedelta(days=90)


def with_a_past(bench: Bench, trips: int) -> Bench:
    """Purchases with their sales, every other at a loss, with the orders, decisions and messages that go with them."""
    with bench.database.unit_of_work() as work:
        for number in range(trips):
            at = LONG_AGO + timedelta(minutes=10 * number)
            entry = replace(an_entry(bench, origin=f"past {number}"), created_at=at, state=OrderState.FILLED)
            sale = replace(an_exit(bench, origin=f"past {number}"), created_at=at, state=OrderState.FILLED)
            work.record_decision(Decision(at, "simulated", (a_buy_signal(at=at),), ()), recorded_at=at)
            for order, price in ((entry, 100), (sale, 99 + 2 * (number % 2))):
                done = replace(order, filled_quantity=order.quantity)
                work.add_order(done)
                fill = Fill(
                    f"fill {order.client_order_id}", "simulated", order.client_order_id, COIN, order.side,
                    order.quantity, Decimal(price), ZERO, "USD", at, order.purpose,
                )  # fmt: skip
                work.book(fill, recorded_at=at)
                work.publish(ErrorRaised("past", str(number), order.side), market_time=at)
        work.commit()
    bench.restart()
    return bench


def cost_of_a_purchase_and_its_watch(bench: Bench) -> tuple[int, int]:
    """Statements sent to the file, and calls of Python functions, of a purchase, a tick and the minutes after it."""
    statements, calls = [0], [0]

    def count_statement(*_of: object) -> None:
        statements[0] += 1

    def count_call(_frame: object, what: str, _argument: object) -> None:
        calls[0] += what == "call"

    event.listen(bench.database._connections.engine, "after_cursor_execute", count_statement)
    bench.reconcile()
    statements[0] = 0
    sys.setprofile(count_call)
    try:
        bench.place(an_entry(bench))
        for price in (100.0, 100.5, 101.0):
            bench.bar(price)
            guard(bench.desk, bench.clock.now())
            bench.tick()
    finally:
        sys.setprofile(None)
    assert bench.read(lambda work: work.guards("simulated"))
    return statements[0], calls[0]


@pytest.mark.feature("S14")
def test_a_purchase_a_tick_and_a_minute_ask_and_compute_no_more_after_a_long_past(tmp_path: Path) -> None:
    costs = []
    for trips in (4, 4, 250):
        folder = tmp_path / f"{trips} {len(costs)}"
        folder.mkdir()
        bench = with_a_past(Bench(folder).start(), trips)
        costs.append(cost_of_a_purchase_and_its_watch(bench))
        bench.close()
    # The first one also pays for what is done once a process.
    _, (statements, calls), (statements_later, calls_later) = costs
    assert statements_later == statements
    assert calls_later <= calls * 1.02


class Past(Sequence[RoundTrip]):
    """Round trips of which only the newest may be looked at."""

    def __init__(self, trips: list[RoundTrip], most: int) -> None:
        self._trips, self._most = trips, most

    def __len__(self) -> int:
        return len(self._trips)

    @overload
    def __getitem__(self, index: int) -> RoundTrip: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RoundTrip]: ...
    def __getitem__(self, index: Any) -> Any:
        assert index >= len(self._trips) - self._most, "looked further back than the streak"
        return self._trips[index]


def test_a_losing_streak_is_read_from_its_end() -> None:
    trips = [RoundTrip(COIN, Decimal(profit), MONDAY) for profit in [*range(-500, 0), 1, -1, -2]]
    assert [int(trip.profit) for trip in losing_streak(Past(trips, 3), None)] == [-1, -2]


symbols = st.sampled_from(["SPY", COIN])
units = st.integers(1, 9).map(Decimal)
cents = st.integers(1, 20_000).map(lambda number: Decimal(number) / 100)
moments = st.integers(0, 50).map(lambda minutes: MONDAY + timedelta(minutes=minutes))
fills = st.builds(
    lambda symbol, side, quantity, price, at, in_coin: Fill(
        "", "simulated", "", symbol, side, quantity, price, Decimal("0.01"), "BTC" if in_coin else "USD", at,
        Purpose.ENTRY,
    ),
    symbols, st.sampled_from(list(Side)), units, cents, moments, st.booleans(),
)  # fmt: skip
moves = st.builds(
    lambda symbol, quantity, cost, at: PositionAdjustment(
        "", "simulated", symbol, AdjustmentKind.ADOPTION, quantity, cost, at, ""
    ),
    symbols, units, cents, moments,
)  # fmt: skip
money = st.builds(lambda at: CashMovement("", "simulated", CashKind.DIVIDEND, Decimal(1), at, ""), moments)


@settings(max_examples=60, deadline=None)
@given(st.lists(fills | moves | money, max_size=25))
def test_averages_and_round_trips_grow_to_what_the_whole_past_adds_up_to(
    entries: list[Fill | PositionAdjustment | CashMovement],
) -> None:
    portfolio = Portfolio("simulated")
    for entry in entries:
        portfolio = portfolio.after(entry)
    for symbol in ("SPY", COIN):
        assert portfolio.averages.price(symbol) == averaged(entries, symbol)
    assert portfolio.trips.ended == summed(portfolio)


def averaged(entries: list[Fill | PositionAdjustment | CashMovement], symbol: str) -> Decimal | None:
    held, paid = ZERO, ZERO
    for entry in entries:
        if isinstance(entry, CashMovement) or entry.symbol != symbol:
            continue
        if isinstance(entry, PositionAdjustment):
            held, paid = held + entry.quantity, paid + entry.cost
        elif entry.side is Side.BUY:
            held, paid = held + entry.quantity, paid + entry.quantity * entry.price
        elif entry.quantity >= held:
            held, paid = ZERO, ZERO
        else:
            held, paid = held - entry.quantity, paid * (held - entry.quantity) / held
    return paid / held if held > 0 and paid > 0 else None


def summed(portfolio: Portfolio) -> tuple[RoundTrip, ...]:
    brought = dict[str, Decimal]()
    ended = []
    for trade in portfolio.closed:
        brought[trade.symbol] = brought.get(trade.symbol, ZERO) + trade.profit
        if trade.left == ZERO or trade.left < instrument_for(trade.symbol).quantity_step:
            ended.append(RoundTrip(trade.symbol, brought.pop(trade.symbol), trade.closed_at))
    return tuple(sorted(ended, key=lambda trip: trip.closed_at))
