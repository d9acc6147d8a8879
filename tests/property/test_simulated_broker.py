"""Two venues live through the same random history: one is asked and restarted all the time, the other left alone.

Bars are thin at times, coins pay their fee in coin, a share pays a dividend and splits. What must hold after every step
is told by the domain's own fold of fills and activities, not by the venue's code.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.adapters.simulated_broker import SimulatedBroker
from core.adapters.simulated_profiles import ALPACA, DOLLARS, VenueProfile
from core.clock import VirtualClock
from core.domain.corporate import CorporateAction
from core.domain.orders import LIVE, OrderState, OrderType, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement, Entry, Fill, Portfolio
from core.domain.values import ZERO, exact, floor_to
from core.domain.venue import Accepted, OrderRequest, Replacement, VenueOrder
from core.execution.news import entry_of, in_order
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
# How far below and above the last price, in whole USD.
distances = st.tuples(st.integers(1, 12), st.integers(1, 12))
# None at all (so that it tells nothing), ten units for us, a hundred.
volumes = st.sampled_from([0.0, 100.0, 1000.0])
# A dividend in USD and the ratio of a split.
actions = st.tuples(st.sampled_from(["0", "0.333"]), st.sampled_from(["1", "4", "0.125"])).map(
    lambda two: (Decimal(two[0]), Decimal(two[1]))
)
STEPS = {"SPY": Decimal(1), "BTC-USD": Decimal("0.000001")}


class TwoVenues(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = VirtualClock(MONDAY)
        self.grid = MONDAY
        self.shelf = BarShelf()
        self.actions: list[CorporateAction] = []
        self.limits: dict[tuple[str, datetime], Decimal | None] = {}
        self.extremes: dict[tuple[str, datetime], tuple[float, float]] = {}
        self.sent: dict[str, OrderRequest] = {}
        self.seen: dict[str, Fill] = {}

    def open_asked(self) -> SimulatedBroker:
        return self.open(Path(self.folder.name) / "venue.sqlite")

    def open(self, path: Path | None) -> SimulatedBroker:
        return venue_over(
            self.shelf, self.clock, path=path, profile=self.profile, tells_volume=bool, actions=self.actions
        )

    def history(self) -> list[Entry]:
        """All that has moved the account, in the order of time."""
        news = in_order(self.asked.fills_since(LONG_AGO), self.asked.activities_since(LONG_AGO))
        return [CashMovement("opening", ACCOUNT.id, CashKind.DEPOSIT, CASH, LONG_AGO), *map(entry_of, news)]

    @initialize(first=prices, second=prices, profile=st.sampled_from([ALPACA, DOLLARS]))
    def there_are_prices(self, first: tuple[float, ...], second: tuple[float, ...], profile: VenueProfile) -> None:
        self.profile = profile
        self.asked = self.open_asked()
        self.silent = self.open(None)
        self.next_bars(first, second, 1000.0, 0)

    @rule(first=prices, second=prices, volume=volumes, late=st.integers(0, 299))
    def next_bars(self, first: tuple[float, ...], second: tuple[float, ...], volume: float, late: int) -> None:
        """A bar of each symbol, then a look at some moment before the next ones close."""
        for symbol, four in zip(SYMBOLS, (first, second), strict=True):
            self.shelf.add(bar_of(symbol, self.grid, four, volume=volume))  # type: ignore[arg-type]
            self.extremes[symbol, self.grid] = (min(four), max(four))
            self.limits[symbol, self.grid] = Decimal(volume) / 10 if volume else None
        self.grid += FIVE
        self.clock.move_to(self.grid + timedelta(seconds=late))

    @precondition(lambda self: not self.actions)
    @rule(action=actions)
    def spy_is_to_pay_and_to_split(self, action: tuple[Decimal, Decimal]) -> None:
        dividend, ratio = action
        self.actions.append(CorporateAction("SPY", self.grid + FIVE, dividend, ratio, Decimal(100)))

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
        distance=distances,
        following=st.lists(st.tuples(prices, prices, volumes), min_size=1, max_size=4),
        action=actions,
    )
    def buy_with_a_bracket_and_watch(
        self,
        name: str,
        symbol: str,
        quantity: Decimal,
        distance: tuple[int, int],
        following: list[tuple[tuple[float, ...], tuple[float, ...], float]],
        action: tuple[Decimal, Decimal],
    ) -> None:
        last = int(self.shelf(symbol, LONG_AGO, self.grid).close[-1])
        stop, target = Decimal(last - distance[0]), Decimal(last + 1 + distance[1])
        self.send(
            OrderRequest(name, symbol, Side.BUY, quantity, OrderType.MARKET, Purpose.ENTRY, None, None, stop, target)
        )
        if not self.actions:
            self.spy_is_to_pay_and_to_split(action)
        for first, second, volume in following:
            self.next_bars(first, second, volume, 0)

    @rule(
        name=st.sampled_from(NAMES),
        symbol=st.sampled_from(SYMBOLS),
        quantity=quantities,
        kind=st.sampled_from(list(OrderType)),
        price=levels,
        depth=st.none() | st.integers(0, 5),
    )
    def sell(
        self, name: str, symbol: str, quantity: Decimal, kind: OrderType, price: Decimal, depth: int | None
    ) -> None:
        limit = price if kind is OrderType.LIMIT else None
        if kind is OrderType.STOP and depth is not None:
            limit = price - depth
        stop = price if kind is OrderType.STOP else None
        self.send(OrderRequest(name, symbol, Side.SELL, quantity, kind, Purpose.EXIT, limit, stop))

    def send(self, request: OrderRequest) -> None:
        answer = self.asked.submit(request)
        assert answer == self.silent.submit(request)
        if isinstance(answer, Accepted):
            first = self.sent.setdefault(request.client_order_id, request)
            assert (answer.order.symbol, answer.order.side) == (first.symbol, first.side)
            assert answer.order.quantity == first.quantity or self.has_split(first.symbol)
        else:
            assert request.client_order_id not in self.sent

    def has_split(self, symbol: str) -> bool:
        return any(action.is_split and action.symbol == symbol for action in self.actions)

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

    @precondition(lambda self: self.sent)
    @rule(number=st.integers(0, 11), leg=st.sampled_from(["", "-s", "-t"]), price=levels, depth=st.integers(0, 5))
    def move(self, number: int, leg: str, price: Decimal, depth: int) -> None:
        name = list(self.sent)[number % len(self.sent)] + leg
        before = self.asked.find(name)
        stop = price if before is not None and before.stop_price is not None else None
        limit = price - (depth if stop else 0) if before is not None and before.limit_price is not None else None
        answer = self.asked.replace(name, Replacement(f"{name} moved", stop, limit))
        assert answer == self.silent.replace(name, Replacement(f"{name} moved", stop, limit))
        after = self.asked.find(name)
        if isinstance(answer, Accepted) and before is not None and before.state in LIVE:
            assert after == replace(before, stop_price=stop, limit_price=limit)
            if leg == "" and limit is not None:
                lowest = min(limit, self.sent[name].limit_price or limit)
                self.sent[name] = replace(self.sent[name], limit_price=lowest)
        else:
            assert after == before

    @rule()
    def restart(self) -> None:
        before = self.picture()
        self.asked.close()
        self.asked = self.open_asked()
        assert self.picture() == before

    def picture(self) -> tuple[object, ...]:
        venue = self.asked
        return venue.state(), venue.orders(), venue.fills_since(LONG_AGO), venue.activities_since(LONG_AGO)

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
    def cash_and_positions_are_the_fold_of_what_happened_and_money_never_runs_out(self) -> None:
        portfolio = Portfolio(ACCOUNT.id)
        for entry in self.history():
            portfolio = portfolio.after(entry)
            assert portfolio.cash >= 0
        state = self.asked.state()
        assert portfolio.cash == state.cash
        assert {symbol: held.quantity for symbol, held in portfolio.positions.items()} == state.positions
        assert all(units > 0 for units in state.positions.values())

    @invariant()
    def what_is_filled_is_the_sum_of_the_fills_and_a_fill_once_seen_stays(self) -> None:
        fills = self.asked.fills_since(LONG_AGO)
        assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
        filled = Counter[str]()
        for fill in fills:
            filled[fill.client_order_id] += fill.quantity  # type: ignore[assignment]
        for name in self.names():
            order = self.asked.find(name)
            assert order is None or order.filled_quantity == filled[name] <= order.quantity
        now = {fill.id: fill for fill in fills}
        assert len(now) == len(fills)
        assert self.seen.items() <= now.items()
        self.seen = now

    def names(self) -> list[str]:
        return [name + leg for name in self.sent for leg in ("", "-s", "-t")]

    @invariant()
    def no_more_is_taken_of_a_bar_than_its_share(self) -> None:
        taken = Counter[tuple[str, datetime]]()
        for fill in self.asked.fills_since(LONG_AGO):
            # A fill at an open and one at the close before it share their moment.
            taken[fill.symbol, fill.at] += fill.quantity  # type: ignore[assignment]
        for (symbol, at), units in taken.items():
            limits = [self.limits.get((symbol, opened_at)) for opened_at in (at, at - FIVE)]
            if None not in limits:
                assert units <= sum(limits)  # type: ignore[arg-type]

    @invariant()
    def legs_are_born_when_their_entry_is_over_and_shrink_one_another(self) -> None:
        for name, request in self.sent.items():
            entry, stop, target = (self.asked.find(name + leg) for leg in ("", "-s", "-t"))
            assert entry is not None
            gained = self.gained(name, request.symbol)
            sellable = floor_to(gained, STEPS[request.symbol]) > 0 and request.bracket_stop is not None
            assert (stop is not None) == (target is not None)
            if not self.has_split(request.symbol):
                is_due = sellable and entry.state not in LIVE
                assert (stop is not None) == is_due or (stop is None and self.has_other_sales(request.symbol))
            if stop is not None and target is not None:
                self.check_legs(entry, stop, target, gained)

    def gained(self, name: str, symbol: str) -> Decimal:
        """Units that the order has brought, fees in units taken off."""
        own = [fill for fill in self.asked.fills_since(LONG_AGO) if fill.client_order_id == name]
        return sum((fill.quantity - (fill.fee if fill.fee_currency != "USD" else 0) for fill in own), ZERO)

    def check_legs(self, entry: VenueOrder, stop: VenueOrder, target: VenueOrder, gained: Decimal) -> None:
        assert (stop.state in LIVE) == (target.state in LIVE)
        assert (stop.state, target.state).count(OrderState.FILLED) <= 1
        assert stop.parent_client_order_id == target.parent_client_order_id == entry.client_order_id
        if stop.state in LIVE:
            assert stop.quantity - stop.filled_quantity == target.quantity - target.filled_quantity > 0
        if not self.has_split(entry.symbol):
            assert stop.filled_quantity + target.filled_quantity <= gained
            if stop.state in LIVE:
                covered, brought = stop.quantity + target.filled_quantity, floor_to(gained, STEPS[entry.symbol])
                assert covered == brought or (covered < brought and self.has_other_sales(entry.symbol))

    def has_other_sales(self, symbol: str) -> bool:
        """Whether a sale may have claimed units of a purchase before that was over."""
        return any(each.side is Side.SELL and each.symbol == symbol for each in self.sent.values())

    @invariant()
    def a_purchase_is_never_cheaper_and_a_sale_never_dearer_than_the_bar_allows(self) -> None:
        for fill in self.asked.fills_since(LONG_AGO):
            bars = [self.extremes.get((fill.symbol, opened_at)) for opened_at in (fill.at, fill.at - FIVE)]
            ranges = [bar for bar in bars if bar is not None]
            if fill.side is Side.BUY:
                assert fill.price >= min(exact(low) for low, _ in ranges)
            else:
                assert fill.price <= max(exact(high) for _, high in ranges)
            limit = self.sent[name].limit_price if (name := fill.client_order_id) in self.sent else None
            if limit is not None and fill.side is Side.SELL and not self.has_split(fill.symbol):
                assert fill.price >= limit

    def teardown(self) -> None:
        with self.folder:
            if not hasattr(self, "silent"):
                return
            try:
                self.both_tell_the_same()
            finally:
                self.asked.close()
                self.silent.close()

    def both_tell_the_same(self) -> None:
        fills = self.silent.fills_since(LONG_AGO)
        event(f"fills: {min(len(fills), 5)}")
        event(f"legs filled: {sum(fill.client_order_id[-2:] in ('-s', '-t') for fill in fills) > 0}")
        event(f"filled in parts: {any(not fill.id.endswith('/1') for fill in fills)}")
        event(f"activities: {len(self.silent.activities_since(LONG_AGO))}")
        assert fills == self.asked.fills_since(LONG_AGO)
        assert self.silent.orders() == self.asked.orders()
        assert self.silent.state() == self.asked.state()
        assert self.silent.activities_since(LONG_AGO) == self.asked.activities_since(LONG_AGO)
        for name in NAMES:
            for leg in ("", "-s", "-t"):
                assert self.silent.find(name + leg) == self.asked.find(name + leg)


def settings_of(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


# A failure is worth its shrinking, which may take longer than an ordinary test.
@pytest.mark.timeout(600)
def test_a_venue_asked_and_restarted_all_the_time_answers_as_one_left_alone() -> None:
    run_state_machine_as_test(TwoVenues, settings=settings_of(50, 25))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_it_does_so_in_a_thousand_lives() -> None:
    run_state_machine_as_test(TwoVenues, settings=settings_of(1_000, 40))
