"""What may rest at a venue differs: a stop and a target, a stop alone, nothing, or no fraction of a share. Whatever
does not rest is watched, and an exit sells all of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.adapters.simulated_profiles import ALPACA
from core.clock import VirtualClock
from core.cycle import recover
from core.domain.events import ExitQueued, GuardMoved, OrderFilled, OrderRefused, PositionUnguarded, ProtectionFailed
from core.domain.instruments import AssetClass
from core.domain.orders import OrderState, OrderType, Purpose
from core.domain.portfolio import AdjustmentKind, Guard, GuardKind, PositionAdjustment
from core.domain.splits import FRACTION
from core.domain.venue import OrderRequest, Refused, Resting, SubmitResult, VenueOrder
from core.domain.views import AnswerKind
from core.execution.wanted import WANTED
from core.strategy.policy import Policy
from tests.builders import COIN, MONDAY, Bench
from tests.fakes_chaos import ChaosVenue
from tests.fakes_venue import AlwaysOpen
from tests.guard_stage import HUNDRED, TEN, Death, a_stage_over, hold, watch

LIMIT = Decimal("93.1")
"""Two per cent below a stop at 95."""


class Choosy(ChaosVenue):
    """Takes no exits while told so."""

    refuses_exits = False

    def submit(self, request: OrderRequest) -> SubmitResult:
        if self.refuses_exits and request.purpose is Purpose.EXIT:
            return Refused("trading is halted")
        return super().submit(request)


def a_stage(folder: Path, rests: Resting = Resting.STOP, **settings: Any) -> tuple[Bench, Choosy]:
    venue = Choosy(VirtualClock(MONDAY), lambda _symbol: HUNDRED, rests=rests, share_step=FRACTION)
    return a_stage_over(folder, venue, **settings)


def the_guard(bench: Bench) -> Guard:
    (found,) = bench.read(lambda work: work.guards("simulated"))
    return found  # type: ignore[no-any-return]


def live(venue: ChaosVenue) -> list[tuple[Purpose, Decimal, Decimal | None, Decimal | None]]:
    return [(each.purpose, each.quantity, each.stop_price, each.limit_price) for each in venue.live()]


THE_STOP = (Purpose.STOP, TEN, Decimal(95), LIMIT)
THE_SALE = (Purpose.EXIT, TEN, None, None)


# a stop alone


@pytest.mark.feature("S10")
def test_a_coin_bought_at_alpaca_has_its_stop_resting_within_the_tick_that_sees_the_fill(tmp_path: Path) -> None:
    bench = Bench(tmp_path, profile=ALPACA).start()
    bench.tick()
    (bought,) = bench.venue.orders()
    assert (bought.purpose, bench.venue.find(f"{bought.client_order_id}-s")) == (Purpose.ENTRY, None)
    bench.bar(100.0)
    watch(bench)
    (stop,) = bench.venue.orders()
    held = bench.venue.state().positions[COIN]
    assert 0 <= held - stop.quantity < Decimal("0.000001") < bought.quantity - held, "its fee was taken in coin"
    assert (stop.type, stop.stop_price, stop.limit_price) == (OrderType.STOP, Decimal("95.095"), Decimal("93.1931"))
    watch(bench)
    assert the_guard(bench).kind is GuardKind.VENUE
    (shown,) = bench.owner.positions().positions
    assert (shown.at_venue, shown.target_rests) == (stop.quantity, False)


@pytest.mark.feature("S13")
def test_the_target_of_a_stop_that_rests_alone_is_watched_and_everything_sold_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, profile=ALPACA).start()
    bench.tick()
    bench.bar(100.0)
    watch(bench, 2)
    bench.bar(116.0)
    assert watch(bench) == "1 exits sent"
    assert [order.purpose for order in bench.venue.orders()] == [Purpose.EXIT], "the stop claims nothing any more"
    bench.bar(116.0)
    watch(bench)
    sold = bench.events(OrderFilled)[-1]
    assert (sold.purpose, bench.events(ProtectionFailed)) == (Purpose.TARGET, [])
    assert bench.venue.state().positions[COIN] < Decimal("0.000001"), "dust at most"
    assert bench.read(lambda work: work.guards()) == []


@pytest.mark.feature("S13")
def test_a_price_that_jumps_over_the_limit_is_sold_at_the_market_at_the_next_look_and_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, profile=ALPACA).start()
    bench.tick()
    bench.bar(100.0)
    watch(bench, 2)
    bench.bar(80.0)
    assert "1 exits sent" in watch(bench)
    (told,) = bench.events(ProtectionFailed)
    assert (told.what, "The price is 80 USD" in told.reason) == ("stop did not sell", True)
    bench.bar(79.0)
    watch(bench)
    sold = bench.events(OrderFilled)[-1]
    assert (sold.purpose, sold.price) == (Purpose.STOP, Decimal("78.921"))
    assert len(bench.events(ProtectionFailed)) == 1


@pytest.mark.feature("S13")
def test_a_stop_that_the_price_has_reached_and_that_nobody_bought_from_is_sold_at_the_market(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue)
    watch(bench, 2)
    assert live(venue) == [THE_STOP]
    bench.bar(94.0)
    assert watch(bench) == "1 exits sent"
    assert live(venue) == [THE_SALE]


@pytest.mark.feature("S13")
def test_what_the_stop_sold_while_it_was_being_withdrawn_is_not_sold_again(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue)
    watch(bench, 2)
    ((name, _),) = [(each.client_order_id, each.quantity) for each in venue.live()]
    bench.bar(94.0)

    def sells(checkpoint: str) -> None:
        if checkpoint == "withdraw.after_commit":
            venue.fill(name, Decimal(4), Decimal(94))

    bench.checkpoint = sells
    watch(bench)
    assert live(venue) == [(Purpose.EXIT, Decimal(6), None, None)]


@pytest.mark.feature("S13")
def test_a_position_whose_sale_is_refused_gets_its_stop_back(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue)
    watch(bench, 2)
    venue.refuses_exits = True
    bench.bar(116.0)
    watch(bench)
    assert (live(venue), the_guard(bench).kind) == ([], GuardKind.ENGINE)
    assert [event.reason for event in bench.events(OrderRefused)] == ["trading is halted"]
    bench.bar(110.0)
    watch(bench)
    assert live(venue) == [THE_STOP]


BETWEEN = (
    "withdraw.after_commit",
    "cancel.before_call",
    "cancel.after_call",
    "reconcile.after_commit",
    "intents.after_commit",
    "submit.before_call",
    "submit.after_call",
)


@pytest.mark.feature("S13")
@pytest.mark.parametrize("price", [94.0, 116.0])
@pytest.mark.parametrize("place", BETWEEN)
def test_a_death_between_the_withdrawn_stop_and_the_sale_leaves_it_sold_once(
    tmp_path: Path, place: str, price: float
) -> None:
    bench, venue = dies_while_it_sells(tmp_path, place, price)
    assert the_guard(bench).kind in (GuardKind.ENGINE, GuardKind.VENUE)
    watch(bench, 2)
    assert live(venue) == [THE_SALE]


@pytest.mark.feature("S13")
@pytest.mark.parametrize("place", ["withdraw.after_commit", "cancel.after_call", "reconcile.after_commit"])
def test_a_death_there_and_a_price_that_comes_back_leave_it_with_its_stop(tmp_path: Path, place: str) -> None:
    bench, venue = dies_while_it_sells(tmp_path, place, 116.0)
    bench.bar(105.0)
    watch(bench, 5)
    assert live(venue) == [THE_STOP]
    assert the_guard(bench).kind is GuardKind.VENUE


def dies_while_it_sells(folder: Path, place: str, price: float) -> tuple[Bench, Choosy]:
    bench, venue = a_stage(folder)
    hold(bench, venue)
    watch(bench, 2)
    bench.bar(price)

    def dies(name: str) -> None:
        if name == place:
            raise Death

    bench.checkpoint = dies
    with pytest.raises(Death):
        watch(bench)
    bench.checkpoint = lambda _name: None
    bench.restart()
    recover(bench.desk, bench.clock.now())
    return bench, venue


@pytest.mark.feature("C4")
def test_a_moved_target_needs_no_order_and_a_moved_stop_rests_anew(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue)
    watch(bench, 2)
    before = venue.live()
    assert bench.owner.move_levels(COIN, None, Decimal(120), "owner", "tap-1").kind is AnswerKind.DONE
    watch(bench)
    assert (venue.live(), the_guard(bench).target) == (before, Decimal(120))
    assert bench.read(lambda work: work.value(WANTED)) is None
    assert bench.owner.move_levels(COIN, Decimal(97), None, "owner", "tap-2").kind is AnswerKind.DONE
    watch(bench, 2)
    assert live(venue) == [(Purpose.STOP, TEN, Decimal(97), Decimal("95.06"))]
    assert (the_guard(bench).kind, bench.read(lambda work: work.value(WANTED))) == (GuardKind.VENUE, None)


@pytest.mark.feature("S13")
def test_a_stop_alone_follows_the_price_within_the_minute(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=Policy(trailing_fraction=Decimal("0.03")))
    hold(bench, venue)
    watch(bench, 2)
    assert live(venue) == [(Purpose.STOP, TEN, Decimal(97), Decimal("95.06"))]
    bench.bar(110.0)
    watch(bench)
    assert live(venue) == [(Purpose.STOP, TEN, Decimal("106.7"), Decimal("104.566"))]
    assert [event.stop for event in bench.events(GuardMoved)] == [Decimal(97), Decimal("106.7")]


# dust


@pytest.mark.feature("S13")
def test_a_part_too_small_for_a_stop_of_its_own_leaves_the_rest_at_the_venue(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue)
    watch(bench, 2)
    adopted = PositionAdjustment("a", "simulated", COIN, AdjustmentKind.ADOPTION, Decimal("0.05"), Decimal(5), MONDAY)
    with bench.database.unit_of_work() as work:
        work.book(adopted, recorded_at=MONDAY)
        work.commit("reconcile")
    venue.positions[COIN] += Decimal("0.05")
    watch(bench, 2)
    assert live(venue) == [THE_STOP]
    assert the_guard(bench).kind is GuardKind.ENGINE
    bench.bar(94.0)
    watch(bench)
    assert live(venue) == [(Purpose.EXIT, Decimal("10.05"), None, None)]


# entries that are filled in part


@pytest.mark.feature("S10")
@pytest.mark.parametrize("rests", [Resting.PAIR, Resting.STOP])
def test_what_a_cancelled_entry_has_brought_is_protected_by_the_next_look(tmp_path: Path, rests: Resting) -> None:
    """Alpaca takes a bracket's legs away with its entry, whatever that has brought."""
    bench, venue = a_stage(tmp_path, rests)
    name = hold(bench, venue, Decimal(4))
    assert the_guard(bench).kind is GuardKind.ENGINE, "watched from the fill on"
    venue.forget_bracket(name)
    venue.end(name, OrderState.CANCELED)
    watch(bench)
    assert [each[:3] for each in live(venue)][:1] == [(Purpose.STOP, Decimal(4), Decimal(95))]
    watch(bench)
    assert the_guard(bench).kind is GuardKind.VENUE


