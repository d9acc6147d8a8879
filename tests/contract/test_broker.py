"""What every Broker must do, whichever venue is behind it; then what every venue that rests orders must do."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.orders import FINAL, OrderState, OrderType, Purpose, Side
from core.domain.venue import Accepted, AwaitingOwner, OrderRequest, Refused, VenueOrder
from tests.contract.broker_benches import CASH, FIVE, LONG_AGO, Bench, ManualBench, SimulatedBench
from tests.fakes_venue import MONDAY, request_of


@pytest.fixture(params=[SimulatedBench, ManualBench], ids=["simulated", "manual"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench: Bench = request.param(tmp_path)
    yield bench
    bench.close()


@pytest.fixture(params=[SimulatedBench], ids=["simulated"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedBench]:
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


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (request_of("x", quantity="0"), "above zero"),
        (request_of("x", quantity="-1"), "above zero"),
        (request_of("x", quantity="0.5"), "steps of 1"),
        (request_of("x", quantity="100"), "not enough cash"),
        (request_of("x", symbol="BTC-USD", quantity="99.8"), "not enough cash"),
        (request_of("x", symbol="BTC-USD", quantity="0.05"), "at least 10 USD"),
        (request_of("x", symbol="NONE"), "no price of NONE"),
        (request_of("x", side=Side.SELL), "only 0 are free"),
        (request_of("x", kind=OrderType.LIMIT), "needs its price"),
        (request_of("x", kind=OrderType.LIMIT, limit_price="99.999"), "no price of SPY"),
        (request_of("x", kind=OrderType.STOP, stop_price="105"), "only sales"),
        (request_of("x", bracket_stop="95"), "both its stop and its target"),
        (request_of("x", bracket_stop="115", bracket_target="95"), "below its target"),
        (request_of("x", side=Side.SELL, bracket_stop="95", bracket_target="115"), "only a purchase"),
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


BRACKET = {"bracket_stop": "95", "bracket_target": "115"}


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


def test_a_crash_between_entry_and_its_fill_loses_neither_order_nor_legs(venue: SimulatedBench) -> None:
    former = venue.broker
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
