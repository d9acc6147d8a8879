"""Orders that arrive late, are forgotten or come back: what the engine does until it knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.domain.decisions import BrakeKind
from core.domain.events import ErrorRaised, OrderFilled, OrderRefused, OrderUncertain
from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.venue import Resting, VenueOrder
from core.execution.corrections import PATIENCE
from core.execution.executor import request_of
from core.execution.watch import guard
from core.strategy.policy import Policy
from tests.builders import COIN, MONDAY, Bench, an_entry, an_exit
from tests.fakes_chaos import ChaosVenue, Mishap

MINUTE = timedelta(minutes=1)
EXIT_GRACE = ChaosVenue.shows_within
ENTRY_GRACE = PATIENCE * EXIT_GRACE
HUNDRED = Decimal(100)


class Forgetful(ChaosVenue):
    """Answers about the orders in `hidden` that it never had them."""

    hidden: frozenset[str] = frozenset()

    def find(self, client_order_id: str) -> VenueOrder | None:
        found = super().find(client_order_id)
        return None if client_order_id in self.hidden else found

    def live(self) -> list[VenueOrder]:
        return [order for order in super().live() if order.client_order_id not in self.hidden]


def a_stage(folder: Path, **settings: Any) -> tuple[Bench, Forgetful]:
    venue = Forgetful(VirtualClock(MONDAY), lambda _symbol: HUNDRED)
    bench = Bench(folder, wrap=lambda _real: venue, **settings)
    venue.clock = bench.clock
    return bench.start(), venue


def pass_minutes(bench: Bench, minutes: int) -> None:
    for _ in range(minutes):
        bench.clock.advance(MINUTE)
        bench.system.advance(MINUTE)
        guard(bench.desk, bench.clock.now())


def held_position(bench: Bench, venue: ChaosVenue) -> Order:
    """Ten units with their stop at the venue; returns the entry."""
    entry = an_entry(bench)
    bench.place(entry)
    venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    bench.reconcile()
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert watched.kind is GuardKind.VENUE
    return entry


def test_an_entry_that_arrives_within_its_grace_is_adopted_and_never_doubled(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    venue.mishap, venue.delay = Mishap.LATE, ENTRY_GRACE - MINUTE
    bench.tick()
    (order,) = bench.read(lambda work: work.live_orders("simulated"))
    pass_minutes(bench, 3)
    assert bench.order(order.client_order_id).state is OrderState.UNKNOWN
    bench.tick()
    assert len(bench.read(lambda work: work.live_orders("simulated"))) == 1, "its symbol takes nothing meanwhile"
    pass_minutes(bench, 2)
    assert bench.order(order.client_order_id).state is OrderState.ACCEPTED
    assert len(venue.requests) == 1
    assert len(bench.events(OrderUncertain)) == 1


def test_an_entry_that_arrives_after_it_was_given_up_is_taken_back(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    entry = an_entry(bench)
    venue.mishap, venue.delay = Mishap.LATE, ENTRY_GRACE + MINUTE
    bench.place(entry)
    pass_minutes(bench, 5)
    assert bench.order(entry.client_order_id).state is OrderState.REJECTED
    pass_minutes(bench, 1)
    assert venue.book[entry.client_order_id].state is OrderState.CANCELED
    assert venue.positions == {}


def test_what_a_given_up_entry_fills_all_the_same_is_booked_once_guarded_and_told(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    entry = an_entry(bench)
    bench.place(entry)
    with bench.database.unit_of_work() as work:
        work.save_order(bench.order(entry.client_order_id).moved(OrderState.REJECTED, bench.clock.now()))
        work.commit()
    venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    pass_minutes(bench, 3)
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    assert (portfolio.quantity(COIN), portfolio.cash) == (10, venue.cash)
    assert bench.order(entry.client_order_id).filled_quantity == 10
    assert [event.quantity for event in bench.events(OrderFilled)] == [10]
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert (watched.kind, watched.stop) == (GuardKind.VENUE, 95)
    assert bench.read(lambda work: work.brakes()) == []


def test_an_exit_of_unknown_fate_is_watched_and_goes_out_again_under_its_id_alone(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    held_position(bench, venue)
    out = an_exit(bench)
    venue.mishap, venue.delay = Mishap.LATE, 2 * EXIT_GRACE
    bench.bar(94.0)
    bench.place(out)
    assert bench.order(out.client_order_id).state is OrderState.UNKNOWN
    bench.reconcile()
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert watched.kind is GuardKind.ENGINE, "nothing rests at the venue, so it must not say so"
    sales = [each for each in venue.requests if each.purpose is Purpose.EXIT]
    assert sales == []
    pass_minutes(bench, 4)
    sent = [each.client_order_id for each in venue.requests if each.purpose is Purpose.EXIT]
    assert sent == [out.client_order_id]
    assert bench.order(out.client_order_id).state is OrderState.ACCEPTED
    venue.fill(out.client_order_id, Decimal(10), HUNDRED)
    pass_minutes(bench, 2)
    assert venue.positions == {}
    assert bench.read(lambda work: work.guards("simulated")) == []


def test_a_cancellation_that_the_venue_never_heard_of_is_asked_again_at_the_next_look(tmp_path: Path) -> None:
    """Written down and not sent, because the process died in between, or sent and lost."""
    bench, venue = a_stage(tmp_path)
    entry = an_entry(bench)
    bench.place(entry)
    with bench.database.unit_of_work() as work:
        work.save_order(bench.order(entry.client_order_id).moved(OrderState.CANCEL_PENDING, bench.clock.now()))
        work.commit("withdraw")
    bench.restart()
    bench.reconcile()
    assert venue.live() == []
    bench.reconcile()
    assert bench.order(entry.client_order_id).state is OrderState.CANCELED


def test_a_stop_that_the_venue_does_not_show_for_a_moment_is_not_placed_again(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    entry = held_position(bench, venue)
    requests = len(venue.requests)
    venue.hidden = frozenset({f"{entry.client_order_id}-s"})
    guard(bench.desk, bench.clock.now())
    pass_minutes(bench, 1)
    venue.hidden = frozenset()
    pass_minutes(bench, 2)
    assert len(venue.requests) == requests
    assert not [each for each in bench.read(lambda work: work.brakes()) if each.kind is BrakeKind.FLATTEN]
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert watched.kind is GuardKind.VENUE


def test_a_resting_order_that_ends_at_the_venue_by_itself_is_told(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    entry = an_entry(bench)
    bench.place(entry)
    venue.end(entry.client_order_id, OrderState.CANCELED, "halted")
    bench.reconcile()
    (told,) = bench.events(OrderRefused)
    assert (told.purpose, told.reason) == (Purpose.ENTRY, "halted")


@pytest.mark.feature("T8")
def test_a_second_working_entry_found_at_the_venue_stops_no_reconciliation(tmp_path: Path) -> None:
    """After a restore the venue may know two entries of one symbol where the ledger allows one."""
    bench, venue = a_stage(tmp_path)
    known = an_entry(bench)
    bench.place(known)
    lost = an_entry(bench, origin="before the restore")
    venue.submit(request_of(lost, Resting.PAIR))
    assert bench.reconcile().reachable == {"simulated"}
    assert [order.client_order_id for order in bench.read(lambda work: work.live_orders())] == [known.client_order_id]
    venue.end(known.client_order_id, OrderState.CANCELED)
    bench.reconcile()
    bench.reconcile()
    assert [order.client_order_id for order in bench.read(lambda work: work.live_orders())] == [lost.client_order_id]


@pytest.mark.feature("T8")
@pytest.mark.parametrize("change", [{"symbol": "ETH-USD"}, {"quantity": Decimal(11)}, {"side": Side.SELL}])
def test_a_duplicate_that_is_another_order_is_not_adopted_and_blocks_its_symbol(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    bench, venue = a_stage(tmp_path)
    entry = an_entry(bench)
    venue.submit(request_of(replace(entry, bracket=None), Resting.PAIR))
    venue.book[entry.client_order_id] = replace(venue.book[entry.client_order_id], **change)
    bench.place(entry)
    assert bench.order(entry.client_order_id).state is OrderState.UNKNOWN, "only a look-up says what the id stands for"
    bench.reconcile()
    assert bench.order(entry.client_order_id).state is OrderState.REJECTED
    (brake,) = bench.read(lambda work: work.brakes())
    assert (brake.kind, brake.scope) == (BrakeKind.SYMBOL_BLOCKED, f"simulated/{COIN}")
    assert len(bench.events(ErrorRaised)) == 1
    pass_minutes(bench, 3)
    assert venue.book[entry.client_order_id].state is OrderState.ACCEPTED, "nobody touches what may be another's"
    assert len(bench.events(ErrorRaised)) == 1


@pytest.mark.feature("T8")
def test_a_duplicate_that_is_our_order_is_adopted(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    entry = an_entry(bench)
    venue.submit(request_of(entry, Resting.PAIR))
    bench.place(entry)
    assert bench.order(entry.client_order_id).state is OrderState.ACCEPTED
    assert len(venue.requests) == 1


# a leg of a pair is the venue's own: it may live and end between two of our looks


def with_a_leg_nobody_has_seen(folder: Path) -> tuple[Bench, Forgetful, VenueOrder]:
    """A stop was placed anew a moment ago; the target leg that came with it is known to the venue alone."""
    bench, venue = a_stage(folder, policy=Policy(trailing_fraction=Decimal("0.03")))
    venue.can_replace = False
    held_position(bench, venue)
    bench.bar(110.0)
    pass_minutes(bench, 1)
    (leg,) = [each for each in venue.live() if each.purpose is Purpose.TARGET]
    assert bench.read(lambda work: work.order(leg.client_order_id)) is None
    return bench, venue, leg


def test_a_leg_that_was_filled_before_anybody_saw_it_is_learned_of_from_its_fill(tmp_path: Path) -> None:
    bench, venue, leg = with_a_leg_nobody_has_seen(tmp_path)
    venue.fill(leg.client_order_id, Decimal(10), Decimal(115))
    pass_minutes(bench, 1)
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    assert (portfolio.quantity(COIN), portfolio.cash) == (0, venue.cash)
    assert (bench.order(leg.client_order_id).state, bench.order(leg.client_order_id).filled_quantity) == (
        OrderState.FILLED,
        10,
    )
    assert [(event.side, event.quantity) for event in bench.events(OrderFilled)][1:] == [(Side.SELL, 10)]
    assert bench.read(lambda work: work.live_orders("simulated")) == []


def test_a_part_that_a_leg_filled_before_it_ended_unseen_is_booked_and_the_rest_is_guarded(tmp_path: Path) -> None:
    bench, venue, leg = with_a_leg_nobody_has_seen(tmp_path)
    venue.fill(leg.client_order_id, Decimal(4), Decimal(115))
    venue.end(leg.client_order_id, OrderState.CANCELED)
    pass_minutes(bench, 2)
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    assert (portfolio.quantity(COIN), portfolio.cash) == (6, venue.cash)
    assert bench.order(leg.client_order_id).filled_quantity == 4
    assert bench.order(leg.client_order_id).state is OrderState.CANCELED
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert watched.kind is GuardKind.VENUE
    assert [each.quantity for each in venue.live() if each.purpose is Purpose.STOP] == [6]
    assert bench.read(lambda work: work.brakes()) == []


def test_a_leg_that_ended_unseen_without_a_fill_changes_nothing(tmp_path: Path) -> None:
    bench, venue, leg = with_a_leg_nobody_has_seen(tmp_path)
    venue.end(leg.client_order_id, OrderState.CANCELED)
    pass_minutes(bench, 2)
    assert bench.read(lambda work: work.order(leg.client_order_id)) is None
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    assert (portfolio.quantity(COIN), portfolio.cash) == (10, venue.cash)
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert watched.kind is GuardKind.VENUE, "the stop that went with it rests anew"
    assert bench.read(lambda work: work.brakes()) == []
