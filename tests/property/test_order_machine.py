"""Orders, fills, cancels, lost answers, wrong twins, repetitions, re-orderings, crashes and restarts, in any order:
the ledger ends where the venue is, nothing is doubled or oversold, and every position has its guard."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.clock import VirtualClock
from core.cycle import recover
from core.domain.dust import without_dust
from core.domain.instruments import instrument_for
from core.domain.orders import OrderState, OrderType, Purpose, Side, cover_of
from core.domain.portfolio import Fill, GuardKind
from core.domain.values import ZERO, floor_to
from core.domain.venue import OrderRequest, Resting, VenueOrder
from core.execution import levels, own_sales
from core.execution.protect import UNGUARDED
from core.execution.watch import guard
from core.strategy.policy import Policy
from tests.builders import COIN, MONDAY, Bench
from tests.fakes_chaos import ChaosVenue, Mishap

UNDECIDED = (OrderState.SUBMITTING, OrderState.UNKNOWN)
ACCOUNT = "simulated"
BY_HAND = "by-hand-"
MINUTE = timedelta(minutes=1)
MINUTES_TO_REST = 8
"""How many guard intervals may pass, once the venue answers again, until nothing is in doubt any more."""
PATIENT = Policy(
    min_trade_gap=timedelta(0), loss_streak=10_000, drawdown_fraction=Decimal(1), daily_loss_fraction=Decimal(1)
)
"""No brake ends the play before it has begun."""


class Crashed(BaseException):
    """The process is gone: nothing in the product catches it."""


class CrashAfter:
    """Dies at the checkpoint after `steps` others."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, _name: str) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Crashed


