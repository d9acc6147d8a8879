"""An entry that a thin market fills in parts, on the real venue: who guards the part, what becomes of its stop, and
that nothing is stopped or sold twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.venue import Accepted, OrderRequest
from core.execution import locks
from core.execution.watch import guard
from tests.builders import Bench

SHARE = "SPY"
ACCOUNT = "simulated"
THIN = 40.0
"""A bar of which four units may be ours."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, symbols=(SHARE,)).start()
    yield bench
    bench.close()


def minute(bench: Bench) -> None:
    guard(bench.desk, bench.clock.now())


def thin_bar(bench: Bench, *prices: float) -> None:
    bench.bar(*prices, symbol=SHARE, volume=THIN)


def resting(bench: Bench) -> list[tuple[str, Decimal]]:
    """What protects at the venue: (purpose, units left)."""
    legs = [order for order in bench.venue.orders() if order.purpose in (Purpose.STOP, Purpose.TARGET)]
    return [(order.purpose.value, order.quantity - order.filled_quantity) for order in legs]


def kinds(bench: Bench) -> list[GuardKind]:
    return [each.kind for each in bench.read(lambda work: work.guards(ACCOUNT))]


def entry_in_parts(bench: Bench) -> int:
    """Buys by the real decision, and lets the first four units come; returns how many were ordered."""
    bench.tick()
    (order,) = bench.venue.orders()
    thin_bar(bench, 100.0)
    minute(bench)
    assert bench.venue.state().positions == {SHARE: Decimal(4)}
    return int(order.quantity)


@pytest.mark.feature("S13")
def test_the_engine_guards_a_part_while_the_rest_is_still_coming_and_the_venue_all_of_it_afterwards(
    bench: Bench,
) -> None:
    ordered = entry_in_parts(bench)
    assert (kinds(bench), resting(bench)) == ([GuardKind.ENGINE], [])
    while bench.venue.state().positions[SHARE] < ordered:
        thin_bar(bench, 100.0)
        minute(bench)
    assert kinds(bench) == [GuardKind.VENUE]
    assert resting(bench) == [("stop", Decimal(ordered)), ("target", Decimal(ordered))]
    (order,) = [each for each in bench.read(lambda work: work.orders(ACCOUNT)) if each.purpose is Purpose.ENTRY]
    assert (order.state, order.filled_quantity) == (OrderState.FILLED, ordered)


@pytest.mark.feature("S13")
def test_a_part_whose_price_falls_through_its_stop_is_sold_and_only_once(bench: Bench) -> None:
    entry_in_parts(bench)
    for _ in range(6):
        thin_bar(bench, 90.0)
        minute(bench)
    assert bench.venue.state().positions == {}
    assert bench.venue.orders() == []
    fills = bench.venue.fills_since(bench.clock.now().replace(year=2020))
    assert sum(fill.quantity for fill in fills if fill.purpose is not Purpose.ENTRY) == sum(
        fill.quantity for fill in fills if fill.purpose is Purpose.ENTRY
    )
    assert bench.read(lambda work: work.portfolio(ACCOUNT)).positions == {}


@pytest.mark.feature("S13")
def test_a_part_is_sold_out_at_once_with_the_legs_that_its_cancelled_entry_leaves(bench: Bench) -> None:
    entry_in_parts(bench)
    locks.flatten(bench.desk, "the owner")
    minute(bench)
    (order,) = bench.venue.orders()
    assert (order.purpose, order.quantity) == (Purpose.EXIT, 4)
    refused = [each for each in bench.read(lambda work: work.orders(ACCOUNT)) if each.state is OrderState.REJECTED]
    assert refused == []


@pytest.mark.feature("S13")
def test_a_stop_that_is_sold_in_parts_guards_what_is_left(bench: Bench) -> None:
    bench.tick()
    bench.bar(100.0, symbol=SHARE)
    minute(bench)
    held = bench.venue.state().positions[SHARE]
    thin_bar(bench, 100.0, 100.0, 94.0, 94.5)
    minute(bench)
    assert resting(bench) == [("stop", held - 4), ("target", held - 4)]
    assert kinds(bench) == [GuardKind.VENUE]
    portfolio = bench.read(lambda work: work.portfolio(ACCOUNT))
    assert (portfolio.quantity(SHARE), portfolio.cash) == (held - 4, bench.venue.state().cash)


@pytest.mark.feature("S13")
def test_a_stale_entry_is_cancelled_and_the_venue_guards_what_has_come_of_it(bench: Bench) -> None:
    bench.policy = replace(bench.policy, entry_life=timedelta())
    entry_in_parts(bench)
    minute(bench)
    assert (kinds(bench), resting(bench)) == ([GuardKind.VENUE], [("stop", Decimal(4)), ("target", Decimal(4))])


@pytest.mark.feature("S10")
def test_legs_claim_no_unit_that_another_sale_has_claimed_while_their_entry_was_coming(bench: Bench) -> None:
    ordered = entry_in_parts(bench)
    sale = OrderRequest("by-hand", SHARE, Side.SELL, Decimal(1), OrderType.MARKET, Purpose.EXIT)
    assert isinstance(bench.venue.submit(sale), Accepted)
    bench.bar(100.0, symbol=SHARE, volume=0.0)
    assert resting(bench) == [("stop", Decimal(ordered - 1)), ("target", Decimal(ordered - 1))]
    bench.bar(50.0, symbol=SHARE, volume=0.0)
    assert bench.venue.state().positions == {}