# fractions of a share


def hold_a_fraction(bench: Bench, venue: ChaosVenue, units: Decimal = Decimal("3.5")) -> None:
    """So many shares lie at the venue, bought elsewhere and adopted."""
    now = bench.clock.now()
    adopted = PositionAdjustment("a", "simulated", "SPY", AdjustmentKind.ADOPTION, units, units * HUNDRED, now)
    with bench.database.unit_of_work() as work:
        work.book(adopted, recorded_at=now)
        work.commit("reconcile")
    venue.positions["SPY"] = units
    watch(bench)


@pytest.fixture
def shares(tmp_path: Path) -> tuple[Bench, Choosy]:
    bench, venue = a_stage(tmp_path, Resting.PAIR, symbols=("SPY",))
    hold_a_fraction(bench, venue)
    return bench, venue


@pytest.mark.feature("S13")
def test_the_whole_shares_rest_as_a_pair_and_the_fraction_is_shown_as_watched(shares: tuple[Bench, Choosy]) -> None:
    bench, venue = shares
    watch(bench)
    assert live(venue) == [
        (Purpose.STOP, Decimal(3), Decimal(95), None),
        (Purpose.TARGET, Decimal(3), None, Decimal(115)),
    ]
    assert the_guard(bench).kind is GuardKind.VENUE
    (shown,) = bench.owner.positions().positions
    assert (shown.quantity, shown.at_venue, shown.target_rests) == (Decimal("3.5"), Decimal(3), True)


