"""Two venues live through the same random history: one is asked and restarted all the time, the other left alone.

What must hold after every step is told by the domain's own fold of the fills, not by the venue's code.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.adapters.simulated_broker import SimulatedBroker
from core.clock import VirtualClock
from core.domain.orders import LIVE, OrderState, OrderType, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement, Fill, Portfolio, portfolio_of
from core.domain.values import exact
from core.domain.venue import Accepted, OrderRequest, VenueOrder
from tests.fakes_venue import ACCOUNT, MONDAY, BarShelf, bar_of, venue_over

CASH = Decimal(10000)
FIVE = timedelta(minutes=5)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SYMBOLS = ("SPY", "BTC-USD")
NAMES = tuple(f"order{number}" for number in range(12))

cents = st.integers(8500, 11500).map(lambda number: number / 100)
prices = st.tuples(cents, cents, cents, cents).map(lambda four: (four[0], max(four), min(four), four[3]))
levels = st.integers(85, 115).map(Decimal)
quantities = st.sampled_from([1, 5, 20, 45, 90]).map(Decimal)
# Often around the price, sometimes wholly beside it.
brackets = st.tuples(st.integers(85, 103).map(Decimal), st.integers(104, 115).map(Decimal))


def booked(fills: list[Fill]) -> Portfolio:
    deposit = CashMovement("opening", ACCOUNT.id, CashKind.DEPOSIT, CASH, LONG_AGO)
    return portfolio_of(ACCOUNT.id, [deposit, *fills])


class TwoVenues(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = VirtualClock(MONDAY)
        self.grid = MONDAY
        self.shelf = BarShelf()
        self.asked = self.open_asked()
        self.silent = venue_over(self.shelf, self.clock)
        self.extremes: dict[tuple[str, datetime], tuple[float, float]] = {}
        self.sent: dict[str, OrderRequest] = {}
        self.seen: dict[str, Fill] = {}

    def open_asked(self) -> SimulatedBroker:
        return venue_over(self.shelf, self.clock, path=Path(self.folder.name) / "venue.sqlite")

    @initialize(first=prices, second=prices)
    def there_are_prices(self, first: tuple[float, ...], second: tuple[float, ...]) -> None:
        self.next_bars(first, second, 0)

    @rule(first=prices, second=prices, late=st.integers(0, 299))
    def next_bars(self, first: tuple[float, ...], second: tuple[float, ...], late: int) -> None:
        """A bar of each symbol, then a look at some moment before the next ones close."""
        for symbol, four in zip(SYMBOLS, (first, second), strict=True):
            self.shelf.add(bar_of(symbol, self.grid, four))  # type: ignore[arg-type]
            self.extremes[symbol, self.grid] = (min(four), max(four))
        self.grid += FIVE
        self.clock.move_to(self.grid + timedelta(seconds=late))

    @rule(
        name=st.sampled_from(NAMES),
        symbol=st.sampled_from(SYMBOLS),
        quantity=quantities,
        kind=st.sampled_from([OrderType.MARKET, OrderType.MARKET, OrderType.LIMIT]),
        limit=levels,
        bracket=st.none() | brackets,
    )
    def buy(
        self,
        name: str,
        symbol: str,
        quantity: Decimal,
        kind: OrderType,
        limit: Decimal,
        bracket: tuple[Decimal, Decimal] | None,
    ) -> None:
        stop, target = bracket or (None, None)
        price = limit if kind is OrderType.LIMIT else None
        self.send(OrderRequest(name, symbol, Side.BUY, quantity, kind, Purpose.ENTRY, price, None, stop, target))

    @rule(
        name=st.sampled_from(NAMES),
        symbol=st.sampled_from(SYMBOLS),
        quantity=quantities,
        bracket=brackets,
        following=st.lists(st.tuples(prices, prices), min_size=1, max_size=4),
    )
    def buy_with_a_bracket_and_watch(
        self,
        name: str,
        symbol: str,
        quantity: Decimal,
        bracket: tuple[Decimal, Decimal],
        following: list[tuple[tuple[float, ...], tuple[float, ...]]],
    ) -> None:
        self.send(OrderRequest(name, symbol, Side.BUY, quantity, OrderType.MARKET, Purpose.ENTRY, None, None, *bracket))
        for first, second in following:
            self.next_bars(first, second, 0)

    @rule(
        name=st.sampled_from(NAMES),
        symbol=st.sampled_from(SYMBOLS),
        quantity=quantities,
        kind=st.sampled_from(list(OrderType)),
        price=levels,
    )
    def sell(self, name: str, symbol: str, quantity: Decimal, kind: OrderType, price: Decimal) -> None:
        limit = price if kind is OrderType.LIMIT else None
        stop = price if kind is OrderType.STOP else None
        self.send(OrderRequest(name, symbol, Side.SELL, quantity, kind, Purpose.EXIT, limit, stop))

    def send(self, request: OrderRequest) -> None:
        answer = self.asked.submit(request)
        assert answer == self.silent.submit(request)
        if isinstance(answer, Accepted):
            first = self.sent.setdefault(request.client_order_id, request)
            assert (answer.order.symbol, answer.order.side, answer.order.quantity) == (
                first.symbol,
                first.side,
                first.quantity,
            )
        else:
            assert request.client_order_id not in self.sent

    @precondition(lambda self: self.sent)
    @rule(number=st.integers(0, 11), leg=st.sampled_from(["", "-s", "-t"]))
    def cancel(self, number: int, leg: str) -> None:
        name = list(self.sent)[number % len(self.sent)] + leg
        before = self.asked.find(name)
        self.asked.cancel(name)
        self.silent.cancel(name)
        after = self.asked.find(name)
        if before is not None and before.state in LIVE:
            assert after is not None
            assert after.state is OrderState.CANCELED
        else:
            assert after == before

    @rule()
    def restart(self) -> None:
        before = (self.asked.state(), self.asked.orders(), self.asked.fills_since(LONG_AGO))
        self.asked.close()
        self.asked = self.open_asked()
        assert (self.asked.state(), self.asked.orders(), self.asked.fills_since(LONG_AGO)) == before

    @rule(drop=st.floats(0.5, 0.99))
    def an_old_bar_is_revised_after_it_was_matched(self, drop: float) -> None:
        """Only the venue that has already answered for the bar could be tempted to answer anew."""
        fills = self.asked.fills_since(LONG_AGO)
        live = self.asked.orders()
        assert self.silent.fills_since(LONG_AGO) == fills
        for symbol in SYMBOLS:
            low = round(80 * drop, 2)
            self.shelf.replace(bar_of(symbol, self.grid - FIVE, (low, low, low, low)))
        assert self.asked.fills_since(LONG_AGO) == fills
        assert self.asked.orders() == live
        assert self.silent.orders() == live

    @invariant()
    def cash_and_positions_are_the_fold_of_the_fills(self) -> None:
        fills = list(self.asked.fills_since(LONG_AGO))
        state = self.asked.state()
        portfolio = booked(fills)
        assert portfolio.cash == state.cash >= 0
        assert {symbol: held.quantity for symbol, held in portfolio.positions.items()} == state.positions
        assert all(units > 0 for units in state.positions.values())

    @invariant()
    def money_never_runs_out_on_the_way(self) -> None:
        cash = CASH
        for fill in self.asked.fills_since(LONG_AGO):
            gross = fill.quantity * fill.price
            cash += gross - fill.fee if fill.side is Side.SELL else -gross - fill.fee
            assert cash >= 0

    @invariant()
    def no_order_is_filled_twice_and_a_fill_once_seen_stays(self) -> None:
        fills = self.asked.fills_since(LONG_AGO)
        assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
        assert all(times == 1 for times in Counter(fill.client_order_id for fill in fills).values())
        now = {fill.id: fill for fill in fills}
        assert len(now) == len(fills)
        assert self.seen.items() <= now.items()
        self.seen = now

    @invariant()
    def of_a_bracket_at_most_one_leg_is_filled_and_both_live_or_none(self) -> None:
        for name, request in self.sent.items():
            entry, stop, target = (self.asked.find(name + leg) for leg in ("", "-s", "-t"))
            assert entry is not None
            bracketed = request.bracket_stop is not None and entry.state is OrderState.FILLED
            assert (stop is not None) == (target is not None) == bracketed
            if stop is not None and target is not None:
                self.check_legs(entry, stop, target)

    def check_legs(self, entry: VenueOrder, stop: VenueOrder, target: VenueOrder) -> None:
        assert (stop.state in LIVE) == (target.state in LIVE)
        assert (stop.state, target.state).count(OrderState.FILLED) <= 1
        assert stop.quantity == target.quantity == entry.quantity
        assert stop.parent_client_order_id == target.parent_client_order_id == entry.client_order_id

    @invariant()
    def a_purchase_is_never_cheaper_and_a_sale_never_dearer_than_the_bar_allows(self) -> None:
        for fill in self.asked.fills_since(LONG_AGO):
            bars = [self.extremes.get((fill.symbol, opened_at)) for opened_at in (fill.at, fill.at - FIVE)]
            ranges = [bar for bar in bars if bar is not None]
            if fill.side is Side.BUY:
                assert fill.price >= min(exact(low) for low, _ in ranges)
            else:
                assert fill.price <= max(exact(high) for _, high in ranges)

    def teardown(self) -> None:
        try:
            self.both_tell_the_same()
        finally:
            self.asked.close()
            self.silent.close()
            self.folder.cleanup()

    def both_tell_the_same(self) -> None:
        fills = self.silent.fills_since(LONG_AGO)
        event(f"fills: {min(len(fills), 5)}")
        event(f"legs filled: {sum(fill.client_order_id[-2:] in ('-s', '-t') for fill in fills) > 0}")
        assert fills == self.asked.fills_since(LONG_AGO)
        assert self.silent.orders() == self.asked.orders()
        assert self.silent.state() == self.asked.state()
        for name in NAMES:
            for leg in ("", "-s", "-t"):
                assert self.silent.find(name + leg) == self.asked.find(name + leg)


TestTwoVenues = TwoVenues.TestCase
TestTwoVenues.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# A failure is worth its shrinking, which may take longer than an ordinary test.
TestTwoVenues.pytestmark = [pytest.mark.timeout(600)]  # type: ignore[attr-defined]
