"""A stop or target is moved at Alpaca by an order that takes its place there. Whatever happens on the way, one of the
two rests, under our name, and what is said of it is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.alpaca_broker import AlpacaBroker
from core.adapters.alpaca_moves import MOST_MOVES
from core.domain.accounts import Account, AccountKind, World
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.venue import Accepted, Refusal, Refused, Replacement, Unknown, VenueOrder
from core.errors import Transient
from tests.alpaca_broker_stand import begun_anew, broker_at
from tests.fakes_bars import StillClock
from tests.fakes_venue import request_of
from tests.servers.alpaca_trading_server import AlpacaTradingServer

OPEN = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
EVENING = datetime(2026, 11, 3, 1, 0, tzinfo=UTC)
PAPER = Account("alpaca-paper", AccountKind.ALPACA_PAPER, World.REAL)
BRACKET = {"bracket_stop": "570", "bracket_target": "690"}
PAIR = {"kind": OrderType.STOP, "stop_price": "570", "bracket_target": "690"}
HIGHER = Replacement("moved", stop_price=Decimal(580))
FURTHER = Replacement("moved-2", limit_price=Decimal(700))
ANOTHER = replace(HIGHER, client_order_id="moved-3")


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[AlpacaTradingServer, StillClock]]:
    clock = StillClock(OPEN)
    with AlpacaTradingServer(clock.now) as server:
        yield server, clock


@pytest.fixture
def server(running: tuple[AlpacaTradingServer, StillClock]) -> AlpacaTradingServer:
    return begun_anew(*running, OPEN)


@pytest.fixture
def clock(running: tuple[AlpacaTradingServer, StillClock]) -> StillClock:
    return running[1]


@pytest.fixture
def broker(server: AlpacaTradingServer, clock: StillClock) -> AlpacaBroker:
    """Ten SPY are held, with a stop at 570 and a target at 690."""
    broker = broker_at(server.address, PAPER, clock)
    broker.submit(request_of("a", **BRACKET))
    return broker


def found(broker: AlpacaBroker, name: str = "a-s") -> VenueOrder:
    order = broker.find(name)
    assert order is not None
    return order


def resting(broker: AlpacaBroker) -> list[tuple[str, Decimal | None]]:
    return sorted((order.client_order_id, order.stop_price or order.limit_price) for order in broker.orders())


def patches(server: AlpacaTradingServer) -> int:
    return sum(call.method == "PATCH" for call in server.calls)


def only_patches(server: AlpacaTradingServer, fault: str) -> None:
    server.faults.choose = lambda call: fault if call.method == "PATCH" else None


@pytest.mark.feature("T8")
@pytest.mark.parametrize("fault", ["after 504", "after 502", "after reset", "after page", "after empty"])
def test_a_stop_that_was_moved_although_the_answer_was_lost_is_seen_where_it_rests(
    server: AlpacaTradingServer, broker: AlpacaBroker, fault: str
) -> None:
    only_patches(server, fault)
    answer = broker.replace("a-s", HIGHER)
    assert isinstance(answer, Accepted) and answer.order.stop_price == 580
    server.faults.clear()
    assert broker.replace("a-s", HIGHER) == answer
    assert (patches(server), resting(broker)) == (1, [("a-s", 580), ("a-t", 690)])


@pytest.mark.feature("T8")
@pytest.mark.parametrize("fault", ["504", "502", "before reset", "page"])
def test_a_move_of_which_nobody_knows_is_told_as_such_and_asked_for_again_under_its_id(
    server: AlpacaTradingServer, broker: AlpacaBroker, fault: str
) -> None:
    only_patches(server, fault)
    assert isinstance(broker.replace("a-s", HIGHER), Unknown)
    assert (patches(server), resting(broker)) == (1, [("a-s", 570), ("a-t", 690)])
    server.faults.clear()
    assert isinstance(broker.replace("a-s", HIGHER), Accepted)
    assert resting(broker) == [("a-s", 580), ("a-t", 690)]


@pytest.mark.feature("T8")
def test_where_not_even_a_look_up_is_answered_nothing_is_claimed(
    server: AlpacaTradingServer, broker: AlpacaBroker
) -> None:
    server.faults.choose = lambda call: "502" if patches(server) else None
    assert isinstance(broker.replace("a-s", HIGHER), Unknown)
    server.faults.standing["/v2/orders"] = "502"
    with pytest.raises(Transient):
        broker.replace("a-s", HIGHER)
    assert patches(server) == 1


@pytest.mark.feature("C4")
@pytest.mark.parametrize(("name", "change"), [("a-s", HIGHER), ("a-t", FURTHER)])
def test_until_the_former_order_is_replaced_it_is_the_one_that_rests(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock, name: str, change: Replacement
) -> None:
    server.venue.habits.replaces_slowly = True
    assert isinstance(broker.replace(name, change), Unknown)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        assert resting(each) == [("a-s", 570), ("a-t", 690)]
        assert isinstance(each.replace(name, change), Unknown)
    assert patches(server) == 1, "what is under way is not sent again"
    server.set_price("SPY", 601)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        assert isinstance(each.replace(name, change), Accepted)
        assert sorted(order.client_order_id for order in each.orders()) == ["a-s", "a-t"]
    assert patches(server) == 1


@pytest.mark.feature("C4")
def test_a_stop_alone_is_one_order_while_it_is_being_moved(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    broker.submit(request_of("b", symbol="BTC-USD", quantity="0.1"))
    held = str(broker.state().positions["BTC-USD"])
    stop = {"kind": OrderType.STOP, "stop_price": "57000", "limit_price": "55860"}
    broker.submit(request_of("c", side=Side.SELL, symbol="BTC-USD", quantity=held, **stop))  # type: ignore[arg-type]
    server.venue.habits.replaces_slowly = True
    change = Replacement("moved", Decimal(58000), Decimal(56840))
    assert isinstance(broker.replace("c", change), Unknown)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        assert resting(each) == [("a-s", 570), ("a-t", 690), ("c", 57000)]
    server.set_price("BTC/USD", 60_001)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        assert resting(each) == [("a-s", 570), ("a-t", 690), ("c", 58000)]
        assert found(each, "c").limit_price == 56840


@pytest.mark.feature("T8")
def test_a_stop_that_sells_while_it_is_being_moved_has_sold_once_and_was_never_moved(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    server.venue.habits.replaces_slowly = True
    broker.replace("a-s", HIGHER)
    server.set_price("SPY", 569)
    answer = broker.replace("a-s", HIGHER)
    assert isinstance(answer, Accepted)
    assert (answer.order.state, answer.order.stop_price) == (OrderState.FILLED, 570)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        assert each.orders() == []
        sold = each.fills_since(clock.now() - timedelta(hours=1))[1:]
        assert [(fill.client_order_id, fill.purpose, fill.quantity) for fill in sold] == [("a-s", Purpose.STOP, 10)]


@pytest.mark.feature("T8")
def test_a_part_that_was_sold_while_an_order_was_being_moved_belongs_to_it_though_alpaca_counts_anew(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    server.venue.habits.replaces_slowly = True
    broker.replace("a-t", FURTHER)
    server.venue.habits.portions["SPY"] = [Decimal(4)]
    server.set_price("SPY", 690)
    server.set_price("SPY", 650)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        told = {order.client_order_id: order for order in each.orders()}
        for order in (found(each, "a-t"), told["a-t"]):
            assert (order.state, order.filled_quantity, order.limit_price) == (OrderState.PARTIALLY_FILLED, 4, 700)
            # More than is held: who sees that withdraws it.
            assert order.quantity - order.filled_quantity == 10
        sold = each.fills_since(clock.now() - timedelta(hours=1))[1:]
        assert [(fill.client_order_id, fill.quantity) for fill in sold] == [("a-t", 4)]


@pytest.mark.feature("T8")
def test_what_the_exchange_will_not_have_leaves_the_former_order_where_it_is(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    server.venue.habits.rejects_replacements = True
    answer = broker.replace("a-s", HIGHER)
    assert isinstance(answer, Refused) and (answer.kind, "rejected" in answer.reason) == (Refusal.OTHER, True)
    assert resting(broker) == resting(broker_at(server.address, PAPER, clock)) == [("a-s", 570), ("a-t", 690)]
    server.venue.habits.rejects_replacements = False
    assert isinstance(broker.replace("a-s", ANOTHER), Accepted)


@pytest.mark.feature("T8")
@pytest.mark.parametrize(
    ("code", "words", "kind", "told"),
    [
        (40010001, "unable to replace order, order isn't sent to exchange yet", Refusal.FIXED, "does not replace it"),
        (42210000, "cannot replace order in accepted status", Refusal.FIXED, "does not replace it"),
        (40010001, "unable to replace order, order is not open", Refusal.FIXED, "does not replace it"),
        (42210000, "stop price must not be greater than base price / 1.001", Refusal.OTHER, "too close to the price"),
        (40310000, "trading of SPY is halted", Refusal.HALTED, "halted"),
    ],
)
def test_a_no_says_whether_another_order_may_take_its_place(
    server: AlpacaTradingServer, broker: AlpacaBroker, code: int, words: str, kind: Refusal, told: str
) -> None:
    server.venue.habits.patch_refusals.append((422, code, words))
    answer = broker.replace("a-s", HIGHER)
    assert isinstance(answer, Refused)
    assert (answer.kind, told in answer.reason, words in answer.reason) == (kind, True, True)
    assert resting(broker) == [("a-s", 570), ("a-t", 690)]


@pytest.mark.feature("T8")
def test_an_id_that_is_used_already_is_looked_up(server: AlpacaTradingServer, broker: AlpacaBroker) -> None:
    server.venue.habits.patch_refusals.append((422, 40010001, "client_order_id must be unique"))
    assert isinstance(broker.replace("a-s", HIGHER), Unknown)
    assert isinstance(broker.replace("a-s", HIGHER), Accepted)


@pytest.mark.feature("C4")
def test_what_has_not_been_sent_to_the_exchange_is_not_asked_for_and_a_held_stop_is_moved(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    broker.cancel("a-t")
    clock.time = EVENING
    broker.submit(request_of("p", side=Side.SELL, **PAIR))  # type: ignore[arg-type]
    answer = broker.replace("p-t", FURTHER)
    assert isinstance(answer, Refused) and (answer.kind, patches(server)) == (Refusal.FIXED, 0)
    assert isinstance(broker.replace("p", HIGHER), Accepted)
    assert resting(broker) == [("p", 580), ("p-t", 690)]


@pytest.mark.feature("T8")
def test_a_price_that_alpaca_would_refuse_is_not_sent(server: AlpacaTradingServer, broker: AlpacaBroker) -> None:
    answer = broker.replace("a-s", replace(HIGHER, stop_price=Decimal("580.001")))
    assert isinstance(answer, Refused) and ("sub-penny" in answer.reason, patches(server)) == (True, 0)


@pytest.mark.feature("C4")
def test_what_is_being_replaced_is_cancelled_a_moment_later(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    server.venue.habits.replaces_slowly = True
    broker.replace("a-t", FURTHER)
    waiting = broker_at(server.address, PAPER, clock, sleep=market_moves(server))
    waiting.cancel("a-s")
    assert waiting.orders() == []
    assert found(waiting, "a-t").limit_price == 700


def market_moves(server: AlpacaTradingServer) -> Callable[[float], None]:
    return lambda seconds: server.set_price("SPY", 601) if seconds else None


@pytest.mark.feature("C4")
def test_a_stop_that_was_moved_again_and_again_keeps_its_name_and_in_the_end_gives_way_to_another(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    for number in range(MOST_MOVES):
        change = Replacement(f"moved-{number}", stop_price=Decimal(571 + number))
        assert isinstance(broker.replace("a-s", change), Accepted)
    again = broker_at(server.address, PAPER, clock)
    for each in (broker, again):
        answer = each.replace("a-s", replace(HIGHER, stop_price=Decimal(590)))
        assert isinstance(answer, Refused) and answer.kind is Refusal.FIXED
        assert resting(each) == [("a-s", 570 + MOST_MOVES), ("a-t", 690)]
    server.set_price("SPY", 570)
    later = broker_at(server.address, PAPER, clock)
    assert later.fills_since(clock.now() - timedelta(hours=1))[-1].client_order_id == "a-s"


@pytest.mark.feature("C4")
def test_a_look_asks_for_nothing_more_once_it_knows_what_a_moved_stop_came_of(
    server: AlpacaTradingServer, broker: AlpacaBroker
) -> None:
    broker.orders()
    server.calls.clear()
    broker.orders()
    before = len(server.calls)
    for number in range(3):
        broker.replace("a-t", Replacement(f"moved-{number}", limit_price=Decimal(700 + number)))
    broker.orders()
    server.calls.clear()
    broker.orders()
    assert len(server.calls) <= before + 1