@pytest.mark.feature("S13")
@pytest.mark.parametrize(("purpose", "price"), [(Purpose.STOP, 95), (Purpose.TARGET, 115)])
def test_the_fraction_is_sold_when_its_whole_shares_were_though_the_price_came_back(
    shares: tuple[Bench, Choosy], purpose: Purpose, price: int
) -> None:
    bench, venue = shares
    (leg,) = [order.client_order_id for order in venue.live() if order.purpose is purpose]
    venue.fill(leg, Decimal(3), Decimal(price))
    bench.bar(100.0, symbol="SPY")
    assert watch(bench) == "1 exits sent"
    (sale,) = venue.live()
    assert (sale.purpose, sale.type, sale.quantity) == (Purpose.EXIT, OrderType.MARKET, Decimal("0.5"))
    venue.fill(sale.client_order_id, Decimal("0.5"), HUNDRED)
    watch(bench)
    assert bench.events(OrderFilled)[-1].purpose is purpose
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}


@pytest.mark.feature("C4")
def test_a_stop_that_the_owner_moves_moves_the_pair_of_the_whole_shares(shares: tuple[Bench, Choosy]) -> None:
    bench, venue = shares
    watch(bench)
    assert bench.owner.move_levels("SPY", Decimal(97), None, "owner", "tap-1").kind is AnswerKind.DONE
    watch(bench)
    assert live(venue)[0] == (Purpose.STOP, Decimal(3), Decimal(97), None)
    assert (len(live(venue)), bench.read(lambda work: work.value(WANTED))) == (2, None)


