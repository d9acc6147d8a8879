"""Nothing stays at a venue that would sell more than is held."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.events import OrderRefused
from core.domain.orders import OrderState, Purpose
from core.domain.portfolio import GuardKind
from core.domain.records import QuestionChoice
from core.execution.watch import guard
from tests.builders import COIN, MONDAY, Bench, an_entry
from tests.fakes_chaos import ChaosVenue, Mishap

TEN, HUNDRED = Decimal(10), Decimal(100)


@pytest.fixture
def stage(tmp_path: Path) -> tuple[Bench, ChaosVenue]:
    """Ten units with their stop at 95 and target at 115."""
    venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: HUNDRED)
    bench = Bench(tmp_path, wrap=lambda _real: venue)
    venue.clock = bench.clock
    bench.start()
    entry = an_entry(bench)
    bench.place(entry)
    venue.fill(entry.client_order_id, TEN, HUNDRED)
    bench.reconcile()
    return bench, venue


def minutes(bench: Bench, count: int = 1) -> None:
    for _ in range(count):
        bench.clock.advance(timedelta(minutes=1))
        bench.system.advance(timedelta(minutes=1))
        guard(bench.desk, bench.clock.now())


def live(venue: ChaosVenue) -> list[tuple[Purpose, Decimal]]:
    return [(order.purpose, order.quantity) for order in venue.live()]


def has_been_filled(venue: ChaosVenue, units: Decimal) -> None:
    """The stop that was cancelled for an exit had sold `units`: the venue tells of it late."""
    (stop,) = [order for order in venue.book.values() if order.purpose is Purpose.STOP]
    venue.positions[COIN] -= units
    if not venue.positions[COIN]:
        del venue.positions[COIN]
    venue.cash += units * 95
    venue.book[stop.client_order_id] = replace(stop, filled_quantity=units)
    venue._book_fill(stop, units, Decimal(95), Decimal(0))


def an_exit_goes_out_twice(bench: Bench, venue: ChaosVenue) -> None:
    """The venue does not sell at its stop, and the exit that takes its place gets lost the first time."""
    venue.mishap = Mishap.SILENT_LOST
    bench.bar(94.0)
    bench.bar(94.0)
    guard(bench.desk, bench.clock.now())
    assert live(venue) == []
    minutes(bench, 2)
    assert live(venue) == [(Purpose.EXIT, TEN)]


@pytest.mark.feature("S13")
def test_an_exit_that_was_sent_again_goes_when_its_position_turns_out_to_be_sold(
    stage: tuple[Bench, ChaosVenue],
) -> None:
    bench, venue = stage
    an_exit_goes_out_twice(bench, venue)
    has_been_filled(venue, TEN)
    minutes(bench)
    assert live(venue) == []
    minutes(bench)
    (out,) = [each for each in bench.read(lambda work: work.orders("simulated")) if each.purpose is Purpose.EXIT]
    assert out.state is OrderState.CANCELED
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}
    assert bench.events(OrderRefused) == [], "the position is sold, which is what was wanted"


@pytest.mark.feature("S13")
def test_what_a_late_fill_leaves_is_sold_at_its_own_size_within_the_same_minute(
    stage: tuple[Bench, ChaosVenue],
) -> None:
    bench, venue = stage
    an_exit_goes_out_twice(bench, venue)
    has_been_filled(venue, Decimal(4))
    minutes(bench)
    assert live(venue) == [(Purpose.EXIT, Decimal(6))]
    (told,) = bench.events(OrderRefused)
    assert (told.quantity, told.reason) == (TEN, "taken back: only 6 are held by now")


@pytest.mark.feature("S13")
def test_an_exit_that_is_half_filled_is_no_larger_than_what_is_left(stage: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = stage
    an_exit_goes_out_twice(bench, venue)
    (out,) = venue.live()
    venue.fill(out.client_order_id, Decimal(7), Decimal(94))
    minutes(bench, 2)
    assert [order.client_order_id for order in venue.live()] == [out.client_order_id]


@pytest.mark.feature("S13")
def test_a_stop_whose_position_is_gone_goes_with_it(stage: tuple[Bench, ChaosVenue]) -> None:
    """Sold in the broker's own app, which left the stop where it was."""
    bench, venue = stage
    del venue.positions[COIN]
    minutes(bench)
    (asked,) = bench.owner.questions()
    assert {purpose for purpose, _ in live(venue)} == {Purpose.STOP, Purpose.TARGET}, "nobody knows yet"
    bench.owner.answer(asked.number, asked.version, QuestionChoice.ADOPT, "tap-1")
    bench.tick()
    assert {purpose for purpose, _ in live(venue)} & {Purpose.STOP, Purpose.TARGET} == set()


@pytest.mark.feature("S13")
def test_a_stop_for_part_of_a_position_is_placed_in_the_minute_that_takes_the_larger_one_away(
    stage: tuple[Bench, ChaosVenue],
) -> None:
    bench, venue = stage
    venue.positions[COIN] = Decimal(7)
    minutes(bench)
    (asked,) = bench.owner.questions()
    bench.owner.answer(asked.number, asked.version, QuestionChoice.ADOPT, "tap-1")
    minutes(bench)
    assert (Purpose.STOP, Decimal(7)) in live(venue)


@pytest.mark.feature("S13")
def test_while_the_venue_holds_more_than_is_explained_its_stop_is_left_alone(
    stage: tuple[Bench, ChaosVenue],
) -> None:
    """The owner bought five more in the broker's own app, and made the stop larger."""
    bench, venue = stage
    venue.positions[COIN] = Decimal(15)
    for order in venue.live():
        venue.book[order.client_order_id] = replace(order, quantity=Decimal(15))
    minutes(bench, 3)
    assert (Purpose.STOP, Decimal(15)) in live(venue)
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert watched.kind is GuardKind.VENUE
