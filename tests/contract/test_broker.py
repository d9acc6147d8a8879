"""What every Broker must do, whichever venue is behind it; then what every venue that rests orders must do, and what is
ours alone to promise of the simulated one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.orders import FINAL, OrderState, OrderType, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement, portfolio_of
from core.domain.venue import Accepted, AwaitingOwner, OrderRequest, Refusal, Refused, Replacement, Split, VenueOrder
from core.execution.news import entry_of, in_order
from tests.contract.broker_benches import (
    CASH,
    FIVE,
    LONG_AGO,
    AlpacaBench,
    AlpacaLikeBench,
    Bench,
    ChaosBench,
    ManualBench,
    MemoryBench,
    RestingBench,
    SimulatedBench,
)
from tests.fakes_venue import MONDAY, request_of

BRACKET = {"bracket_stop": "95", "bracket_target": "115"}
SIMULATED = {"simulated": SimulatedBench, "alpaca-like": AlpacaLikeBench, "in memory": MemoryBench}
RESTING = {**SIMULATED, "chaos": ChaosBench, "alpaca": AlpacaBench}
EVERY = {**RESTING, "manual": ManualBench}


@pytest.fixture(params=EVERY.values(), ids=EVERY)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench: Bench = request.param(tmp_path)
    yield bench
    bench.close()


@pytest.fixture(params=RESTING.values(), ids=RESTING)
def resting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RestingBench]:
    bench: RestingBench = request.param(tmp_path)
    yield bench
    bench.close()


@pytest.fixture(params=SIMULATED.values(), ids=SIMULATED)
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedBench]:
    bench: SimulatedBench = request.param(tmp_path)
    yield bench
    bench.close()


@pytest.fixture(params=[SimulatedBench, AlpacaLikeBench], ids=["simulated", "alpaca-like"])
def on_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedBench]:
    bench: SimulatedBench = request.param(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[ManualBench]:
    bench = ManualBench(tmp_path)
    yield bench
    bench.close()


def found(bench: Bench, name: str) -> VenueOrder:
    order = bench.broker.find(name)
    assert order is not None
    return order


def live(bench: Bench) -> list[str]:
    return [order.client_order_id for order in bench.broker.orders()]


def left(bench: Bench, name: str) -> Decimal:
    order = found(bench, name)
    return order.quantity - order.filled_quantity


def assert_state_follows_from_what_is_told(bench: Bench) -> None:
    """Cash and units are what fills and activities add up to, to the last digit."""
    news = in_order(bench.broker.fills_since(LONG_AGO), bench.broker.activities_since(LONG_AGO))
    portfolio = portfolio_of(bench.broker.account.id, [*bench.opening, *map(entry_of, news)])
    units = {symbol: position.quantity for symbol, position in portfolio.positions.items()}
    state = bench.broker.state()
    assert (portfolio.cash, units) == (state.cash, dict(state.positions))


def test_an_id_the_venue_never_had_is_not_found(bench: Bench) -> None:
    assert bench.broker.find("nobody") is None


def test_a_submitted_order_is_found_as_it_was_sent(bench: Bench) -> None:
    answer = bench.offer(request_of("a", quantity="7"))
    assert isinstance(answer, Accepted if bench.resting else AwaitingOwner)
    order = found(bench, "a")
    assert (order.symbol, order.side, order.quantity, order.filled_quantity) == ("SPY", Side.BUY, Decimal(7), 0)
    assert (order.type, order.purpose) == (OrderType.MARKET, Purpose.ENTRY)
    assert order.state not in FINAL
    assert live(bench) == ["a"]


def test_the_same_id_twice_is_one_order(bench: Bench) -> None:
    first = bench.offer(request_of("a"))
    assert bench.offer(request_of("a")) == first
    assert live(bench) == ["a"]


def test_an_executed_order_shows_in_fills_cash_and_positions(bench: Bench) -> None:
    bench.execute(request_of("a", quantity="7"))
    assert found(bench, "a").state is OrderState.FILLED
    assert found(bench, "a").filled_quantity == 7
    assert live(bench) == []
    (fill,) = bench.broker.fills_since(LONG_AGO)
    assert (fill.client_order_id, fill.symbol, fill.side, fill.quantity) == ("a", "SPY", Side.BUY, Decimal(7))
    assert fill.account == bench.broker.account.id
    state = bench.broker.state()
    assert state.positions == {"SPY": Decimal(7)}
    assert state.cash == CASH - 7 * fill.price - fill.fee


def test_a_sold_position_is_gone_and_its_cash_is_back(bench: Bench) -> None:
    bench.execute(request_of("a"))
    bench.execute(request_of("b", side=Side.SELL))
    assert bench.broker.state().positions == {}
    bought, sold = bench.broker.fills_since(LONG_AGO)
    assert bench.broker.state().cash == CASH + 10 * (sold.price - bought.price) - bought.fee - sold.fee


def test_an_executed_order_submitted_again_is_answered_as_it_stands(bench: Bench) -> None:
    bench.execute(request_of("a"))
    answer = bench.offer(request_of("a"))
    assert isinstance(answer, Accepted)
    assert answer.order == found(bench, "a")
    assert len(bench.broker.fills_since(LONG_AGO)) == 1


def test_fills_come_in_order_with_ids_that_stay_and_from_the_moment_asked_for(bench: Bench) -> None:
    bench.execute(request_of("a"))
    bench.execute(request_of("b", symbol="BTC-USD", quantity="1"))
    bench.execute(request_of("c", side=Side.SELL))
    fills = list(bench.broker.fills_since(LONG_AGO))
    assert [fill.client_order_id for fill in fills] == ["a", "b", "c"]
    assert len({fill.id for fill in fills}) == 3
    assert list(bench.broker.fills_since(LONG_AGO)) == fills
    assert list(bench.broker.fills_since(fills[1].at)) == fills[1:]
    assert list(bench.broker.fills_since(fills[2].at + FIVE)) == []


def test_cancelling_a_filled_or_unknown_order_changes_nothing(bench: Bench) -> None:
    bench.execute(request_of("a"))
    before = (found(bench, "a"), bench.broker.state())
    bench.broker.cancel("a")
    bench.broker.cancel("nobody")
    assert (found(bench, "a"), bench.broker.state()) == before
    assert bench.broker.find("nobody") is None


def test_an_id_used_again_for_something_else_is_still_the_first_order(bench: Bench) -> None:
    bench.offer(request_of("a"))
    answer = bench.offer(request_of("a", symbol="BTC-USD", quantity="1"))
    assert not isinstance(answer, Accepted) or answer.order == found(bench, "a")
    assert (found(bench, "a").symbol, found(bench, "a").quantity) == ("SPY", Decimal(10))
    assert live(bench) == ["a"]


def test_a_part_filled_shows_in_the_order_and_the_rest_stays_live(bench: Bench) -> None:
    bench.offer(request_of("a"))
    bench.execute_part("a", 4)
    assert found(bench, "a").state is OrderState.PARTIALLY_FILLED
    assert (found(bench, "a").quantity, found(bench, "a").filled_quantity) == (10, 4)
    assert live(bench) == ["a"]
    assert bench.broker.state().positions == {"SPY": Decimal(4)}
    bench.execute_part("a", 6)
    assert found(bench, "a").state is OrderState.FILLED
    assert live(bench) == []
    fills = bench.broker.fills_since(LONG_AGO)
    assert [fill.quantity for fill in fills] == [4, 6]
    assert len({fill.id for fill in fills}) == 2
    assert_state_follows_from_what_is_told(bench)


def test_cash_and_units_are_what_fills_and_activities_add_up_to(bench: Bench) -> None:
    bench.execute(request_of("a"), request_of("b", symbol="BTC-USD", quantity="3"))
    bench.execute(request_of("c", side=Side.SELL, quantity="7"))
    bench.execute(request_of("d", side=Side.SELL, symbol="BTC-USD", quantity="2.5"))
    assert_state_follows_from_what_is_told(bench)


@pytest.mark.feature("S14")
def test_a_restart_keeps_everything(bench: Bench) -> None:
    bench.execute(request_of("a"), request_of("b", symbol="BTC-USD", quantity="1"))
    bench.offer(request_of("c", side=Side.SELL, quantity="3"))

    def picture() -> tuple[Any, ...]:
        broker = bench.broker
        orders = [broker.find(name) for name in ("a", "b", "c")]
        return orders, list(broker.orders()), list(broker.fills_since(LONG_AGO)), broker.state()

    before = picture()
    bench.restart()
    assert picture() == before
    assert live(bench) == ["c"]


def test_a_cancelled_order_keeps_the_part_that_was_filled(resting: RestingBench) -> None:
    resting.offer(request_of("a"))
    resting.execute_part("a", 4)
    resting.broker.cancel("a")
    assert (found(resting, "a").state, found(resting, "a").filled_quantity) == (OrderState.CANCELED, 4)
    assert live(resting) == []
    assert resting.broker.state().positions == {"SPY": Decimal(4)}


@pytest.mark.feature("S13")
def test_legs_come_to_life_when_their_entry_is_filled_whole(resting: RestingBench) -> None:
    resting.offer(request_of("a", **BRACKET))
    resting.execute_part("a", 4)
    assert live(resting) == ["a"]
    resting.execute_part("a", 6)
    assert live(resting) == ["a-s", "a-t"]
    assert (left(resting, "a-s"), left(resting, "a-t")) == (10, 10)


@pytest.mark.feature("S13")
def test_legs_of_an_entry_cancelled_with_a_part_filled_protect_that_part(resting: RestingBench) -> None:
    resting.offer(request_of("a", **BRACKET))
    resting.execute_part("a", 4)
    resting.broker.cancel("a")
    if not resting.legs_outlive_their_entry:
        # Nothing protects that part then: the engine places a pair for it.
        assert live(resting) == []
        return
    assert live(resting) == ["a-s", "a-t"]
    assert (left(resting, "a-s"), left(resting, "a-t")) == (4, 4)


@pytest.mark.parametrize(("name", "other"), [("p", "p-t"), ("p-t", "p")])
def test_the_halves_of_a_protective_pair_shrink_and_end_one_another(
    resting: RestingBench, name: str, other: str
) -> None:
    resting.execute(request_of("a"))
    stop = {"kind": OrderType.STOP, "stop_price": "95", "bracket_target": "115"}
    assert isinstance(resting.offer(request_of("p", side=Side.SELL, **stop)), Accepted)  # type: ignore[arg-type]
    assert live(resting) == ["p", "p-t"]
    assert found(resting, "p-t").parent_client_order_id == "p"
    resting.execute_part(name, 3)
    assert (left(resting, name), left(resting, other)) == (7, 7)
    resting.execute_part(name, 7)
    assert (found(resting, name).state, found(resting, other).state) == (OrderState.FILLED, OrderState.CANCELED)
    assert resting.broker.state().positions == {}
    assert_state_follows_from_what_is_told(resting)


def test_cancelling_one_half_of_a_pair_ends_both_and_frees_the_units(resting: RestingBench) -> None:
    resting.execute(request_of("a"))
    stop = {"kind": OrderType.STOP, "stop_price": "95", "bracket_target": "115"}
    resting.offer(request_of("p", side=Side.SELL, **stop))  # type: ignore[arg-type]
    assert isinstance(resting.offer(request_of("x", side=Side.SELL)), Refused)
    resting.broker.cancel("p")
    assert live(resting) == []
    assert isinstance(resting.offer(request_of("y", side=Side.SELL)), Accepted)


TWO = timedelta(minutes=2)
MOVED = Replacement("moved", stop_price=Decimal(97))
TARGET_MOVED = Replacement("moved-2", limit_price=Decimal(120))


def prices(bench: Bench, name: str) -> tuple[Decimal | None, Decimal | None]:
    return found(bench, name).stop_price, found(bench, name).limit_price


def moves(bench: Bench, name: str, change: Replacement) -> None:
    answer = bench.broker.replace(name, change)
    assert isinstance(answer, Accepted), answer
    assert answer.order == found(bench, name)
    assert (answer.order.stop_price, answer.order.limit_price) == (change.stop_price, change.limit_price)


@pytest.mark.feature("C4")
def test_a_leg_that_is_moved_keeps_its_name_and_the_other_leg_and_sells_where_it_was_moved_to(
    resting: RestingBench,
) -> None:
    resting.execute(request_of("a", **BRACKET))
    moves(resting, "a-s", MOVED)
    moves(resting, "a-t", TARGET_MOVED)
    assert sorted(live(resting)) == ["a-s", "a-t"]
    resting.restart()
    assert sorted(live(resting)) == ["a-s", "a-t"]
    assert (prices(resting, "a-s"), prices(resting, "a-t")) == ((97, None), (None, 120))
    assert (left(resting, "a-s"), found(resting, "a-s").parent_client_order_id) == (10, "a")
    resting.execute_part("a-s", 10)
    assert (found(resting, "a-s").state, found(resting, "a-t").state) == (OrderState.FILLED, OrderState.CANCELED)
    fills = resting.broker.fills_since(LONG_AGO)
    assert [(fill.client_order_id, fill.purpose) for fill in fills] == [("a", Purpose.ENTRY), ("a-s", Purpose.STOP)]
    assert_state_follows_from_what_is_told(resting)


@pytest.mark.feature("C4")
def test_the_halves_of_a_pair_are_moved_one_by_one_and_still_end_one_another(resting: RestingBench) -> None:
    resting.execute(request_of("a"))
    stop = {"kind": OrderType.STOP, "stop_price": "95", "bracket_target": "115"}
    resting.offer(request_of("p", side=Side.SELL, **stop))  # type: ignore[arg-type]
    moves(resting, "p-t", TARGET_MOVED)
    moves(resting, "p", MOVED)
    moves(resting, "p", replace(MOVED, client_order_id="moved-3", stop_price=Decimal(98)))
    resting.restart()
    assert sorted(live(resting)) == ["p", "p-t"]
    assert (prices(resting, "p"), prices(resting, "p-t")) == ((98, None), (None, 120))
    assert isinstance(resting.offer(request_of("x", side=Side.SELL)), Refused), "the units are claimed once"
    resting.broker.cancel("p")
    assert live(resting) == []
    assert isinstance(resting.offer(request_of("y", side=Side.SELL)), Accepted)


@pytest.mark.feature("C4")
def test_a_stop_limit_that_rests_alone_is_moved_with_its_limit(resting: RestingBench) -> None:
    resting.execute(request_of("a", symbol="BTC-USD", quantity="1"))
    held = resting.broker.state().positions["BTC-USD"]
    stop = {"kind": OrderType.STOP, "stop_price": "95", "limit_price": "93"}
    sale = request_of("p", side=Side.SELL, symbol="BTC-USD", quantity=str(held), **stop)  # type: ignore[arg-type]
    assert isinstance(resting.offer(sale), Accepted)
    moves(resting, "p", Replacement("moved", Decimal(97), Decimal(95)))
    assert (live(resting), left(resting, "p")) == (["p"], held)


@pytest.mark.feature("C4")
def test_what_is_so_already_is_not_moved_again_under_whatever_id(resting: RestingBench) -> None:
    resting.execute(request_of("a", **BRACKET))
    moves(resting, "a-s", MOVED)
    before = found(resting, "a-s")
    moves(resting, "a-s", MOVED)
    moves(resting, "a-s", replace(MOVED, client_order_id="again"))
    assert found(resting, "a-s") == before


@pytest.mark.feature("C4")
def test_what_has_ended_is_not_moved_and_answered_as_it_stands(resting: RestingBench) -> None:
    resting.execute(request_of("a", **BRACKET))
    resting.execute_part("a-t", 10)
    answer = resting.broker.replace("a-t", TARGET_MOVED)
    assert isinstance(answer, Accepted)
    assert (answer.order.state, answer.order.limit_price) == (OrderState.FILLED, 115)
    nobody = resting.broker.replace("nobody", MOVED)
    assert isinstance(nobody, Refused) and nobody.kind is Refusal.FIXED


@pytest.mark.feature("C4")
def test_what_is_filled_in_part_is_not_moved(resting: RestingBench) -> None:
    resting.execute(request_of("a", **BRACKET))
    resting.execute_part("a-t", 4)
    answer = resting.broker.replace("a-t", TARGET_MOVED)
    assert isinstance(answer, Refused) and answer.kind is Refusal.FIXED
    assert (prices(resting, "a-t"), left(resting, "a-t")) == ((None, 115), 6)


@pytest.mark.feature("C4")
def test_a_manual_account_moves_nothing_and_says_whose_turn_it_is(owner: ManualBench) -> None:
    owner.offer(request_of("a"))
    answer = owner.broker.replace("a", MOVED)
    assert isinstance(answer, Refused) and "for you to move it" in answer.reason
    assert not owner.broker.can_replace


@pytest.mark.feature("C4")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Replacement("moved", Decimal("97.001")), "no price of SPY"),
        (Replacement("moved", Decimal(97), Decimal(96)), "has no limit price"),
        (Replacement("moved"), "has a stop price"),
    ],
)
def test_prices_at_which_an_order_cannot_rest_leave_it_where_it_is(
    venue: SimulatedBench, change: Replacement, words: str
) -> None:
    venue.execute(request_of("a", **BRACKET))
    answer = venue.broker.replace("a-s", change)
    assert isinstance(answer, Refused) and words in answer.reason
    assert prices(venue, "a-s") == (95, None)


@pytest.mark.feature("C4")
def test_a_bar_that_opened_before_a_stop_was_moved_meets_it_where_it_was(venue: SimulatedBench) -> None:
    """Nobody knows when in the bar its low was; and there is no bar in which nothing rests."""
    venue.execute(request_of("a", **BRACKET))
    venue.clock.advance(TWO)
    moves(venue, "a-s", MOVED)
    venue.bar(99, 99, 96, 98, open_for=TWO)
    assert live(venue) == ["a-s", "a-t"]
    venue.bar(98, 98, 96, 98)
    assert found(venue, "a-s").state is OrderState.FILLED


@pytest.mark.feature("C4")
def test_the_former_stop_sells_in_the_bar_in_which_it_was_moved(venue: SimulatedBench) -> None:
    venue.execute(request_of("a", **BRACKET))
    venue.clock.advance(TWO)
    moves(venue, "a-s", replace(MOVED, stop_price=Decimal(90)))
    venue.bar(99, 99, 94, 98, open_for=TWO)
    (_, sold) = venue.broker.fills_since(LONG_AGO)
    assert Decimal(94) < sold.price <= Decimal(95)


def test_a_dividend_is_told_once_with_an_id_that_stays(resting: RestingBench) -> None:
    resting.execute(request_of("a"))
    assert resting.broker.activities_since(LONG_AGO) == []
    resting.pay_dividend("SPY", "0.5")
    (paid,) = resting.broker.activities_since(LONG_AGO)
    assert isinstance(paid, CashMovement)
    assert (paid.kind, paid.amount, paid.account) == (CashKind.DIVIDEND, 5, resting.broker.account.id)
    resting.restart()
    assert resting.broker.activities_since(paid.at) == [paid]
    assert resting.broker.activities_since(paid.at + FIVE) == []
    assert_state_follows_from_what_is_told(resting)


def test_a_split_scales_units_and_working_orders_and_pays_the_odd_remainder(resting: RestingBench) -> None:
    resting.execute(request_of("a", quantity="10"))
    stop = {"kind": OrderType.STOP, "stop_price": "95", "bracket_target": "115"}
    resting.offer(request_of("p", side=Side.SELL, **stop))  # type: ignore[arg-type]
    resting.split("SPY", "0.125")
    split, in_lieu = resting.broker.activities_since(LONG_AGO)
    assert isinstance(split, Split)
    assert (split.symbol, split.ratio, split.quantity) == ("SPY", Decimal("0.125"), -9)
    assert isinstance(in_lieu, CashMovement)
    assert (in_lieu.kind, in_lieu.amount) == (CashKind.IN_LIEU, 25)
    assert resting.broker.state().positions == {"SPY": Decimal(1)}
    if resting.splits_orders:
        assert (left(resting, "p"), found(resting, "p").stop_price) == (1, Decimal(760))
        assert (left(resting, "p-t"), found(resting, "p-t").limit_price) == (1, Decimal(920))
    assert_state_follows_from_what_is_told(resting)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (request_of("x", quantity="0"), "above zero"),
        (request_of("x", quantity="-1"), "above zero"),
        (request_of("x", quantity="0.0000000001"), "trades in steps of"),
        (request_of("x", quantity="100"), "not enough cash"),
        (request_of("x", symbol="BTC-USD", quantity="99.95"), "not enough cash"),
        (request_of("x", symbol="BTC-USD", quantity="0.05"), "at least 10 USD"),
        (request_of("x", symbol="NONE"), "no price of NONE"),
        (request_of("x", side=Side.SELL), "only 0 are free"),
        (request_of("x", kind=OrderType.LIMIT), "needs its price"),
        (request_of("x", kind=OrderType.LIMIT, limit_price="99.999"), "no price of SPY"),
        (request_of("x", kind=OrderType.STOP, stop_price="105"), "only sales"),
        (request_of("x", bracket_stop="95"), "both its stop and its target"),
        (request_of("x", bracket_stop="115", bracket_target="95"), "below its target"),
        (request_of("x", side=Side.SELL, bracket_stop="95", bracket_target="115"), "only a purchase"),
        (request_of("x", bracket_stop="100.03", bracket_target="115"), "the stop 100.03 of a bracket must be below"),
        (request_of("x", bracket_stop="95", bracket_target="100.03"), "the target 100.03 of a bracket must be above"),
        (
            request_of(
                "x", kind=OrderType.LIMIT, limit_price="85", quantity="1", bracket_stop="86", bracket_target="104"
            ),
            "must be below 85, where its purchase is expected",
        ),
        (request_of("x-s"), "kept for the legs"),
        (request_of(""), "needs a client order id"),
    ],
)
def test_what_cannot_be_is_refused_with_words_and_leaves_no_trace(
    venue: SimulatedBench, request_: OrderRequest, words: str
) -> None:
    answer = venue.offer(request_)
    assert isinstance(answer, Refused)
    assert words in answer.reason
    assert venue.broker.find(request_.client_order_id) is None
    assert live(venue) == []


def test_cash_is_held_back_for_every_live_purchase(venue: SimulatedBench) -> None:
    assert isinstance(venue.offer(request_of("a", quantity="60")), Accepted)
    assert isinstance(venue.offer(request_of("b", quantity="60")), Refused)
    venue.broker.cancel("a")
    assert isinstance(venue.offer(request_of("b", quantity="60")), Accepted)


def test_units_are_claimed_by_every_live_sale(venue: SimulatedBench) -> None:
    venue.execute(request_of("a"))
    assert isinstance(venue.offer(request_of("b", side=Side.SELL, quantity="6")), Accepted)
    assert isinstance(venue.offer(request_of("c", side=Side.SELL, quantity="5")), Refused)
    assert isinstance(venue.offer(request_of("d", side=Side.SELL, quantity="4")), Accepted)


def test_a_cancelled_order_is_final_at_once_and_never_fills(venue: SimulatedBench) -> None:
    venue.offer(request_of("a"))
    venue.broker.cancel("a")
    assert found(venue, "a").state is OrderState.CANCELED
    venue.bar(100.0)
    assert venue.broker.fills_since(LONG_AGO) == []
    assert venue.broker.state().cash == CASH


def test_a_filled_entry_leaves_its_two_legs_resting(venue: SimulatedBench) -> None:
    venue.offer(request_of("a", **BRACKET))
    assert venue.broker.find("a-s") is None
    venue.bar(100.0)
    stop, target = venue.broker.orders()
    assert (stop.client_order_id, stop.purpose, stop.type, stop.stop_price) == (
        "a-s",
        Purpose.STOP,
        OrderType.STOP,
        Decimal(95),
    )
    assert (target.client_order_id, target.purpose, target.type, target.limit_price) == (
        "a-t",
        Purpose.TARGET,
        OrderType.LIMIT,
        Decimal(115),
    )
    for leg in (stop, target):
        assert (leg.side, leg.quantity, leg.parent_client_order_id) == (Side.SELL, Decimal(10), "a")
        assert leg.state is OrderState.ACCEPTED


@pytest.mark.parametrize(
    ("prices", "filled", "other"), [((96, 97, 94, 95), "a-s", "a-t"), ((110, 116, 109, 112), "a-t", "a-s")]
)
def test_the_leg_that_fills_cancels_the_other(
    venue: SimulatedBench, prices: tuple[float, ...], filled: str, other: str
) -> None:
    venue.execute(request_of("a", **BRACKET))
    venue.bar(*prices)
    assert found(venue, filled).state is OrderState.FILLED
    assert found(venue, other).state is OrderState.CANCELED
    assert venue.broker.state().positions == {}
    exit_fill = venue.broker.fills_since(LONG_AGO)[-1]
    assert (exit_fill.client_order_id, exit_fill.purpose) == (filled, found(venue, filled).purpose)


def test_cancelling_an_entry_before_it_fills_leaves_no_legs(venue: SimulatedBench) -> None:
    venue.offer(request_of("a", **BRACKET))
    venue.broker.cancel("a")
    venue.bar(100.0)
    assert live(venue) == []
    assert venue.broker.find("a-s") is None


def test_cancelling_an_entry_that_has_just_filled_does_not_take_its_protection_away(venue: SimulatedBench) -> None:
    venue.execute(request_of("a", **BRACKET))
    venue.broker.cancel("a")
    assert live(venue) == ["a-s", "a-t"]


def test_units_under_a_bracket_can_be_sold_once_a_leg_and_with_it_the_other_is_cancelled(
    venue: SimulatedBench,
) -> None:
    venue.execute(request_of("a", **BRACKET))
    assert isinstance(venue.offer(request_of("b", side=Side.SELL)), Refused)
    venue.broker.cancel("a-t")
    assert found(venue, "a-s").state is OrderState.CANCELED
    assert isinstance(venue.offer(request_of("b", side=Side.SELL)), Accepted)


def test_a_bracket_claims_its_units_once_and_what_is_held_beside_it_can_be_sold(venue: SimulatedBench) -> None:
    venue.execute(request_of("a", **BRACKET), request_of("b"))
    assert isinstance(venue.offer(request_of("c", side=Side.SELL, quantity="11")), Refused)
    assert isinstance(venue.offer(request_of("d", side=Side.SELL)), Accepted)
    venue.bar(96, 97, 94, 95)
    assert venue.broker.state().positions == {}


def test_a_resting_stop_of_its_own_protects_a_position(venue: SimulatedBench) -> None:
    venue.execute(request_of("a"))
    venue.offer(request_of("p", side=Side.SELL, kind=OrderType.STOP, stop_price="95"))
    venue.bar(97, 98, 96, 97)
    assert live(venue) == ["p"]
    venue.bar(96, 96, 94, 95)
    assert found(venue, "p").state is OrderState.FILLED


def test_a_crash_between_entry_and_its_fill_loses_neither_order_nor_legs(on_disk: SimulatedBench) -> None:
    venue, former = on_disk, on_disk.broker
    venue.offer(request_of("a", **BRACKET))
    venue.crash()
    venue.bar(100.0)
    assert live(venue) == ["a-s", "a-t"]
    venue.crash()
    venue.bar(96, 97, 94, 95)
    assert [fill.client_order_id for fill in venue.broker.fills_since(MONDAY)] == ["a", "a-s"]
    venue.crash()
    assert venue.broker.state().positions == {}
    former.close()


@pytest.mark.feature("S12")
def test_a_manual_order_that_was_never_handed_to_the_owner_is_not_known(owner: ManualBench) -> None:
    owner.write_without_handing_over(request_of("a"))
    assert owner.broker.find("a") is None
    assert live(owner) == []
    assert isinstance(owner.broker.submit(request_of("a")), AwaitingOwner)


def test_a_manual_account_does_not_answer_for_the_orders_of_another(owner: ManualBench) -> None:
    owner.offer(request_of("a"))
    other = type(owner.account)("simulated", owner.account.kind, owner.account.world)
    owner.broker.account = other
    assert owner.broker.find("a") is None


def test_cancelling_a_manual_order_is_recorded_and_left_to_the_owner(owner: ManualBench) -> None:
    owner.offer(request_of("a"))
    owner.broker.cancel("a")
    assert found(owner, "a").state is OrderState.AWAITING_OWNER
    assert owner.audit_trail() == ["cancel a"]
    owner.broker.cancel("nobody")
    assert owner.audit_trail() == ["cancel a"]
