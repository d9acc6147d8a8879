"""A venue that is late in every way: orders come to life bars later, answers come late or never, whole hours are out.
When it answers again the ledger is where it is, and nothing was bought twice on the way."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.adapters.simulated_faults import FaultPlan, outage_windows
from core.adapters.simulated_profiles import ALPACA
from core.domain.dust import is_dust
from core.domain.orders import Order, OrderState, Purpose
from core.execution.watch import guard
from core.strategy.policy import Policy
from tests.builders import COIN, FIVE, MONDAY, Bench

ACCOUNT = "simulated"
BARS = 150
EAGER = Policy(
    min_trade_gap=timedelta(0),
    loss_streak=10_000,
    drawdown_fraction=Decimal(1),
    daily_loss_fraction=Decimal(1),
    stop_fraction=Decimal("0.01"),
    target_fraction=Decimal("0.01"),
)


def late_plan(seed: int) -> FaultPlan:
    draw = np.random.default_rng(seed)
    windows = outage_windows(draw, MONDAY, MONDAY + BARS * FIVE, 4, timedelta(hours=1))
    return FaultPlan(
        draw,
        reject=0.05,
        timeout_before=0.1,
        timeout_after=0.1,
        outage=0.02,
        late=0.2,
        delayed=0.3,
        outages=windows,
    )


def lived(folder: Path, seed: int) -> tuple[Bench, list[str]]:
    """A play of so many bars, then eight quiet minutes; what was broken on the way, in words."""
    bench = Bench(folder, policy=EAGER, faults=late_plan(seed), profile=ALPACA).start()
    draw, price, broken = np.random.default_rng(seed + 1), 100.0, list[str]()
    for number in range(BARS):
        close = price * float(np.exp(draw.normal(0.0, 0.006)))
        bench.bar(price, max(price, close) * 1.002, min(price, close) * 0.998, close, volume=float(10**6))
        price = close
        now = bench.clock.now()
        guard(bench.desk, now)
        if number % 3 == 0:
            bench.tick()
        entries = [each for each in bench.venue._book.live.values() if each.order.purpose is Purpose.ENTRY]
        if len(entries) > 1:
            broken.append(f"{now}: {len(entries)} entries live")
    bench.venue._door = None
    for _ in range(8):
        bench.clock.advance(timedelta(minutes=1))
        bench.system.advance(timedelta(minutes=1))
        guard(bench.desk, bench.clock.now())
    return bench, broken


@pytest.mark.feature("S14")
@pytest.mark.parametrize("seed", [3, 8])
def test_a_venue_that_is_late_in_every_way_ends_where_the_ledger_is(tmp_path: Path, seed: int) -> None:
    bench, broken = lived(tmp_path, seed)
    assert broken == []
    state, portfolio = bench.venue.state(), bench.read(lambda work: work.portfolio(ACCOUNT))
    held = {symbol: position.quantity for symbol, position in portfolio.positions.items()}
    assert (portfolio.cash, held) == (state.cash, dict(state.positions))
    orders: list[Order] = list(bench.read(lambda work: work.orders(ACCOUNT, limit=100_000)))
    undecided = [order for order in orders if order.state in (OrderState.SUBMITTING, OrderState.UNKNOWN)]
    assert undecided == []
    live = {order.client_order_id for order in orders if order.is_live}
    assert live == {order.client_order_id for order in bench.venue.orders()}
    made = Counter((order.origin, order.symbol, order.side, order.purpose) for order in orders if not order.parent_id)
    assert set(made.values()) == {1}
    guards = {each.symbol for each in bench.read(lambda work: work.guards(ACCOUNT))}
    assert guards == {symbol for symbol, units in held.items() if not is_dust(symbol, units)}
    fills = bench.venue.fills_since(datetime.min.replace(tzinfo=MONDAY.tzinfo))
    assert len(fills) > 4
    assert {fill.symbol for fill in fills} == {COIN}
    bench.close()