@pytest.mark.feature("C2")
def test_an_exit_sells_the_fraction_together_with_the_whole_shares(shares: tuple[Bench, Choosy]) -> None:
    bench, venue = shares
    bench.owner.flatten("owner")
    watch(bench)
    assert live(venue) == [(Purpose.EXIT, Decimal("3.5"), None, None)]


@pytest.mark.feature("C3")
@pytest.mark.parametrize(("part", "sold"), [("1", "3.5"), ("0.5", "1"), ("0.9", "3.5")])
def test_a_part_is_sold_in_whole_shares_and_all_of_it_with_its_fraction(
    shares: tuple[Bench, Choosy], part: str, sold: str
) -> None:
    bench, venue = shares
    assert bench.owner.close("SPY", Decimal(part), "owner", "tap-1").kind is AnswerKind.DONE
    assert [each.quantity for each in exits(venue)] == [Decimal(sold)]


def exits(venue: ChaosVenue) -> list[VenueOrder]:
    return [order for order in venue.live() if order.purpose is Purpose.EXIT]


@pytest.mark.feature("S13")
def test_less_than_a_share_is_watched_and_sold_at_its_stop(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, Resting.PAIR, symbols=("SPY",))
    hold_a_fraction(bench, venue, Decimal("0.25"))
    assert (live(venue), the_guard(bench).kind) == ([], GuardKind.ENGINE)
    bench.bar(94.0, symbol="SPY")
    watch(bench)
    assert live(venue) == [(Purpose.EXIT, Decimal("0.25"), None, None)]


@pytest.mark.feature("S13")
def test_a_fraction_that_the_venue_does_not_sell_is_told_as_unguarded(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, Resting.PAIR, symbols=("SPY",))
    venue.share_step = Decimal(1)
    hold_a_fraction(bench, venue, Decimal("0.25"))
    (told,) = bench.events(PositionUnguarded)
    assert told.reason == "the broker sells no such fraction"
    assert bench.read(lambda work: work.guards()) == []


# outside of hours


class Closed(AlwaysOpen):
    """No share trades before Tuesday's open; coins do."""

    opens = MONDAY + timedelta(days=1, hours=14, minutes=30)

    def is_open(self, asset_class: AssetClass, at: datetime) -> bool:
        return asset_class is AssetClass.CRYPTO or at >= self.opens

    def next_open(self, asset_class: AssetClass, at: datetime) -> datetime:
        return at if self.is_open(asset_class, at) else self.opens


@pytest.mark.feature("S9")
def test_an_exit_in_a_closed_market_waits_for_the_open_and_is_told_once(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, Resting.PAIR, symbols=("SPY", COIN), calendar=Closed())
    hold(bench, venue)
    hold_a_fraction(bench, venue, Decimal("0.25"))
    bench.bar(94.0, symbol="SPY")
    watch(bench, 2)
    (told,) = bench.events(ExitQueued)
    assert (told.symbol, told.quantity, told.opens_at) == ("SPY", Decimal("0.25"), Closed.opens)
    venue.end(exits(venue)[0].client_order_id, OrderState.EXPIRED, "its day is over")
    watch(bench, 2)
    assert len(exits(venue)) == 1, "it is sent again"
    bench.owner.flatten("owner")
    watch(bench)
    assert [event.symbol for event in bench.events(ExitQueued)] == ["SPY"], (
        "coins never wait, and nothing is told twice"
    )