class Trading(RuleBasedStateMachine):
    """The engine on a real ledger against a venue that does what the rules say."""

    folder: Path
    """Where each life in turn has its files: at the same place, so that its engine is the same."""

    @initialize(
        coin_fee=st.sampled_from([ZERO, Decimal("0.0025")]), rests=st.sampled_from(list(Resting)), moves=st.booleans()
    )
    def install(self, coin_fee: Decimal, rests: Resting, moves: bool) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.price, self.compared, self.taps = Decimal(100), 0, 0
        # What the venue takes in coin is finer than what it trades: some dust is always left.
        self.venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: self.price, coin_fee=coin_fee, rests=rests)
        self.venue.can_replace = moves
        self.bench = Bench(self.folder, policy=PATIENT, wrap=lambda _real: self.venue)
        self.venue.clock = self.bench.clock
        self.bench.start()

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            try:
                self.come_to_rest()
                assert self.bench.database.verify() == []
            finally:
                self.bench.close()
                shutil.rmtree(self.folder)

    # what the world does

    @rule(percent=st.sampled_from([-6, -2, 0, 1, 3, 16]))
    def a_bar_closes(self, percent: int) -> None:
        self.price = max(Decimal(10), (self.price * (100 + percent) / 100).quantize(Decimal("0.01")))
        self.bench.bar(float(self.price))

    @rule(data=st.data(), share=st.sampled_from([Decimal("0.3"), Decimal("0.5"), Decimal(1)]))
    def the_venue_fills(self, data: st.DataObject, share: Decimal) -> None:
        order = self._some_live_order(data)
        if order is not None:
            left = order.quantity - order.filled_quantity
            part = left if share == 1 else (left * share).quantize(Decimal("0.000001"))
            self.venue.fill(order.client_order_id, part, self.price)

    @rule(data=st.data(), state=st.sampled_from([OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED]))
    def the_venue_ends_an_order(self, data: st.DataObject, state: OrderState) -> None:
        order = self._some_live_order(data)
        if order is not None and not (state is OrderState.REJECTED and order.filled_quantity):
            self.venue.end(order.client_order_id, state, "ended by the venue")

    @rule(share=st.sampled_from([Decimal("0.5"), Decimal(1)]))
    def the_owner_leaves_a_sale_at_the_venue(self, share: Decimal) -> None:
        """Of what no order of ours holds. Not while an entry is filled in parts: the legs that wait for its end would
        claim the same units, and which of the two a venue then turns away nobody has written down."""
        if any(order.side is Side.BUY for order in self.venue.live()):
            return
        units = floor_to(self.venue.free_units(COIN) * share, instrument_for(COIN).quantity_step)
        if units > 0:
            self.taps += 1
            name, limit = f"{BY_HAND}{self.taps}", self.price * 2
            self.venue.order_by_hand(
                OrderRequest(name, COIN, Side.SELL, units, OrderType.LIMIT, Purpose.EXIT, limit_price=limit)
            )

    @rule(mishap=st.sampled_from(list(Mishap)))
    def the_next_submission_meets(self, mishap: Mishap) -> None:
        self.venue.mishap = mishap

    @rule(down=st.booleans())
    def the_venue_is_reachable_or_not(self, down: bool) -> None:
        self.venue.is_down = down

    @rule(lost=st.booleans())
    def the_next_cancel_gets_no_answer(self, lost: bool) -> None:
        self.venue.cancel_is_lost, self.venue.cancel_is_silent = lost, not lost

    @rule(doubled=st.booleans(), reverse=st.booleans(), withheld=st.booleans())
    def fills_are_told(self, doubled: bool, reverse: bool, withheld: bool) -> None:
        self.venue.doubles_fills, self.venue.reverses_fills = doubled, reverse
        self.venue.withholds_newest = withheld

    # what the engine does

    @rule()
    def a_tick(self) -> None:
        self.bench.tick()

    @rule()
    def a_minute(self) -> None:
        self._advance(MINUTE)
        guard(self.bench.desk, self.bench.clock.now())

    @rule(part=st.sampled_from([Decimal("0.4"), Decimal(1)]))
    def the_owner_sells(self, part: Decimal) -> None:
        """Whatever rests there has to be withdrawn first."""
        self.taps += 1
        self.bench.owner.close(COIN, part, "owner", f"tap-{self.taps}")

    @rule(stop=st.sampled_from([-4, 2, None]), goal=st.sampled_from([-3, 5, None]))
    def the_owner_moves_the_levels(self, stop: int | None, goal: int | None) -> None:
        """What rests there follows in the next minute; each by so many per cent."""
        self.taps += 1
        for held in self.bench.read(lambda work: work.guards(ACCOUNT)):
            wish = levels.Move(_shifted(held.stop, stop), _shifted(held.target, goal))
            levels.move(self.bench.desk, held.symbol, wish, "owner", f"tap-{self.taps}", self.bench.clock.now())

    @rule(steps=st.integers(0, 25), tick=st.booleans())
    def the_process_dies(self, steps: int, tick: bool) -> None:
        """Somewhere within a tick or a guard, or between two of them; the next one recovers."""
        self.bench.checkpoint = CrashAfter(steps)
        try:
            if tick:
                self.bench.tick()
            else:
                guard(self.bench.desk, self.bench.clock.now())
        except Crashed:
            pass
        self.bench.checkpoint = _alive
        self.bench.restart()
        recover(self.bench.desk, self.bench.clock.now())

    @precondition(lambda self: not self.venue.is_down)
    @rule()
    def the_same_tick_again(self) -> None:
        """A tick that is repeated for the same time meets its own orders."""
        before = len(self.venue.requests)
        scheduled = self.bench.clock.now()
        self.bench.tick(scheduled)
        self.bench.tick(scheduled)
        entries = [each for each in self.venue.requests[before:] if each.purpose is Purpose.ENTRY]
        assert len(entries) <= 1

    # what must hold always

    @invariant()
    def no_id_was_sent_twice_and_lives_twice(self) -> None:
        if not hasattr(self, "venue"):
            return
        sent = Counter(request.client_order_id for request in self.venue.requests)
        assert not [name for name, count in sent.items() if count > 1]

    @invariant()
    def at_most_one_entry_lives(self) -> None:
        if hasattr(self, "venue"):
            entries = [order for order in self.venue.live() if order.side is Side.BUY]
            assert len(entries) <= 1, entries

    @invariant()
    def nothing_is_oversold(self) -> None:
        if hasattr(self, "venue"):
            assert all(units >= 0 for units in self.venue.positions.values()), self.venue.positions

    @invariant()
    def no_more_is_offered_than_is_held(self) -> None:
        if hasattr(self, "venue"):
            assert all(self.venue.free_units(symbol) >= 0 for symbol in self.bench.symbols), self.venue.live()

    @invariant()
    def no_guard_trusts_a_stop_that_may_be_gone(self) -> None:
        """Nor one that is being withdrawn: whoever does not rest for sure has the engine in his place."""
        if not hasattr(self, "bench"):
            return
        live = self.bench.read(lambda work: work.live_orders(ACCOUNT))
        positions = self.bench.read(lambda work: work.portfolio(ACCOUNT)).positions
        claimed = self.bench.read(lambda work: own_sales.claimed(work, ACCOUNT))
        for each in self.bench.read(lambda work: work.guards(ACCOUNT)):
            if each.kind is GuardKind.VENUE:
                free = positions[each.symbol].quantity - claimed.get(each.symbol, ZERO)
                whole = floor_to(free, instrument_for(each.symbol).quantity_step)
                assert cover_of(order for order in live if order.symbol == each.symbol).stop >= whole, each

    @invariant()
    def the_ledger_books_only_what_happened(self) -> None:
        if not hasattr(self, "bench"):
            return
        head = self.bench.read(lambda work: work.head()).seq
        if head == self.compared:
            return
        self.compared = head
        made = {fill.id: fill for fill in self.venue.fills}
        booked = [entry for entry in self.bench.read(lambda work: work.entries(ACCOUNT)) if isinstance(entry, Fill)]
        assert all(made.get(fill.id) == fill for fill in booked)
        assert len({fill.id for fill in booked}) == len(booked)

    # what must hold once everything answers again

    def come_to_rest(self) -> None:
        self.venue.calm()
        self._every_sale_by_hand_is_known()
        for order in self.venue.live():
            if order.client_order_id.startswith(BY_HAND):
                self.venue.end(order.client_order_id, OrderState.CANCELED)
        for _ in range(MINUTES_TO_REST):
            self._advance(MINUTE)
            guard(self.bench.desk, self.bench.clock.now())
        self._the_ledger_is_the_venue()
        self._every_position_is_guarded()

    @rule()
    def everything_calms_down(self) -> None:
        self.come_to_rest()

    def _every_sale_by_hand_is_known(self) -> None:
        guard(self.bench.desk, self.bench.clock.now())
        by_hand: dict[str, Decimal] = {}
        for order in self.venue.live():
            if order.client_order_id.startswith(BY_HAND):
                left = order.quantity - order.filled_quantity
                by_hand[order.symbol] = by_hand.get(order.symbol, ZERO) + left
        assert self.bench.read(lambda work: own_sales.claimed(work, ACCOUNT)) == by_hand

    def _the_ledger_is_the_venue(self) -> None:
        portfolio = self.bench.read(lambda work: work.portfolio(ACCOUNT))
        held = {symbol: position.quantity for symbol, position in portfolio.positions.items()}
        assert (portfolio.cash, held) == (self.venue.cash, self.venue.positions)
        live = self.bench.read(lambda work: work.live_orders(ACCOUNT))
        assert not [order for order in live if order.state in UNDECIDED], live
        theirs = {order.client_order_id: order.filled_quantity for order in self.venue.live()}
        assert {order.client_order_id: order.filled_quantity for order in live} == theirs

    def _every_position_is_guarded(self) -> None:
        guards = {each.symbol: each for each in self.bench.read(lambda work: work.guards(ACCOUNT))}
        told = (self.bench.read(lambda work: work.value(UNGUARDED)) or "").split()
        positions = without_dust(self.bench.read(lambda work: work.portfolio(ACCOUNT)).positions)
        for symbol in positions:
            assert symbol in guards or f"{ACCOUNT}/{symbol}" in told, symbol
        assert guards.keys() <= positions.keys()
        resting: dict[str, Decimal] = {}
        for order in self.venue.live():
            if order.purpose is Purpose.STOP:
                resting[order.symbol] = resting.get(order.symbol, ZERO) + order.quantity - order.filled_quantity
        for symbol, units in resting.items():
            assert units <= self.venue.positions.get(symbol, ZERO), "more stops than units"
        under_way = {order.symbol for order in self.venue.live() if order.purpose in (Purpose.ENTRY, Purpose.EXIT)}
        if self.venue.rests is not Resting.NOTHING:
            for symbol in guards.keys() - under_way:
                whole = floor_to(self.venue.positions[symbol], instrument_for(symbol).quantity_step)
                assert resting.get(symbol) == whole, "not all that may rest does"
                stops = [order.stop_price for order in self.venue.live() if order.purpose is Purpose.STOP]
                assert set(stops) == {guards[symbol].stop}, "a stop rests where it is not wanted"

    # helpers

    def _some_live_order(self, data: st.DataObject) -> VenueOrder | None:
        live = self.venue.live()
        return data.draw(st.sampled_from(live), label="order") if live else None

    def _advance(self, span: timedelta) -> None:
        self.bench.clock.advance(span)
        self.bench.system.advance(span)


def _shifted(level: Decimal, percent: int | None) -> Decimal | None:
    return None if percent is None else level * (100 + percent) / 100


def _alive(_name: str) -> None:
    """Nobody dies here."""


SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def live(lives: int, steps: int) -> None:
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="orders-", dir=base) as place:
        run_state_machine_as_test(
            type("Trading", (Trading,), {"folder": Path(place) / "life"}),
            settings=settings(
                max_examples=lives, stateful_step_count=steps, deadline=None, suppress_health_check=SLOW_IS_FINE
            ),
        )


@pytest.mark.timeout(600)
def test_whatever_happens_to_orders_the_ledger_ends_where_the_venue_is() -> None:
    live(120, 15)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_it_does_so_in_two_thousand_lives() -> None:
    live(2_000, 40)
